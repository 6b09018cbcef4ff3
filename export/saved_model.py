"""Writing versions of a served model: all of a version, or nothing."""

import json
import os
import pathlib
import shutil

import keras
import tensorflow as tf

from export.golden import keras_answers, sample_cases, save_cases
from export.serving import check_name, require_serving_api, write_serving_files, write_warmup
from export.signatures import MAX_SAMPLES, MAX_STEPS, SudokuServer
from export.versions import EXTRA, existing_versions


def export_model(model, directory, version=None, name="sudoku", max_steps=MAX_STEPS, max_samples=MAX_SAMPLES):
    """Writes a Sudoku model as a version that TensorFlow Serving serves.

    `directory/version` gets the SavedModel with the signatures of `SudokuServer`, and in `assets.extra/` warm-up
    requests for the server, golden answers for `export.check`, and a description. `directory/serving` gets the server's
    configuration and a compose file, unless they are there.

    The version is written to a temporary directory with a name that is no integer, and renamed at the end: a server
    that watches the directory never sees half of it, and an error or an interruption leaves nothing behind.

    Args:
        model: A `SudokuModel` on the TensorFlow backend. Layers with a mixed precision policy are changed to float32.
        directory: Directory of the versions; made if it isn't there.
        version: Integer of at least 1; by default the one after the latest.
        name: Name of the model for the server.
        max_steps: Largest number of steps that is served.
        max_samples: Largest number of samples of a vote that is served.

    Returns:
        `pathlib.Path` of the version.

    Raises:
        ValueError: If the version exists, `directory` is a file, a package is missing, or an argument is wrong.

    Example:

    >>> export_model(sudoku_from_preset("sudoku9_small", trained=True), "served/sudoku").name
    '1'
    """
    check_name(name)
    require_serving_api()
    server = SudokuServer(model, max_steps, max_samples)
    directory = pathlib.Path(directory)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"'{directory}' is a file, not a directory for the versions of a model.")
    if version is None:
        version = max(existing_versions(directory), default=0) + 1
    elif not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"`version` must be an integer of at least 1. Received {version!r}.")
    elif version in existing_versions(directory):
        raise ValueError(
            f"Version {version} exists in '{directory}' and is not overwritten. Leave the version out for the next "
            f"one, {existing_versions(directory)[-1] + 1}."
        )
    created = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / str(version)
    temporary = directory / f".incomplete-{version}-{os.getpid()}"
    done = False
    try:
        _write(server, model, temporary, name)
        try:
            temporary.rename(target)
        except OSError as error:
            raise ValueError(
                f"Version {version} was not written, '{target}' is in the way: {error.strerror}."
            ) from None
        done = True
    finally:
        # Also when it is interrupted: whatever is raised, nothing is left.
        if not done:
            shutil.rmtree(temporary, ignore_errors=True)
            if created and not any(directory.iterdir()):
                directory.rmdir()
    write_serving_files(directory, name)
    return target


def _write(server, model, path, name):
    tf.saved_model.save(server, str(path), signatures=server.signatures())
    extra = path / EXTRA
    extra.mkdir()
    cases = sample_cases(model)
    write_warmup(extra / "tf_serving_warmup_requests", name, cases)
    for case in cases:
        case.outputs = keras_answers(model, case)
    save_cases(extra / "golden.npz", cases)
    description = {
        "name": name,
        "model": model.name,
        "board_size": model.board_size,
        "num_steps": model.arguments["num_steps"],
        "max_steps": server.max_steps,
        "max_samples": server.max_samples,
        "signatures": sorted(server.functions),
        "parameters": model.count_params(),
        "written_by": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
    (extra / "export.json").write_text(json.dumps(description, indent=1) + "\n")
