"""Which model is meant: a run, a file or a preset."""

import pathlib
import stat
import zipfile

import keras

from keras_kuramoto.layers import CDAMRecall, FiniteAutomaton
from keras_kuramoto.models import ConfiguredModel, ImageModel, MemoryClassifier, SudokuModel
from training.options import unknown
from training.runs import RunDirectory

MODELS = (SudokuModel, ImageModel, MemoryClassifier)
#: Layers that are a whole model by themselves: any functional model with nothing but one of them in it is such a model.
LAYERS = (CDAMRecall, FiniteAutomaton)
# Bytes of an unpacked archive that are accepted whatever it has without being unpacked.
_UNPACKED = 1 << 26


def load_model(source):
    """The model of a run directory, a `.keras` file or a preset with weights.

    Args:
        source: A run directory (its `model.keras` holds the averaged weights), the path of a `.keras` file, or the name
            of a preset that comes with weights. What exists as a file or directory is not taken as a preset.

    Returns:
        A model of one of the types in `MODELS`, or a layer of one of those in `LAYERS`, if a model is nothing but this
        layer.

    Raises:
        ValueError: If there is no such thing, a directory has no model yet, a file holds another model, or a preset
            has no weights.

    Example:

    >>> load_model("sudoku9_small").board_size
    9
    """
    path = pathlib.Path(source)
    if path.is_dir():
        run = RunDirectory(path)
        if not run.model.is_file():
            state = "has not written its model yet" if run.exists else "is no run directory"
            raise ValueError(f"'{path}' {state}: it holds no {run.model.name}.")
        path = run.model
    elif not path.exists():
        if str(source) in ConfiguredModel.presets:
            return ConfiguredModel.from_preset(str(source))
        raise ValueError(
            f"'{source}' is neither a run directory nor a .keras file. "
            + unknown("preset", source, ConfiguredModel.presets)
        )
    _check_archive(path)
    try:
        # In Keras' safe mode: a file can name layers and numbers, and bring no code.
        model = keras.saving.load_model(path)
    except Exception as error:
        # Keras raises what its readers raise (zipfile, h5py, json and its own errors).
        raise ValueError(f"'{path}' can't be loaded as a Keras model: {_first_line(error)}") from error
    if isinstance(model, MODELS):
        return model
    inner = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if len(inner) == 1 and isinstance(inner[0], LAYERS):
        return inner[0]
    known = ", ".join(kind.__name__ for kind in MODELS)
    alone = " or ".join(kind.__name__ for kind in LAYERS)
    raise ValueError(f"'{path}' holds a {type(model).__name__}, which is none of {known}, nor one {alone} alone.")


def start_from(model, source, described, new=()):
    """Gives a model the weights of another one.

    Args:
        model: The model.
        source: As for `load_model`.
        described: What the model is called in the error.
        new: Names of the model's own layers that keep their weights where those of the other one have other shapes.

    Raises:
        ValueError: As from `load_model`, or if the models differ.
    """
    given, own = load_model(source).get_weights(), model.get_weights()
    kept = {id(weight) for name in new for weight in getattr(model, name).weights}
    fits = [a.shape == b.shape or id(weight) in kept for weight, a, b in zip(model.weights, own, given)]
    if len(given) != len(own) or not all(fits):
        raise ValueError(f"The model of `start`, '{source}', differs from '{described}'.")
    model.set_weights([b if a.shape == b.shape else a for a, b in zip(own, given)])


def _check_archive(path):
    """Raises a `ValueError` for an archive that would write elsewhere, or be very much larger when it is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile):
        # Keras says what is wrong with it.
        return
    for member in members:
        parts = pathlib.PurePosixPath(member.filename.replace("\\", "/"))
        link = stat.S_ISLNK(member.external_attr >> 16)
        if parts.is_absolute() or ".." in parts.parts or ":" in member.filename or link:
            raise ValueError(f"'{path}' is no model of ours: it holds '{member.filename}', outside of its directory.")
    size, packed = sum(member.file_size for member in members), path.stat().st_size
    # Keras does not compress.
    if size > _UNPACKED and size > 100 * packed:
        raise ValueError(f"'{path}' is no model of ours: its {packed:,} bytes would be {size:,} when it is unpacked.")


def _first_line(error):
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
