"""Which versions a server serves, and under which labels: `promote`, `rollback` and `prune`, in `models.config`.

Until a label is given, the server serves the latest version. From the first `promote` on it serves those that
`models.config` lists: an export adds its version to them, beside the live ones, and no request that goes to a label
sees it before the label is moved. TensorFlow Serving reads the file every few seconds, as `docker-compose.yml` says.
It moves a label to a version only once this is loaded; until then the label stays where it was, and the next reading
moves it.
"""

import os
import pathlib
import re
import shutil

from export.versions import existing_versions

STABLE = "stable"
_PREVIOUS = "-previous"


def labels(directory):
    """The labels of the versions in a directory, a dictionary to version numbers.

    Raises:
        ValueError: If there is no `models.config`, or it has no model with these versions.
    """
    return dict(_Config(directory).model.version_labels)


def promote(directory, version, label=STABLE):
    """Moves a label to a version, and keeps in another one, such as `stable-previous`, where it was.

    Args:
        directory: Directory of the versions.
        version: The version.
        label: The label.

    Returns:
        Dictionary of all labels.

    Raises:
        ValueError: If there is no such version, or no `models.config` with this model.

    Example:

    >>> promote("serving/sudoku", 3)  # doctest: +SKIP
    {'stable': 3, 'stable-previous': 2}
    """
    _check_label(label)
    config = _Config(directory)
    if version not in existing_versions(directory):
        raise ValueError(
            f"'{directory}' holds no version {version}. It holds: {_listed(existing_versions(directory))}."
        )
    present = config.model.version_labels.get(label)
    config.model.version_labels[label] = version
    if present not in (None, version):
        config.model.version_labels[label + _PREVIOUS] = present
    config.serve(version)
    config.write()
    return dict(config.model.version_labels)


def rollback(directory, label=STABLE):
    """Moves a label back to where it was before `promote` moved it; once more moves it forth again.

    Args:
        directory: Directory of the versions.
        label: The label.

    Returns:
        Dictionary of all labels.

    Raises:
        ValueError: If the label was never moved, or the version is not there any more.
    """
    _check_label(label)
    config = _Config(directory)
    given = config.model.version_labels
    if label + _PREVIOUS not in given or label not in given:
        raise ValueError(f"The label '{label}' has no earlier version to go back to. Labels: {dict(given) or 'none'}.")
    if given[label + _PREVIOUS] not in existing_versions(directory):
        raise ValueError(f"Version {given[label + _PREVIOUS]}, where '{label}' was before, is not in '{directory}'.")
    given[label], given[label + _PREVIOUS] = given[label + _PREVIOUS], given[label]
    config.serve(given[label])
    config.write()
    return dict(given)


def prune(directory, keep=1):
    """Deletes versions that have no label, all but the latest ones.

    They are taken out of `models.config` first, and each is gone as a whole: a server never sees half of one.

    Args:
        directory: Directory of the versions.
        keep: How many of the latest versions stay, labels or not.

    Returns:
        The versions that were deleted, a list.

    Raises:
        ValueError: If `keep` is no integer of at least 1, or there is no `models.config` with this model.
    """
    if not isinstance(keep, int) or isinstance(keep, bool) or keep < 1:
        raise ValueError(f"`keep` must be an integer of at least 1. Received {keep!r}.")
    config, versions = _Config(directory), existing_versions(directory)
    staying = {*config.model.version_labels.values(), *versions[-keep:]}
    gone = [version for version in versions if version not in staying]
    if config.pinned:
        listed = config.model.model_version_policy.specific.versions
        remaining = [version for version in listed if version not in gone]
        if remaining != list(listed):
            listed[:] = remaining
            config.write()
    for version in gone:
        path = pathlib.Path(directory) / str(version)
        away = path.with_name(f".pruned-{version}-{os.getpid()}")
        path.rename(away)
        shutil.rmtree(away)
    return gone


def serve_beside(directory, version):
    """Adds a new version to those that are served, where `models.config` lists them; otherwise nothing is changed."""
    path = pathlib.Path(directory) / "serving" / "models.config"
    if path.is_file():
        config = _Config(directory)
        if config.pinned:
            config.serve(version)
            config.write()


class _Config:
    """`serving/models.config` of a directory of versions, and in it the model that these are of."""

    def __init__(self, directory):
        from google.protobuf import text_format
        from tensorflow_serving.config import model_server_config_pb2

        self._versions = existing_versions(directory)
        self._path = pathlib.Path(directory) / "serving" / "models.config"
        try:
            self._text = self._path.read_text()
            self._message = text_format.Parse(self._text, model_server_config_pb2.ModelServerConfig())
        except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
            raise ValueError(f"'{self._path}' can't be read as a configuration of models: {error}.") from None
        models = self._message.model_config_list.config
        # Of several the one whose path ends like the directory's.
        own = [
            model
            for model in models
            if pathlib.PurePath(model.base_path).name == pathlib.Path(directory).resolve().name
        ]
        if len(models) != 1 and len(own) != 1:
            raise ValueError(f"'{self._path}' must hold one model, or one whose base_path ends like '{directory}'.")
        self.model = models[0] if len(models) == 1 else own[0]

    @property
    def pinned(self):
        """Whether the versions that are served are listed."""
        return self.model.model_version_policy.WhichOneof("policy_choice") == "specific"

    def serve(self, version):
        """Lists a version among those that are served. The first time, the one that was served stays."""
        listed = {*self.model.version_labels.values(), version}
        served = self.model.model_version_policy.specific.versions if self.pinned else self._versions[-1:]
        listed |= set(served)
        self.model.model_version_policy.specific.versions[:] = sorted(listed)

    def write(self):
        """Writes the file in one go, with the comments that were at its top."""
        from google.protobuf import text_format

        comments = re.match(r"(?:\s*#[^\n]*\n)*", self._text)[0]
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            temporary.write_text(comments + text_format.MessageToString(self._message))
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)


def _check_label(label):
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", label) or label.endswith(_PREVIOUS):
        raise ValueError(
            f"A label must be letters, digits, '_' and '-', start with a letter or digit, and not end with "
            f"'{_PREVIOUS}'. Received {label!r}."
        )


def _listed(versions):
    return ", ".join(map(str, versions)) or "none"
