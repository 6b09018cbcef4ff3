"""The versions that are loaded, and which of them a request means."""

import contextlib
import dataclasses
import logging
import threading

import tensorflow as tf

from export.laptop.config import ModelConfig
from export.laptop.errors import RequestError, invalid
from export.serving import read_warmup
from export.versions import EXTRA

_LOG = logging.getLogger(__name__)
# As TensorFlow Serving replays.
_MOST_WARMUPS = 1000


class Version:
    """A version of a model, loaded from its SavedModel as TensorFlow Serving does it: as a graph with a session.

    Attributes:
        name: Name of the model.
        number: The version.
        signatures: Dictionary from names to `SignatureDef` messages.

    Args:
        name: Name of the model.
        number: The version.
        path: Directory of the version.
        warm_up: Whether to run its warm-up requests.
    """

    def __init__(self, name, number, path, warm_up=True):
        self.name, self.number = name, number
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with self._session.graph.as_default():
                graph = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(path))
            self.signatures = {
                key: value for key, value in graph.signature_def.items() if not key.startswith("__saved_model")
            }
            warmup = path / EXTRA / "tf_serving_warmup_requests"
            if warm_up and warmup.is_file():
                for request in read_warmup(warmup)[:_MOST_WARMUPS]:
                    signature = request.model_spec.signature_name or "serving_default"
                    self.run(signature, {key: tf.make_ndarray(value) for key, value in request.inputs.items()})
        except BaseException:
            self._session.close()
            raise

    def run(self, signature, inputs, outputs=None, timeout=None):
        """Answers.

        Args:
            signature: Name of the signature.
            inputs: Dictionary from names to arrays of the signature's dtypes and shapes.
            outputs: Names of the outputs that are wanted, by default all.
            timeout: Seconds after which the graph is stopped.

        Returns:
            Dictionary from names to arrays.

        Raises:
            RequestError: With the code and message of TensorFlow's runtime.
        """
        message = self.signatures[signature]
        fetches = {name: message.outputs[name].name for name in outputs or message.outputs}
        feeds = {message.inputs[name].name: value for name, value in inputs.items()}
        options = None
        if timeout is not None:
            options = tf.compat.v1.RunOptions(timeout_in_ms=max(1, int(timeout * 1000)))
        try:
            return self._session.run(fetches, feeds, options=options)
        except tf.errors.OpError as error:
            raise RequestError(error.error_code, one_sentence(error.message)) from None
        except (ValueError, TypeError) as error:
            raise invalid(str(error)) from None

    def check(self, signature, inputs):
        """Raises a `RequestError` unless inputs have a signature's dtypes and, where they are known, its shapes."""
        infos = self.signatures[signature].inputs
        if inputs.keys() != infos.keys():
            extra, missing = sorted(inputs.keys() - infos.keys()), sorted(infos.keys() - inputs.keys())
            raise invalid(
                f"input size does not match signature: {len(inputs)}!={len(infos)} len({{{','.join(sorted(inputs))}}}) "
                f"!= len({{{','.join(sorted(infos))}}}). Sent extra: {{{','.join(extra)}}}. "
                f"Missing but required: {{{','.join(missing)}}}."
            )
        for name, info in infos.items():
            value = inputs[name]
            dtype = tf.dtypes.as_dtype(info.dtype)
            found = tf.string if value.dtype.kind in "OSU" else tf.dtypes.as_dtype(value.dtype)
            if found != dtype:
                raise invalid(f"Expects '{name}' to be {dtype.name} but {found.name} is provided")
            if info.tensor_shape.unknown_rank:
                continue
            wanted = [dim.size for dim in info.tensor_shape.dim]
            if len(wanted) != value.ndim or any(a not in (-1, b) for a, b in zip(wanted, value.shape)):
                raise invalid(f"Expects '{name}' of shape {wanted} (-1 for any), but {list(value.shape)} is provided")

    def close(self):
        """Frees the model. Nothing may run any more."""
        self._session.close()


def one_sentence(message):
    """A message of TensorFlow's runtime without the trace of nodes that comes after it."""
    text = message.split("\n\t [[")[0].split("\n\nOriginal stack trace")[0]
    return text.removeprefix("Graph execution error:").strip()


@dataclasses.dataclass
class _State:
    """What has become of a version: its name in TensorFlow Serving's API, and why it could not be loaded."""

    state: str
    error: str = ""


class Models:
    """All models that are served. `follow` makes them what a configuration says; requests are `using` a version.

    Attributes:
        configs: What was last followed, a list of `ModelConfig`.

    Args:
        warm_up: Whether to run the warm-up requests of versions.
    """

    def __init__(self, warm_up=True):
        self._warm_up = warm_up
        self._lock, self._following = threading.Lock(), threading.Lock()
        # Replaced together, under the lock: a request sees all of a change or nothing.
        self._served, self._labels, self._states = {}, {}, {}
        self._users = {}
        self.configs = []

    def follow(self, configs: list[ModelConfig]):
        """Loads the versions that are wanted, then moves labels and drops the others: no request is lost.

        A version that is dropped is freed when the last request that uses it has its answer.

        Args:
            configs: What is to be served.

        Returns:
            List of sentences on what could not be done; as far as that goes, what was served before is kept.
        """
        with self._following:
            self.configs = configs
            problems, served, labels = [], {}, {}
            for config in configs:
                served[config.name] = self._versions(config, problems)
                labels[config.name] = self._labels_of(config, served[config.name], problems)
            with self._lock:
                before, self._served, self._labels = self._served, served, labels
                kept = {id(version) for versions in served.values() for version in versions.values()}
                dropped = [one for versions in before.values() for one in versions.values() if id(one) not in kept]
                for version in dropped:
                    self._states[version.name][version.number] = _State("END")
                idle = [version for version in dropped if version not in self._users]
            for version in idle:
                version.close()
            for version in dropped:
                _LOG.info("version %d of %s is no longer served", version.number, version.name)
            return problems

    def _versions(self, config, problems):
        states = self._states.setdefault(config.name, {})
        old, wanted = self._served.get(config.name, {}), config.wanted()
        own = {number: old[number] for number in wanted & old.keys()}
        for number in sorted(wanted - old.keys()):
            problem = self._load(config, number, own, states)
            problems += [problem] if problem else []
        if not own:
            # As TensorFlow Serving keeps a model available: nothing is unloaded before something else is loaded.
            kept = "; those that were are kept" if old else ""
            problems.append(f"'{config.path}' has no version of {config.name} that can be served{kept}")
        return own or old

    def _labels_of(self, config, versions, problems):
        before, labels = self._labels.get(config.name, {}), {}
        for label, number in config.labels.items():
            if number in versions:
                labels[label] = number
                continue
            problems.append(f"the label {label} of {config.name} points to version {number}, which is not served")
            if before.get(label) in versions:
                labels[label] = before[label]
        return labels

    def _load(self, config, number, own, states):
        failed = states.get(number)
        path = config.path / str(number)
        if failed is not None and failed.state == "END" and failed.error:
            # It is not tried again and again; a version is never written over.
            return f"version {number} of {config.name} can't be loaded: {failed.error}"
        states[number] = _State("LOADING")
        try:
            own[number] = Version(config.name, number, path, self._warm_up)
        except Exception as error:
            # TensorFlow raises many kinds of errors for a damaged model.
            states[number] = _State("END", " ".join(str(error).split())[:500] or type(error).__name__)
            return f"version {number} of {config.name} can't be loaded: {states[number].error}"
        states[number] = _State("AVAILABLE")
        _LOG.info("loaded version %d of %s from %s", number, config.name, path)
        return None

    def served(self):
        """What is served, a dictionary from names of models to sorted lists of versions."""
        with self._lock:
            return {name: sorted(versions) for name, versions in self._served.items()}

    @contextlib.contextmanager
    def using(self, name, number=None, label=None):
        """The version that a request means: the latest one, unless it says a number or a label.

        A context manager: the version is not freed before its end.

        Raises:
            RequestError: If there is none.
        """
        with self._lock:
            version = self._find(name, number, label)
            self._users[version] = self._users.get(version, 0) + 1
        try:
            yield version
        finally:
            with self._lock:
                self._users[version] -= 1
                last = not self._users[version]
                if last:
                    del self._users[version]
                served = self._served.get(version.name, {}).get(version.number) is version
            if last and not served:
                version.close()

    def _find(self, name, number, label):
        if not name:
            raise invalid("ModelSpec has no name specified.")
        versions = self._served.get(name, {})
        if label and versions:
            if label not in self._labels[name]:
                raise invalid(f"Unrecognized servable version label: {label}")
            number = self._labels[name][label]
        if not versions or (number is not None and number not in versions):
            which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
            raise RequestError("NOT_FOUND", f"Servable not found for request: {which}")
        return versions[max(versions) if number is None else number]

    def states(self, name, number=None, label=None):
        """What has become of the versions of a model, a list of `(version, state, error)`, the latest first.

        Raises:
            RequestError: If there is no such model or version.
        """
        if label:
            with self._lock:
                number = self._find(name, None, label).number
        states = self._states.get(name, {})
        found = {one: state for one, state in states.items() if number in (None, one)}
        if not found:
            what = f"any versions of model {name}" if number is None else f"version {number} of model {name}"
            raise RequestError("NOT_FOUND", f"Could not find {what}")
        return [(one, found[one].state, found[one].error) for one in sorted(found, reverse=True)]
