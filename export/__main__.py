"""The command line of `export`: writing, checking and using served models."""

import argparse
import os
import sys

from export.runtimes import RUNTIMES, UnsupportedSignatureError, write_onnx
from training.quiet import quiet_start

_USAGE = """\
python -m export RUN_OR_PRESET DIR [--version N] [--name NAME]   write a version of a served model
python -m export check DIR [--runtime openvino|onnx|litert|c]    run it without Keras, and compare
python -m export onnx DIR FILE [--signature S]                  write a signature as an ONNX file
python -m export describe [DIR]                                 its signatures and limits; without DIR, of all kinds
python -m export promote DIR VERSION [--label L]                move a label, stable, to a version beside the live ones
python -m export rollback DIR [--label L]                       move it back to where it was
python -m export prune DIR [--keep N]                           delete old versions that have no label
python -m export serve DIR                                      answer over REST and gRPC, on this machine
python -m export solve DIR [BOARDS]                             solve boards with it, in this process
python -m export client [--rest URL | --grpc HOST:PORT] [BOARDS]   solve boards with TensorFlow Serving

Each has its own --help. (A run directory that is called check or the like is meant by ./check and so on.)"""


def main(arguments=None):
    """Runs one command.

    Args:
        arguments: List of words, by default those of the command line.

    Returns:
        Exit status: 0, 1 if a check failed, 2 for bad input, 130 if interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # Before TensorFlow is imported. Its messages about devices would bury the answer.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        if arguments and arguments[0] in _COMMANDS:
            return _COMMANDS[arguments[0]](arguments[1:])
        return _export(arguments)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parser(name, description):
    return argparse.ArgumentParser(
        prog=f"python -m export{name}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _export(arguments):
    parser = _parser("", f"Writes a version of a served model, for TensorFlow Serving.\n\n{_USAGE}")
    parser.add_argument("source", metavar="RUN_OR_PRESET", help="run directory, .keras file, or preset with weights")
    parser.add_argument("directory", metavar="DIR", help="directory of the versions")
    parser.add_argument("--version", type=int, metavar="N", help="version, by default the next one")
    parser.add_argument("--name", help="name of the model for the server (default: its kind, such as sudoku)")
    parser.add_argument("--licence", metavar="TEXT", help="licence of the weights, for the model card")
    parser.add_argument(
        "--weights",
        choices=("float32", "float16"),
        default="float32",
        help="what they are stored as (default: %(default)s; float16 takes half the room); all is computed in float32",
    )
    settings = _add_settings(parser)
    options = parser.parse_intermixed_args(arguments)
    _use_tensorflow()
    from export.card import origin
    from export.saved_model import export_model
    from training.source import load_model

    given = {name: getattr(options, name) for name in settings if getattr(options, name) is not None}
    model, facts = load_model(options.source), origin(options.source, options.licence)
    print(export_model(model, options.directory, options.version, options.name, facts, options.weights, **given))
    return 0


def _add_settings(parser):
    """Adds the settings of all families as options, and gives their names."""
    from export.families import FAMILIES

    texts, whole = {}, {}
    for family in FAMILIES.values():
        for setting in family.settings:
            text = setting.text + ("" if setting.default is None else f" (default: {setting.default:g})")
            texts.setdefault(setting.name, {}).setdefault(text, []).append(family.kind)
            whole[setting.name] = setting.whole
    group = parser.add_argument_group("limits", "what a request may ask for, and what is served if it doesn't say")
    for name, kinds in texts.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=int if whole[name] else float,
            metavar="N" if whole[name] else "X",
            help="; ".join(
                text if len(own) == len(FAMILIES) else f"{', '.join(own)}: {text}" for text, own in kinds.items()
            ),
        )
    return list(texts)


def _check(arguments):
    parser = _parser(" check", "Runs the latest version without Keras and compares its answers with the Keras model's.")
    parser.add_argument("directory", metavar="DIR", help="directory of the versions, or one version")
    parser.add_argument("--against", metavar="RUN_OR_PRESET", help="compare with what this Keras model answers, too")
    parser.add_argument(
        "--runtime",
        action="append",
        choices=("c", *RUNTIMES),
        help="run it there, too; can be given several times (default: c, TensorFlow's C API)",
    )
    options = parser.parse_intermixed_args(arguments)
    # TensorFlow, which reads the warm-up requests, imports Keras by itself.
    _use_tensorflow()
    from export.check import check

    model = None
    if options.against is not None:
        from training.source import load_model

        model = load_model(options.against)
    result = check(options.directory, model, tuple(options.runtime or ["c"]))
    print(result.table())
    return 0 if result.passed else 1


def _describe(arguments):
    parser = _parser(" describe", "Tells what a version takes and answers, and its limits; or what all kinds do.")
    parser.add_argument("directory", metavar="DIR", nargs="?", help="directory of the versions, or one version")
    options = parser.parse_args(arguments)
    from export.card import CARD
    from export.declaration import table
    from export.families import FAMILIES
    from export.versions import EXTRA, latest_version

    if options.directory is not None:
        print((latest_version(options.directory) / EXTRA / CARD).read_text(), end="")
    else:
        print("\n\n".join(f"## {kind}\n\n{family.text}\n\n{table(family)}" for kind, family in FAMILIES.items()))
    return 0


def _promote(arguments):
    from export.labels import promote

    parser = _label_parser(" promote", "Moves a label to a version, which a server then serves beside the others.")
    parser.add_argument("version", metavar="VERSION", type=int, help="number of the version")
    options = parser.parse_intermixed_args(arguments)
    return _print_labels(promote(options.directory, options.version, options.label))


def _rollback(arguments):
    from export.labels import rollback

    options = _label_parser(" rollback", "Moves a label back to the version that it had before.").parse_args(arguments)
    return _print_labels(rollback(options.directory, options.label))


def _prune(arguments):
    parser = _parser(" prune", "Deletes old versions that have no label.")
    parser.add_argument("directory", metavar="DIR", help="directory of the versions")
    parser.add_argument(
        "--keep", type=int, default=1, metavar="N", help="latest versions to keep (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    from export.labels import prune

    gone = prune(options.directory, options.keep)
    print(f"deleted: {', '.join(map(str, gone)) or 'none'}")
    return 0


def _label_parser(name, description):
    parser = _parser(name, description)
    parser.add_argument("directory", metavar="DIR", help="directory of the versions")
    parser.add_argument("--label", default="stable", metavar="L", help="the label (default: %(default)s)")
    return parser


def _print_labels(labels):
    print("\n".join(f"{label}: {version}" for label, version in sorted(labels.items())))
    return 0


def _client(arguments):
    parser = _parser(" client", "Solves boards with TensorFlow Serving, and draws them.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--rest", metavar="URL", default="http://localhost:8501", help="REST API (default: %(default)s)")
    where.add_argument("--grpc", metavar="HOST:PORT", help="gRPC API, such as localhost:8500")
    parser.add_argument("--model", default="sudoku", help="name of the model on the server (default: %(default)s)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", type=int, metavar="N", help="version of the model, by default the server's latest")
    which.add_argument("--label", metavar="L", help="the version with this label")
    parser.add_argument("--signature", help="by default the one that takes the numbers that are given")
    parser.add_argument("--num-steps", type=int, metavar="N", help="number of steps")
    _add_tries(parser)
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="default: %(default)s")
    _add_boards(parser)
    options = parser.parse_intermixed_args(arguments)
    from export.sudoku.client import solve_by_grpc, solve_by_rest
    from export.sudoku.solver import STARTS
    from training.datasets.sudoku import read_boards

    signature, num_steps, samples = options.signature, options.num_steps, options.votes
    if signature is None:
        signature = "vote" if samples is not None else "solve_steps"
        if samples is None and (options.starts is not None or num_steps is None):
            signature = "search"
    if signature == "search":
        num_steps, samples = 16 if num_steps is None else num_steps, options.starts or STARTS
    boards = read_boards(options.boards)
    function, address = (solve_by_grpc, options.grpc) if options.grpc else (solve_by_rest, options.rest)
    answers = function(
        address,
        boards,
        options.model,
        signature,
        options.version,
        options.timeout,
        num_steps=num_steps,
        num_samples=samples,
        seed=options.seed,
        label=options.label,
    )
    return _draw(boards, answers)


def _onnx(arguments):
    parser = _parser(" onnx", "Writes a signature of an exported model as an ONNX file. Limits are not checked in it.")
    parser.add_argument("directory", metavar="DIR", help="directory of the versions, or one version")
    parser.add_argument("file", metavar="FILE", help="such as sudoku.onnx")
    parser.add_argument("--signature", default="serving_default", help="default: %(default)s")
    options = parser.parse_intermixed_args(arguments)
    _use_tensorflow()
    try:
        size = write_onnx(options.directory, options.file, options.signature)
    except UnsupportedSignatureError as error:
        raise ValueError(f"ONNX does not take the signature '{options.signature}': {error}") from None
    print(f"{options.file}: {size:,} bytes")
    return 0


def _serve(arguments):
    from export.laptop.command import serve

    parser = _parser(" serve", "")
    with quiet_start():
        import tensorflow  # noqa: F401
    return serve(parser, arguments)


def _solve(arguments):
    parser = _parser(" solve", "Solves boards with an exported model in this process, with TensorFlow alone.")
    parser.add_argument("directory", metavar="DIR", help="directory of the versions, or one version")
    _add_boards(parser)
    parser.add_argument("--num-steps", type=int, metavar="N", help="number of steps, by default the model's own")
    _add_tries(parser)
    options = parser.parse_intermixed_args(arguments)
    with quiet_start():
        import tensorflow  # noqa: F401

    from export.sudoku.solver import solve
    from training.datasets.sudoku import read_boards

    boards = read_boards(options.boards)
    answers = solve(options.directory, boards, options.num_steps, options.votes, options.seed, options.starts)
    return _draw(boards, answers)


def _add_tries(parser):
    tries = parser.add_mutually_exclusive_group()
    tries.add_argument(
        "--starts",
        type=int,
        metavar="K",
        help="search from at most K initial oscillators, cell by cell (what is done by default, with 16)",
    )
    tries.add_argument("--votes", type=int, metavar="K", help="vote among K initial oscillators by energy")
    parser.add_argument("--seed", type=int, default=0, help="seed of a search or a vote (default: %(default)s)")


def _add_boards(parser):
    parser.add_argument(
        "boards",
        metavar="BOARDS",
        nargs="?",
        default="-",
        help="text file: a board a line, or drawn, 0 or . for a blank cell; - (the default) for standard input",
    )


def _draw(boards, answers):
    from export.sudoku.boards import draw_answer, is_solution

    print("\n\n".join(draw_answer(board, answer) for board, answer in zip(boards, answers)))
    solved = sum(is_solution(answer["solution"]) for answer in answers)
    if solved < len(boards):
        print(f"\nSolved: {solved} of {len(boards)}. More --starts or --num-steps may solve more.")
        return 1
    return 0


def _use_tensorflow():
    # Whatever backend the user's Keras is set to: only TensorFlow writes SavedModels, and it loads any model.
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    with quiet_start():
        import keras  # noqa: F401


_COMMANDS = {
    "check": _check,
    "describe": _describe,
    "promote": _promote,
    "rollback": _rollback,
    "prune": _prune,
    "client": _client,
    "onnx": _onnx,
    "serve": _serve,
    "solve": _solve,
}

if __name__ == "__main__":
    sys.exit(main())
