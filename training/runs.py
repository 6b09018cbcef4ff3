"""Run directories: a run's configuration, checkpoints, logs, weights and results."""

import dataclasses
import json
import os
import pathlib


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
        self.results = self.path / "results.json"
        self._config = self.path / "config.json"

    @property
    def exists(self):
        return self._config.is_file()

    def check(self, config, resume=False):
        """Raises a `ValueError` if a run with this configuration can't start here, or with `resume` can't go on.

        Args:
            config: Dictionary with `experiment`, `preset` and `options` (an `Options`).
            resume: Whether a run that is there is to go on.

        Raises:
            ValueError: If the directory holds another run or other files, or this run without `resume`.
        """
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
        elif self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise ValueError(f"'{self.path}' exists and is not a run directory. Choose another one with --run-dir.")

    def create(self, config):
        """Makes the directory and writes the configuration, that of `check`."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self._config, _plain(config))

    def read_config(self):
        """The configuration that `create` wrote.

        Raises:
            ValueError: If the directory holds no run.
        """
        return read_json(self._config, f"'{self.path}' is not a run directory: it has no config.json.")

    def add_result(self, result):
        """Appends a result, a dictionary, to the list in `results.json`, and returns its index there."""
        results = read_json(self.results, "") if self.results.exists() else []
        write_json(self.results, [*results, result])
        return len(results)


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
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    temporary.replace(path)


def _plain(config):
    """The configuration as JSON gives it back."""
    return json.loads(json.dumps({**config, "options": dataclasses.asdict(config["options"])}))


def _difference(present, wanted):
    """What differs, in words, or an empty string."""
    if (present.get("experiment"), present.get("preset")) != (wanted["experiment"], wanted["preset"]):
        return f"{present.get('experiment')} {present.get('preset')}"
    # Options that did not exist when the run was made are at their defaults.
    old = dataclasses.asdict(type(wanted["options"]).from_saved(present.get("options", {})))
    for name, value in dataclasses.asdict(wanted["options"]).items():
        if old[name] != value:
            return f"{name} is {old[name]!r} there and {value!r} here"
    return ""
