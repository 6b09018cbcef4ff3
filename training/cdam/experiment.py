"""What a command of an experiment is: options, an output directory, figures in print, in JSON and as a plot."""

import dataclasses
import pathlib

from training.options import Options, option
from training.runs import RunDirectory, write_json


@dataclasses.dataclass(frozen=True)
class CommandOptions(Options):
    """Options that every such experiment has, and that its command takes as arguments.

    Attributes:
        seed: Seed of all that is random.
    """

    seed: int = option(0, "seed of all that is random (default: %(default)s)", least=0)

    @staticmethod
    def written(name):
        return f"--{name.replace('_', '-')}"


@dataclasses.dataclass(frozen=True)
class RecallOptions(CommandOptions):
    """Options of the experiments that run the recall of Eq. 1.

    Attributes:
        steps: Steps of recall.
        beta: β > 0, the inverse temperature.
        eta: η > 0, the size of a step.
        noise: c ≥ 0, the amplitude of the noise in the triggers.
    """

    steps: int = option(101, "steps of recall (default: %(default)s)", least=1)
    beta: float = option(1.0, "inverse temperature (default: %(default)s)", above=0)
    eta: float = option(0.1, "size of a step (default: %(default)s)", above=0)
    noise: float = option(1.0, "amplitude of the noise in the triggers (default: %(default)s)", least=0)


@dataclasses.dataclass(frozen=True)
class StrengthOptions(RecallOptions):
    """Options of the experiments that compare strengths of auto- and hetero-association.

    Attributes:
        a: Strengths of auto-association.
        h: As many strengths of hetero-association.
    """

    a: tuple = option((1.0, 0.5, -0.5, -2.0), "strengths of auto-association (default: %(default)s)")
    h: tuple = option((0.0, 0.5, 1.5, 3.0), "strengths of hetero-association, as many (default: %(default)s)")

    def __post_init__(self):
        super().__post_init__()
        if len(self.a) != len(self.h):
            raise ValueError(f"--a and --h must have as many values. Received {len(self.a)} and {len(self.h)}.")

    @property
    def strengths(self):
        """The pairs of a and h."""
        return list(zip(self.a, self.h))


def add_command(commands, experiment, text, options_class, run, check=None):
    """Adds the command of an experiment to a parser.

    Args:
        commands: What `add_subparsers` returned.
        experiment: The experiment's name, such as `"cdam modes"`, whose last word is the command.
        text: What it does, a line.
        options_class: A `CommandOptions`.
        run: Function of the options, the output directory, and what `check` returned, that prints the experiment's
            figures, draws its plots, and returns the result, which becomes `results.json`.
        check: Function of the options that reads what they name before anything is written, and raises a `ValueError`
            for what is bad. Without it `run` takes two arguments.
    """
    parser = commands.add_parser(experiment.split()[-1], help=text, description=f"{text[0].upper()}{text[1:]}.")
    out = pathlib.Path("runs") / experiment.replace(" ", "-")
    parser.add_argument(
        "--out", "--run-dir", type=pathlib.Path, default=out, help="output directory (default: %(default)s)"
    )
    fields = dataclasses.fields(options_class)
    for field in fields:
        name, default, text = options_class.written(field.name), field.metadata["default"], field.metadata["help"]
        if isinstance(default, bool):
            parser.add_argument(name, action="store_true", help=text)
            continue
        several = isinstance(default, tuple)
        # Defaults of several values are shown as they are typed.
        shown = " ".join(map(str, default)) if several else default
        parser.add_argument(
            name,
            type=type(default[0] if several else default),
            nargs="+" if several else None,
            default=default,
            metavar="VALUE",
            help=text.replace("%(default)s", str(shown)),
        )

    def prepare(arguments):
        values = {field.name: getattr(arguments, field.name) for field in fields}
        options = options_class(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )
        directory = RunDirectory(arguments.out)
        passing = {field.name: field.metadata["default"] for field in fields if not field.metadata["kept"]}
        config = {"experiment": experiment, "preset": "", "options": dataclasses.replace(options, **passing)}
        # The same command again gives the same files: it may write over those, and over no others.
        directory.check(config, resume=True)
        inputs = [] if check is None else [check(options)]

        def execute():
            directory.create(config)
            write_json(directory.results, run(options, directory.path, *inputs))
            print(f"Results and plots: {directory.path}")

        return execute

    parser.set_defaults(prepare=prepare)
