"""`python -m keras_kuramoto.interop`: an AKOrN authors' checkpoint as a `.keras` file.

It may be of their model of Sudoku, of objects or of classes of images: the weights tell which.

PyTorch is needed to read the checkpoint, whatever the Keras backend.
"""

import argparse
import inspect
import math
import os
import pathlib
import sys

from keras_kuramoto._backend.checkpoint import read_checkpoint
from keras_kuramoto.interop import akorn

_CONTAINERS = ("model_state_dict", "state_dict", "model")
# Entries that the models have no use for, by the end of their names.
_UNUSED = ("x0", "num_batches_tracked")


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


def _check_needed(weights, kind, names):
    missing = [name for name in names if name not in weights]
    if missing:
        raise ValueError(
            f"These are not the weights of an AKOrN {kind} model: {missing[0]} is missing. Entries: {_some(weights)}."
        )


def _agreed(name, found, given, default):
    """What the weights tell, which a user must not contradict; else what is given, or the default."""
    if found is None:
        return default if given is None else given
    if given not in (None, found):
        raise ValueError(f"The weights have {name} = {found}. Leave out --{name} {given}.")
    return found


def _layers(weights, kuramoto, heads):
    """What the Kuramoto layers tell, whose names begin with `layers.0.` and so on and then with `kuramoto`."""
    numbers = sorted({int(name.split(".")[1]) for name in weights if name.startswith("layers.")})
    layers = [f"layers.{number}.{kuramoto}" for number in numbers]
    kernels = [weights.get(f"{layer}connectivity.weight") for layer in layers]
    found = None
    for layer in layers:
        if f"{layer}connectivity.mat_q" in weights:
            channels = weights[f"{layer}connectivity.W_qkv.weight"].shape[1]
            found = channels // (2 * weights[f"{layer}connectivity.mat_q"].shape[1])
    frequency = weights.get(f"{layers[0]}omg.omg_param")
    return {
        "L": len(layers),
        "J": ["attn" if kernel is None else "conv" for kernel in kernels],
        "ksizes": [1 if kernel is None else kernel.shape[-1] for kernel in kernels],
        "heads": _agreed("heads", found, heads, 8),
        "gta": found is not None,
        "use_omega": frequency is not None,
        "global_omg": frequency is not None and frequency.ndim == 1,
        "c_norm": "gn" if f"{layers[0]}c_norm.weight" in weights else None,
    }


def _readout_dim(weights, readout):
    """The number of components of what a readout takes the norm of."""
    return weights[f"{readout}invconv.weight"].shape[0] // weights[f"{readout}bias"].shape[0]


def sudoku_config(weights, n=None, heads=None, steps=None):
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
    readout = "layers.0.1.0."
    needed = ("gamma", "embedding.weight", "layers.0.0.connectivity.W_qkv.weight", f"{readout}invconv.weight")
    _check_needed(weights, "Sudoku", (*needed, f"{readout}bias", "out.1.weight"))
    layers = _layers(weights, "0.", heads)
    return {
        "n": _agreed("n", _readout_dim(weights, readout), n, None),
        "ch": weights["embedding.weight"].shape[1],
        "T": 16 if steps is None else steps,
        **{name: layers[name] for name in ("L", "heads", "gta", "use_omega", "global_omg")},
    }


def object_config(weights, n=None, heads=None, steps=None, imsize=None):
    """The config of `akorn.object_model`, from the shapes of the weights as far as they tell.

    Args:
        weights: The model's state dict, names → arrays in PyTorch's layouts.
        n: As for `sudoku_config`, and so is `heads`.
        heads: See there.
        steps: T, the number of steps, or one for each block. No weight tells it; the authors' default is 8.
        imsize: Height and width of the images, by default from the number of positions that attention knows of. A model
            of convolutions takes any, and is made for the authors' 128.

    Returns:
        Dictionary of the authors' arguments.

    Raises:
        ValueError: If the weights are not those of the authors' model, or contradict an argument.
    """
    readout, patches = "layers.0.1.", "patchfy.1.weight"
    _check_needed(weights, "object", ("gamma", patches, f"{readout}invconv.weight", f"{readout}bias", "out.5.weight"))
    layers = _layers(weights, "0.", heads)
    embedding = weights.get("pemb_c")
    rows = None if embedding is None else embedding.shape[-1]
    if layers["gta"]:
        rows = math.isqrt(next(len(value) for name, value in weights.items() if name.endswith("mat_q")))
    patch_size = weights[patches].shape[-1]
    return {
        "n": _agreed("n", _readout_dim(weights, readout), n, None),
        "ch": weights[patches].shape[0],
        "psize": patch_size,
        "imsize": _agreed("imsize", None if rows is None else rows * patch_size, imsize, 128),
        "T": 8 if steps is None else steps,
        **{name: value for name, value in layers.items() if name != "ksizes"},
        "ksize": max(layers["ksizes"]),
        # Without embeddings the authors' models have it, convolutions too.
        "gta": embedding is None,
    }


def classifier_config(weights, n=None, heads=None, steps=None):
    """The config of `akorn.classifier`, from the shapes of the weights as far as they tell.

    Args:
        weights: The model's state dict, names → arrays in PyTorch's layouts.
        n: Number of components of an oscillator. No weight tells it.
        heads: As for `sudoku_config`.
        steps: T, the number of steps, or one for each block. No weight tells it; the authors' default is 3.

    Returns:
        Dictionary of the authors' arguments.

    Raises:
        ValueError: If the weights are not those of the authors' model, or contradict `heads`; if `n` is not given.
    """
    readout, norm = "layers.0.3.0.", "layers.0.3.2.fn.0."
    _check_needed(
        weights, "classification", ("gamma", "conv0.weight", f"{readout}invconv.weight", f"{readout}bias", "out.weight")
    )
    if n is None:
        raise ValueError("The weights of a classifier do not tell the number of components of an oscillator: add --n.")
    layers = _layers(weights, "2.", heads)
    return {
        "n": n,
        "ch": weights["conv0.weight"].shape[0],
        "T": 3 if steps is None else steps,
        **layers,
        "ro_N": [_readout_dim(weights, f"layers.{index}.3.0.") for index in range(layers["L"])],
        "norm": "bn" if f"{norm}running_mean" in weights else "gn" if f"{norm}weight" in weights else None,
        "out_classes": weights["out.weight"].shape[0],
    }


class _Used(dict):
    """Weights that know which of them were asked for."""

    def __init__(self, weights):
        super().__init__(weights)
        self.names = set()

    def __getitem__(self, name):
        self.names.add(name)
        return super().__getitem__(name)


# By an entry that only this one has: the config of a model, and the model.
_MODELS = {
    "patchfy.1.weight": (object_config, akorn.object_model),
    "conv0.weight": (classifier_config, akorn.classifier),
}


def convert(checkpoint, output, ema=None, overwrite=False, **arguments):
    """Writes a `.keras` file with the weights of an authors' checkpoint.

    Args:
        checkpoint: The `.pth` file.
        output: The file to write.
        ema: As for `state_dict`.
        overwrite: Whether an existing `output` may be replaced.
        **arguments: Those of `sudoku_config`, `object_config` or `classifier_config`, whichever the weights are for.

    Returns:
        The config, with `ema` (whether the weights are averaged ones).

    Raises:
        ValueError: If the checkpoint is none of a model, or `output` exists or is not called `.keras`.
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
    known = [functions for entry, functions in _MODELS.items() if entry in weights]
    config_of, model_of = known[0] if known else (sudoku_config, akorn.sudoku_model)
    foreign = [name for name in arguments if name not in inspect.signature(config_of).parameters]
    if foreign:
        raise ValueError(f"The checkpoint's model has no '{foreign[0]}'. Leave out --{foreign[0]}.")
    config = config_of(weights, **arguments)
    used = _Used(weights)
    model = model_of(used, config)
    unused = [name for name in weights if name not in used.names and not name.endswith(_UNUSED)]
    if unused:
        raise ValueError(f"The checkpoint has weights that this model has no place for: {_some(unused)}.")
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


def _positives(text):
    numbers = [_positive(part) for part in text.split(",")]
    return numbers if len(numbers) > 1 else numbers[0]


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
    parser = _Parser(
        prog="python -m keras_kuramoto.interop",
        description=__doc__.splitlines()[0].split(": ", 1)[1],
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT.pth", help="a state dict, saved by the authors' training code"
    )
    parser.add_argument("output", metavar="OUTPUT.keras", help="the file to write")
    parser.add_argument(
        "--ema",
        action=argparse.BooleanOptionalAction,
        help="take the averaged weights, or the others (default: the averaged ones if there are any)",
    )
    parser.add_argument(
        "--n",
        type=_positive,
        help="components of an oscillator (default: as the weights have it; for a classifier, say)",
    )
    parser.add_argument("--heads", type=_positive, help="attention heads (default: as the weights have it, else 8)")
    parser.add_argument(
        "--T",
        type=_positives,
        dest="steps",
        metavar="T",
        help="number of steps, or one for each block: 6,4,2 (default: 16 for Sudoku, 8 for objects, 3 for classes)",
    )
    parser.add_argument(
        "--imsize",
        type=_positive,
        help="size of the images, of an object model (default: as the weights have it, or 128)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    try:
        options = vars(parser.parse_args(arguments))
        config = convert(**options)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    couplings = config.get("J", ["attn"])
    told = [
        f"{config['L']} block{'s' if config['L'] > 1 else ''}",
        f"{config['ch']} channels",
        f"N = {config['n']}",
        f"T = {config['T']}",
        *([f"{config['heads']} heads"] if "attn" in couplings else []),
        f"{'averaged' if config['ema'] else 'plain'} weights",
    ]
    print(f"Wrote {options['output']}: {', '.join(told)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
