"""`python -m keras_kuramoto.interop`: an AKOrN authors' Sudoku checkpoint as a `.keras` file.

PyTorch is needed to read the checkpoint, whatever the Keras backend.
"""

import argparse
import os
import pathlib
import sys

from keras_kuramoto._backend.checkpoint import read_checkpoint
from keras_kuramoto.interop import akorn

_CONTAINERS = ("model_state_dict", "state_dict", "model")
# Entries without which it is no checkpoint of the model, and those that the model has no use for.
_NEEDED = (
    "gamma",
    "embedding.weight",
    "layers.0.0.connectivity.W_qkv.weight",
    "layers.0.1.0.invconv.weight",
    "layers.0.1.0.bias",
    "out.1.weight",
)
_UNUSED = ("x0",)


def state_dict(checkpoint, ema=None):
    """The model's state dict in a checkpoint, under the names of the bare model.

    Args:
        checkpoint: A state dict, or a dictionary that has one as `model_state_dict`, `state_dict` or `model`. The names
            may have the prefixes `module.` (of data parallelism) and, from `ema_pytorch`, `ema_model.` and
            `online_model.`.
        ema: `True` for the averaged weights, `False` for the others, `None` for the averaged ones if there are any.

    Returns:
        Dictionary of names → NumPy arrays, and whether these are averaged weights.

    Raises:
        ValueError: If it holds no tensors, or none of the kind that `ema` asks for.
    """
    while isinstance(checkpoint, dict):
        inner = [checkpoint[key] for key in _CONTAINERS if isinstance(checkpoint.get(key), dict)]
        if not inner:
            break
        checkpoint = inner[0]
    if not isinstance(checkpoint, dict):
        raise ValueError(f"The checkpoint holds no state dict, but an object of type {type(checkpoint).__name__}.")
    tensors = {_strip(name): value for name, value in checkpoint.items() if hasattr(value, "detach")}
    if not tensors:
        raise ValueError(f"The checkpoint holds no tensors. Its entries: {_some(checkpoint)}.")
    averaged = _below(tensors, "ema_model.")
    plain = _below(tensors, "online_model.") or ({} if averaged else tensors)
    chosen = plain if ema is False or (ema is None and not averaged) else averaged
    if not chosen:
        kind, option = ("only averaged", "--no-ema") if ema is False else ("no averaged", "--ema")
        raise ValueError(f"The checkpoint has {kind} weights. Leave out {option}.")
    detached = {name: value.detach() for name, value in chosen.items()}
    weights = {name: (v.float() if v.is_floating_point() else v).numpy() for name, v in detached.items()}
    return weights, chosen is averaged


def _strip(name):
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return name


def _below(tensors, prefix):
    return {_strip(name.removeprefix(prefix)): value for name, value in tensors.items() if name.startswith(prefix)}


def _some(names):
    names = sorted(map(str, names))
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


def sudoku_config(weights, n=None, heads=None, steps=16):
    """The config of `akorn.sudoku_model`, from the shapes of the weights as far as they tell.

    Args:
        weights: The model's state dict, names → arrays in PyTorch's layouts.
        n: Number of components of an oscillator, to be checked against the readout's shape.
        heads: Number of attention heads; by default from the position matrices' shape, else the authors' 8.
        steps: T, the number of steps. No weight tells it; the authors trained with 16.

    Returns:
        Dictionary with `n`, `ch`, `L`, `T`, `heads`, `gta`, `use_omega` and `global_omg`.

    Raises:
        ValueError: If the weights are not those of the authors' Sudoku model, or contradict `n` or `heads`.
    """
    missing = [name for name in _NEEDED if name not in weights]
    if missing:
        raise ValueError(
            f"These are not the weights of an AKOrN Sudoku model: {missing[0]} is missing. Entries: {_some(weights)}."
        )
    channels = weights["embedding.weight"].shape[1]
    blocks = len({name.split(".")[1] for name in weights if name.startswith("layers.")})
    found = {"n": weights["layers.0.1.0.invconv.weight"].shape[0] // weights["layers.0.1.0.bias"].shape[0]}
    matrices = weights.get("layers.0.0.connectivity.mat_q")
    if matrices is not None:
        found["heads"] = channels // (2 * matrices.shape[1])
    for name, given in (("n", n), ("heads", heads)):
        if given is not None and found.setdefault(name, given) != given:
            raise ValueError(f"The weights have {name} = {found[name]}. Leave out --{name} {given}.")
    frequency = weights.get("layers.0.0.omg.omg_param")
    return {
        "heads": 8,
        **found,
        "ch": channels,
        "L": blocks,
        "T": steps,
        "gta": matrices is not None,
        "use_omega": frequency is not None,
        "global_omg": frequency is not None and frequency.ndim == 1,
    }


def _check_all_used(weights, config):
    """Raises a `ValueError` for weights that `akorn.sudoku_model` would leave out: another model's."""
    part = [
        "0.connectivity.W_qkv",
        "0.connectivity.W_o",
        "1.0.invconv",
        "1.1.fn.fn.0.fn.2",
        "1.1.fn.fn.1.fn.2",
        "1.2.fn.2",
    ]
    known = {"gamma", "embedding.weight", "out.1.weight", "out.1.bias", *_UNUSED}
    for index in range(config["L"]):
        known |= {f"layers.{index}.{name}.{kind}" for name in part for kind in ("weight", "bias")}
        known |= {f"layers.{index}.0.connectivity.mat_{name}" for name in "qkvo" if config["gta"]}
        known |= {f"layers.{index}.1.0.bias"}
        known |= {f"layers.{index}.0.omg.omg_param"} if config["use_omega"] else set()
    unknown = set(weights) - known
    if unknown:
        raise ValueError(f"The checkpoint has weights that this model has no place for: {_some(unknown)}.")


def convert(checkpoint, output, ema=None, n=None, heads=None, steps=16, overwrite=False):
    """Writes a `.keras` file with the weights of an authors' Sudoku checkpoint.

    Args:
        checkpoint: The `.pth` file.
        output: The file to write.
        ema: As for `state_dict`.
        n: As for `sudoku_config`, and so are `heads` and `steps`.
        heads: See there.
        steps: See there.
        overwrite: Whether an existing `output` may be replaced.

    Returns:
        The config, with `ema` (whether the weights are averaged ones).

    Raises:
        ValueError: If the checkpoint is none of the model, or `output` exists or is not called `.keras`.
        OSError: If a file can't be read or written.
    """
    output = pathlib.Path(output)
    if output.suffix != ".keras":
        raise ValueError(f"The output must be called something.keras. Received '{output}'.")
    if output.exists() and not overwrite:
        raise ValueError(f"'{output}' exists. Choose another name, or add --overwrite.")
    if not output.parent.is_dir():
        raise ValueError(f"'{output.parent}' is not a directory.")
    weights, averaged = state_dict(read_checkpoint(checkpoint), ema)
    config = sudoku_config(weights, n, heads, steps)
    _check_all_used(weights, config)
    model = akorn.sudoku_model(weights, config)
    # By way of a temporary file, so that an interruption never leaves half a model.
    temporary = output.with_name(f".{output.stem}.{os.getpid()}.keras")
    try:
        model.save(temporary)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    return {**config, "ema": averaged}


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not '{text}'")
    return int(text)


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(message)


def main(arguments=None):
    """Runs the command.

    Args:
        arguments: List of words, by default those of the command line.

    Returns:
        Exit status: 0, or 2 for bad input.
    """
    parser = _Parser(prog="python -m keras_kuramoto.interop", description=__doc__.splitlines()[0].split(": ", 1)[1])
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT.pth", help="a state dict, saved by the authors' training code"
    )
    parser.add_argument("output", metavar="OUTPUT.keras", help="the file to write")
    parser.add_argument(
        "--ema",
        action=argparse.BooleanOptionalAction,
        help="take the averaged weights, or the others (default: the averaged ones if there are any)",
    )
    parser.add_argument("--n", type=_positive, help="components of an oscillator (default: as the weights have it)")
    parser.add_argument("--heads", type=_positive, help="attention heads (default: as the weights have it, else 8)")
    parser.add_argument("--T", type=_positive, default=16, help="number of steps (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    try:
        options = parser.parse_args(arguments)
        config = convert(
            options.checkpoint,
            options.output,
            ema=options.ema,
            n=options.n,
            heads=options.heads,
            steps=options.T,
            overwrite=options.overwrite,
        )
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(
        f"Wrote {options.output}: {config['L']} block{'s' if config['L'] > 1 else ''}, {config['ch']} channels, "
        f"N = {config['n']}, T = {config['T']}, {config['heads']} heads, "
        f"{'averaged' if config['ema'] else 'plain'} weights."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
