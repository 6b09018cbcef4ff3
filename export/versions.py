"""Versions of an exported model: the directories with integers for names that TensorFlow Serving looks for."""

import json
import pathlib

from export.declaration import Declaration

EXTRA = "assets.extra"


def existing_versions(directory):
    """The versions in a directory, a sorted list of integers. Other names are ignored, as TensorFlow Serving does."""
    path = pathlib.Path(directory)
    names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def latest_version(directory):
    """The directory of the latest version.

    Args:
        directory: The directory of all versions, or the one of a single version.

    Returns:
        `pathlib.Path` of a directory with a `saved_model.pb`.

    Raises:
        ValueError: If there is no exported model.
    """
    path = pathlib.Path(directory)
    if not (path / "saved_model.pb").is_file():
        versions = existing_versions(path)
        if not versions:
            raise ValueError(
                f"'{directory}' holds no exported model. Write one: python -m export RUN_OR_PRESET {directory}"
            )
        path = path / str(versions[-1])
        if not (path / "saved_model.pb").is_file():
            raise ValueError(f"'{path}' is not a SavedModel: it holds no saved_model.pb.")
    return path


def read_description(version):
    """What `assets.extra/export.json` of a version says of the model: `board_size`, `num_steps`, `signatures` and more.

    Raises:
        ValueError: If the file is not there or is damaged.
    """
    path = pathlib.Path(version) / EXTRA / "export.json"
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"'{path}' is missing: the model was not written by this exporter.") from None
    except ValueError as error:
        raise ValueError(f"'{path}' is not valid JSON: {error}.") from None


def read_declaration(version):
    """What a version takes and answers, an `export.declaration.Declaration`, of its `export.json`.

    Raises:
        ValueError: If the file is not there, is damaged, or does not say it.
    """
    return Declaration.from_json(read_description(version))
