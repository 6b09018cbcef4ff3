"""Writing versions of a served model: all of a version, or nothing."""

import json
import os
import pathlib
import shutil

import keras
import tensorflow as tf

from export.card import write_card, write_sums
from export.golden import save_cases
from export.labels import serve_beside
from export.servers import server_for
from export.serving import check_batching, check_name, require_serving_api, write_serving_files, write_warmup
from export.versions import EXTRA, existing_versions


def export_model(model, directory, version=None, name=None, origin=None, weights="float32", **settings):
    """Writes a model as a version that TensorFlow Serving serves.

    `directory/version` gets the SavedModel with the signatures of the model's server (see `export.servers`), and in
    `assets.extra/` warm-up requests, golden answers for `export.check`, a description, a model card and the sums of all
    files. `directory/serving` gets the configuration of TensorFlow Serving and a compose file, unless they are there.
    Where the configuration lists which versions are served, see `export.labels`, the new one is added to them.

    The version is written to a temporary directory with a name that is no integer, and renamed at the end: a server
    that watches the directory never sees half of it, and an error or an interruption leaves nothing behind.

    Args:
        model: A Keras model or layer of one of the types in `export.servers.SERVERS`, on the TensorFlow backend. Layers
            with a mixed precision policy are changed to float32.
        directory: Directory of the versions; made if it isn't there.
        version: Integer of at least 1; by default the one after the latest.
        name: Name of the model for the server; the server's `kind` by default, such as `"sudoku"`.
        origin: Where the model comes from, for the model card: as `export.card.origin` gives it.
        weights: What the weights are stored as: `"float32"`, or `"float16"` for half the size. See `export.weights`.
        **settings: Limits and other settings of what is served, as `export.families` has them, such as `max_steps`.

    Returns:
        `pathlib.Path` of the version.

    Raises:
        ValueError: If the version exists, `directory` is a file, a package is missing, or an argument is wrong.

    Example:

    >>> export_model(SudokuModel.from_preset("sudoku9_small"), "served/sudoku").name  # doctest: +SKIP
    '1'
    """
    if name is not None:
        check_name(name)
    require_serving_api()
    server = server_for(model, weights=weights, **settings)
    name = server.family.kind if name is None else name
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
    check_batching(directory, server.declaration.max_batch)
    created = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / str(version)
    temporary = directory / f".incomplete-{version}-{os.getpid()}"
    done = False
    try:
        _write(server, temporary, name, origin or {})
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
    write_serving_files(directory, name, server.declaration.max_batch)
    serve_beside(directory, version)
    return target


def _write(server, path, name, origin):
    tf.saved_model.save(server, str(path), signatures=server.signatures())
    extra = path / EXTRA
    extra.mkdir()
    cases = server.sample_cases()
    write_warmup(extra / "tf_serving_warmup_requests", name, cases)
    for case in cases:
        if not case.fault:
            case.outputs = server.golden_answers(case)
    save_cases(extra / "golden.npz", cases)
    description = {
        "name": name,
        "model": server.model.name,
        **server.description(),
        "parameters": server.model.count_params(),
        "origin": origin,
        "written_by": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
    (extra / "export.json").write_text(json.dumps(description, indent=1) + "\n")
    write_card(path, server.declaration, description)
    write_sums(path)
