"""Run directories: a run's configuration, checkpoints, logs, weights and results."""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import socket


class RunDirectory:
    """A directory that holds one run: `config.json`, `checkpoints/`, `logs/`, `model.keras` and `results.json`.

    Args:
        path: Where it is or will be.

    Example:

    >>> RunDirectory("runs/sudoku9_small").results  # doctest: +SKIP
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.logs = self.path / "logs"
        self.model = self.path / "model.keras"
        self.best = self.path / "best.keras"
        self.results = self.path / "results.json"
        self.divergence = self.path / "diverged.json"
        self._config = self.path / "config.json"
        self._lock = self.path / ".lock"
        self._claim = None

    @property
    def exists(self):
        return self._config.is_file()

    def check(self, config, resume=False):
        """Raises a `ValueError` if a run with this configuration can't start here, or with `resume` can't go on.

        Args:
            config: Dictionary with `experiment`, `preset` and `options` (an `Options`).
            resume: Whether a run that is there is to go on.

        Raises:
            ValueError: If the directory holds another run or other files, or this run without `resume`, or can't be
                written.
        """
        with self._rights():
            self._check(config, resume)
            present = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
            effective = {os.access} & os.supports_effective_ids
            if not os.access(present, os.W_OK | os.X_OK, effective_ids=bool(effective)):
                raise PermissionError(13, "Permission denied")

    def _check(self, config, resume):
        if self.exists:
            difference = _difference(self.read_config(), config)
            if difference:
                raise ValueError(
                    f"'{self.path}' holds another run ({difference}). Choose another directory with --run-dir, or give "
                    "the options of that run to resume it."
                )
            if not resume:
                raise ValueError(
                    f"'{self.path}' holds this run already. Go on with it by --resume, or choose another --run-dir."
                )
        elif self.path.exists() and (not self.path.is_dir() or set(self.path.iterdir()) - {self._lock}):
            raise ValueError(f"'{self.path}' exists and is not a run directory. Choose another one with --run-dir.")

    def create(self, config):
        """Makes the directory and writes the configuration, that of `check`.

        Raises:
            ValueError: If it can't be written.
        """
        with self._rights():
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self._config, _plain(config))

    def claim(self):
        """Makes the directory and keeps other processes from training in it, as long as this one lives.

        Raises:
            ValueError: If another one does already, or the directory can't be written.
        """
        with self._rights():
            self.path.mkdir(parents=True, exist_ok=True)
            claim = self._lock.open("a+")
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                claim.seek(0)
                raise ValueError(
                    f"Another process trains in '{self.path}' ({claim.read().strip() or 'unknown'}). Wait until it has "
                    "ended, or choose another --run-dir."
                ) from None
            except OSError:
                # A file system without locks: then nothing can be known.
                return
            claim.truncate(0)
            claim.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            claim.flush()
            # Closing it would give the claim up.
            self._claim = claim

    @contextlib.contextmanager
    def _rights(self):
        try:
            yield
        except OSError as error:
            raise ValueError(
                f"The run directory '{self.path}' can't be written: {error.strerror or error}. Choose another one with "
                "--run-dir."
            ) from None

    def read_config(self):
        """The configuration that `create` wrote.

        Raises:
            ValueError: If the directory holds no run.
        """
        return read_json(self._config, f"'{self.path}' is not a run directory: it has no config.json.")

    def add_result(self, result):
        """Appends a result, a dictionary, to the list in `results.json`, and returns its index there."""
        results = self.read_results()
        write_json(self.results, [*results, result])
        return len(results)

    def forget_results_after(self, step):
        """Takes the training's own results of later updates out of the list: a run that goes on makes them again."""
        results = self.read_results()
        kept = [result for result in results if "evaluation" in result or result.get("step", 0) <= step]
        if len(kept) < len(results):
            write_json(self.results, kept)

    def read_results(self):
        """The list in `results.json`, empty if there is none."""
        return read_json(self.results, "") if self.results.exists() else []


def read_json(path, missing):
    """What a JSON file holds; a `ValueError` with the text `missing` if it isn't there."""
    try:
        return json.loads(pathlib.Path(path).read_text())
    except FileNotFoundError:
        raise ValueError(missing) from None
    except ValueError as error:
        raise ValueError(f"'{path}' is not valid JSON: {error}.") from None


def write_json(path, value):
    """Writes JSON by way of a temporary file, so that an interruption never leaves half a file."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(value, indent=1) + "\n")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _plain(config):
    """The configuration as JSON gives it back."""
    return json.loads(json.dumps({**config, "options": dataclasses.asdict(config["options"])}))


def _difference(present, wanted):
    """What differs, in words, or an empty string."""
    if (present.get("experiment"), present.get("preset")) != (wanted["experiment"], wanted["preset"]):
        return f"{present.get('experiment')} {present.get('preset')}"
    # Options that did not exist when the run was made are at their defaults.
    old = type(wanted["options"]).from_saved(present.get("options", {}))
    pairs = {
        field.name: (getattr(old, field.name), getattr(wanted["options"], field.name))
        for field in dataclasses.fields(old)
        if field.metadata["kept"]
    }
    return ", ".join(
        f"{name} is {there!r} there and {here!r} here" for name, (there, here) in pairs.items() if there != here
    )
