"""`python -m training compile`."""

import json

from training.compilation.chips import Slice


def prepare(options):
    """Compiles the step of a preset for a TPU.

    Args:
        options: The parsed command line.

    Returns:
        A function that prints what came out.

    Raises:
        ValueError: For bad input, or for a step that a TPU refuses.
    """
    topology = Slice.parse(options.topology)
    from training.compilation.presets import step_of
    from training.compilation.report import bound, lines
    from training.compilation.run import compile_step

    settings = [*options.set, *([f"hopfield={options.hopfield}"] if options.hopfield else [])]
    # What is wrong with the options shows at once.
    split = options.split
    if split < 1 or topology.chips % split:
        raise ValueError(f"--split must be a divisor of the number of chips, {topology.chips}. Received {split}.")
    step = step_of(options.preset, settings, options.data_dir, topology.chips // split)
    backends = [one for one in step.backends if options.backend in ("all", one) and (one == "jax" or split == 1)]
    if not backends:
        raise ValueError("Channels and patterns are split over chips by Keras on JAX alone: --backend jax.")
    programs = {}
    for backend in backends:
        try:
            program = compile_step(options.preset, topology, settings, options.data_dir, backend, split)
            programs[backend] = {**program, "bound": bound(program, topology)}
        except ValueError as error:
            # The loop is TensorFlow's: that a step runs on JAX too is not asked for.
            if backend == backends[0]:
                raise
            programs[backend] = {"refused": str(error)}
    chip = topology.chip
    result = {
        "preset": options.preset,
        "settings": settings,
        "topology": str(topology),
        "split": split,
        "chips": topology.chips,
        "chip": {
            "name": chip.name,
            "operations_per_second": chip.operations,
            "memory": chip.memory,
            "bytes_per_second": chip.bandwidth,
            "link_bytes_per_second": topology.link_bandwidth,
        },
        **programs,
    }

    def show():
        if options.json:
            print(json.dumps(result, indent=1))
            return
        for backend, program in programs.items():
            if "refused" in program:
                print(f"{backend}: {program['refused']}")
                continue
            size = f", {program['batch_of_a_chip']} examples on each" if "batch_of_a_chip" in program else ""
            print(f"{options.preset} on {topology.chips} {chip.name}{size}, {backend}; for each chip:")
            print("\n".join(f"  {line}" for line in lines(program, topology)))

    return show


def add_command(commands, data):
    """Adds `compile` to a parser.

    Args:
        commands: What `add_subparsers` returned.
        data: Parser of arguments that are the data's.
    """
    text = "compile the training step of a preset for a TPU, without one, and print what it costs"
    command = commands.add_parser(
        "compile", parents=[data], help=text, description=f"{text[0].upper()}{text[1:]}. Nothing is written."
    )
    command.add_argument("--preset", required=True, help="name of a preset of any experiment")
    command.add_argument(
        "--topology", default="v5e:2x2", help="kind and arrangement of the chips (default: %(default)s)"
    )
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change an option; repeatable"
    )
    command.add_argument("--hopfield", help="run directory of hopfield_mnist, for memory_editing")
    command.add_argument(
        "--backend",
        choices=("all", "tensorflow", "jax"),
        default="all",
        help="tensorflow: what each chip runs in training; jax: one program for all chips (default: %(default)s)",
    )
    command.add_argument(
        "--split", type=int, default=1, metavar="N", help="chips that share the channels of a model (default: 1)"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(prepare=prepare)
