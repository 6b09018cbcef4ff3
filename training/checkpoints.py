"""Checkpoints that are whole or not there: written beside the training, with checksums."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil

import numpy as np
import tensorflow as tf

from training.failures import FilesError, reason

_STATE = "state"
_MANIFEST = "manifest.json"
_RATING = "rating.json"


class Checkpoints:
    """The checkpoints of a run.

    A checkpoint is a directory `update-00000500` with the variables in TensorFlow's own format (`state.index`,
    `state.data-…`, which `tf.train.load_checkpoint` reads) and `manifest.json`, which has the size and the SHA-256 of
    each file. All of it is written under another name, reaches the disk, and is renamed: a process that is killed
    leaves a whole checkpoint or none. Writing goes on in a thread while the training does; the values are copied first.

    The latest ones are kept, and beside them the best one, if there are ratings.

    Args:
        directory: Where they are or will be.
        variables: Dictionary from names of groups to lists of `tf.Variable`.
        keep: How many of the latest are kept.
        best: `"max"` or `"min"`: the rating to keep beside them; `None` keeps no other.

    Example:

    >>> weight = tf.Variable([1.0, 2.0])
    >>> checkpoints = Checkpoints("runs/example/checkpoints", {"model": [weight]}, keep=2)
    >>> checkpoints.save(100)  # doctest: +SKIP
    >>> checkpoints.wait()  # doctest: +SKIP
    >>> checkpoints.restore()  # doctest: +SKIP
    (100, [])
    """

    def __init__(self, directory, variables, keep, best=None):
        self.directory = pathlib.Path(directory)
        self.keep, self.best = keep, best
        self._variables = {
            f"{group}/{index}/.ATTRIBUTES/VARIABLE_VALUE": variable
            for group, members in variables.items()
            for index, variable in enumerate(members)
        }
        self._groups = tuple(variables)
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoints")
        self._pending = None

    def path(self, update):
        """Where the checkpoint of an update is."""
        return self.directory / f"update-{update:08d}"

    # --- writing ----------------------------------------------------------------------------------------------------

    def save(self, update):
        """Copies the variables and begins to write them. Waits for the checkpoint before, if it is not written yet.

        Args:
            update: Number of updates that were made.

        Raises:
            FilesError: If the one before could not be written.
        """
        self.wait()
        values = [variable.numpy() for variable in self._variables.values()]
        self._pending = self._writer.submit(self._write, update, values)

    def check(self):
        """Raises `FilesError` if the last one could not be written; does not wait for it."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def wait(self):
        """Waits until the last one is on the disk.

        Raises:
            FilesError: If it could not be written.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def rate(self, update, rating):
        """Notes how good the model of a checkpoint is.

        Args:
            update: The checkpoint's.
            rating: A number.

        Returns:
            Whether it is the best so far.
        """
        self.wait()
        path = self.path(update)
        before = [self._rating(other) for other in self._whole() if other != path]
        _write(path / _RATING, json.dumps({"rating": float(rating)}))
        self._prune()
        before = [self._sign * value for value in before if value is not None]
        return self._sign * rating > max(before, default=-np.inf)

    @property
    def _sign(self):
        return -1 if self.best == "min" else 1

    def _rating(self, path):
        try:
            rating = json.loads((path / _RATING).read_text())["rating"]
        except (OSError, ValueError, KeyError):
            return None
        # What is not a number is worse than any.
        return None if np.isnan(rating) else rating

    def _write(self, update, values):
        path = self.path(update)
        temporary = self.directory / f"incomplete-{path.name}"
        try:
            if path.exists():
                if _damage(path) is None:
                    return
                shutil.rmtree(path)
            self.directory.mkdir(parents=True, exist_ok=True)
            for left in self.directory.glob("incomplete-*"):
                shutil.rmtree(left)
            temporary.mkdir()
            with tf.device("CPU:0"):
                tf.raw_ops.SaveV2(
                    prefix=str(temporary / _STATE),
                    tensor_names=list(self._variables),
                    shape_and_slices=[""] * len(values),
                    tensors=values,
                )
            files = {file.name: _description(file) for file in sorted(temporary.iterdir())}
            for name in files:
                _to_disk(temporary / name)
            _write(temporary / _MANIFEST, json.dumps({"update": update, "files": files}, indent=1))
            _to_disk(temporary)
            temporary.rename(path)
            _to_disk(self.directory)
            self._prune()
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            last = self.latest()
            raise FilesError(
                f"The checkpoint of update {update} can't be written to '{self.directory}': {reason(error)}. "
                + (f"The last whole one is of update {last}. " if last is not None else "There is none before it. ")
                + "Mend this and go on with --resume."
            ) from error

    def _prune(self):
        whole = self._whole()
        kept = set(whole[: self.keep])
        rated = [path for path in whole if self._rating(path) is not None]
        if self.best and rated:
            kept.add(max(rated, key=lambda path: self._sign * self._rating(path)))
        for path in whole:
            if path not in kept:
                # Not whole any more from the first file on, so a kill in the middle leaves no damaged checkpoint.
                path = path.rename(path.with_name(f"incomplete-{path.name}"))
                shutil.rmtree(path)

    # --- reading ----------------------------------------------------------------------------------------------------

    def _found(self):
        """All checkpoints, newest first: pairs of the update and the path. Until 0.4 they were files, `ckpt-500.…`."""
        if not self.directory.is_dir():
            return []
        found = []
        for path in self.directory.iterdir():
            match = re.fullmatch(r"update-(\d+)|ckpt-(\d+)\.index", path.name)
            # What leads elsewhere was not written here.
            if match and not path.is_symlink():
                found.append((int(match[1] or match[2]), path))
        return sorted(found, reverse=True)

    def _whole(self):
        """Paths of those of this version whose manifest is there, newest first."""
        return [path for _, path in self._found() if (path / _MANIFEST).is_file()]

    def latest(self):
        """The update of the newest checkpoint, or `None`. Does not read all of it."""
        return next((update for update, path in self._found() if not path.is_dir() or path in self._whole()), None)

    def restore(self):
        """Gives the variables the values of the newest whole checkpoint.

        Returns:
            `(update, damaged)`: the number of updates made before it, 0 without a checkpoint, and a list of lines, one
            for each newer checkpoint that is damaged.

        Raises:
            ValueError: If all checkpoints are damaged, or it is of another model.
        """
        damaged = []
        found = self._found()
        for update, path in found:
            damage = _damage(path)
            if damage is None:
                self._assign(path / _STATE if path.is_dir() else path.with_suffix(""))
                return update, damaged
            damaged.append(f"The checkpoint '{path}' is damaged and not used: {damage}.")
        if found:
            raise ValueError(
                f"None of the {len(found)} checkpoints in '{self.directory}' is whole. {damaged[0]} Bring back a copy "
                "of one, or start anew in another --run-dir."
            )
        return 0, []

    def _assign(self, prefix):
        try:
            reader = tf.train.load_checkpoint(str(prefix))
        except (tf.errors.OpError, RuntimeError) as error:
            # The sums are right: it was never a checkpoint.
            raise ValueError(f"The checkpoint '{prefix}' can't be read: {reason(error)}.") from None
        saved = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
        saved = {name: shape for name, shape in saved.items() if name.split("/")[0] in self._groups}
        groups = {name.split("/")[0] for name in saved}
        # Those that were written before the states of generators were kept have none.
        wanted = {n: v for n, v in self._variables.items() if n.split("/")[0] in groups or not n.startswith("seeds/")}
        if saved != {name: tuple(variable.shape) for name, variable in wanted.items()}:
            raise ValueError(
                f"The checkpoint '{prefix}' is of another model: it has {len(saved)} variables, this model and its "
                f"optimizer {len(wanted)}, or they differ in shape. Choose another --run-dir, or the options it was "
                "made with."
            )
        for name, variable in wanted.items():
            variable.assign(reader.get_tensor(name))


def _damage(path):
    """What is wrong with a checkpoint, in words, or `None`."""
    if not path.is_dir():
        return _unreadable(path.with_suffix(""))
    try:
        files = json.loads((path / _MANIFEST).read_text())["files"]
        for name, wanted in files.items():
            if pathlib.PurePath(name).name != name or (path / name).is_symlink():
                return f"'{name}' leads out of its directory"
            found = _description(path / name)
            for what, value in wanted.items():
                if found[what] != value:
                    return f"'{name}' has {what} {found[what]} where {value} was written"
    except FileNotFoundError as error:
        return f"'{pathlib.Path(error.filename).name}' is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"it can't be read ({type(error).__name__}: {error})"
    return None


def _unreadable(prefix):
    """The same of a checkpoint without a manifest: TensorFlow's own checksums, of each variable."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        return f"it can't be read ({type(error).__name__})"
    return None


def _description(path):
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "SHA-256": hashlib.file_digest(file, "sha256").hexdigest()}


def _write(path, text):
    """Writes a small file, whole and on the disk."""
    temporary = path.with_name(f"incomplete-{path.name}")
    temporary.write_text(text + "\n")
    _to_disk(temporary)
    temporary.replace(path)


def _to_disk(path):
    """Waits until what was written to a file or directory would outlive the machine's power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
