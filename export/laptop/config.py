"""What is served and how: `models.config` and `batching.config`, read as TensorFlow Serving reads them."""

import dataclasses
import pathlib

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from export.serving import require_serving_api
from export.versions import existing_versions, latest_version, read_description


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A model that is served.

    Attributes:
        name: Its name.
        path: `pathlib.Path` of the directory of its versions.
        labels: Dictionary from labels to versions.
        specific: Tuple of the versions to serve, or `None`.
        latest: How many of the latest versions to serve where `specific` is `None`; `None` for all.
    """

    name: str
    path: pathlib.Path
    labels: dict
    specific: tuple | None = None
    latest: int | None = 1

    def wanted(self):
        """The versions to serve of those that are there, a set of integers."""
        there = existing_versions(self.path)
        if self.specific is not None:
            return set(self.specific) & set(there)
        return set(there if self.latest is None else there[-self.latest :])


def config_text(directory):
    """The text of `serving/models.config` of a directory of versions, or `None` if there is no such file.

    Raises:
        ValueError: If it is no text.
    """
    path = pathlib.Path(directory) / "serving" / "models.config"
    return _text(path) if path.is_file() else None


def read_models(directory, text):
    """What `serving/models.config` of a directory of versions says.

    The paths in the file are those of the container that `docker-compose.yml` describes, where `/models/NAME` is this
    directory. Another path is taken as it is.

    Args:
        directory: The directory of the versions.
        text: What `config_text` gave; where that is `None`, the latest version is served.

    Returns:
        A list of `ModelConfig`.

    Raises:
        ValueError: If the file is damaged, or there is no exported model.
    """
    directory = pathlib.Path(directory)
    if text is None:
        name = read_description(latest_version(directory))["name"]
        return [ModelConfig(name, directory, {})]
    where = f"'{directory / 'serving' / 'models.config'}'"
    return models_from_message(_parse(text, _server_config(), where), directory, where)


def models_from_message(message, directory, where):
    """The same of a `ModelServerConfig` message, as a client may send it."""
    if message.WhichOneof("config") != "model_config_list":
        raise ValueError(f"{where} must have a model_config_list.")
    models = []
    for config in message.model_config_list.config:
        if not config.name or not config.base_path:
            raise ValueError(f"{where}: each config must have a name and a base_path.")
        path = pathlib.Path(config.base_path)
        if config.base_path.rstrip("/") == f"/models/{config.name}" and not path.exists():
            path = directory
        policy = config.model_version_policy
        specific, latest = None, 1
        if policy.WhichOneof("policy_choice") == "specific":
            specific = tuple(policy.specific.versions)
        elif policy.WhichOneof("policy_choice") == "all":
            latest = None
        elif policy.WhichOneof("policy_choice") == "latest":
            latest = policy.latest.num_versions or 1
        models.append(ModelConfig(config.name, path, dict(config.version_labels), specific, latest))
    if len({model.name for model in models}) != len(models):
        raise ValueError(f"{where} has two models of one name.")
    return models


@dataclasses.dataclass(frozen=True)
class Batching:
    """How requests are joined.

    Attributes:
        max_batch: Most examples of a request.
        timeout: Seconds that the first request of a batch waits for others.
        max_enqueued: Most batches of a signature that wait.
        threads: How many batches run at a time.
        splits: Whether a request may be larger than a batch, and is split then.
        max_execution: Most examples of a batch.
    """

    max_batch: int = 1000
    timeout: float = 0.0
    max_enqueued: int = 10
    threads: int = 4
    splits: bool = False
    max_execution: int = 1000


def read_batching(directory, threads):
    """What `serving/batching.config` of a directory of versions says.

    Args:
        directory: The directory of the versions.
        threads: How many batches run at a time where the file does not say.

    Returns:
        A `Batching`, or `None` if there is no such file: requests are not joined then.

    Raises:
        ValueError: If the file is damaged or asks for what this server does not do.
    """
    path = pathlib.Path(directory) / "serving" / "batching.config"
    if not path.is_file():
        return None
    message = _parse(_text(path), _batching_parameters(), f"'{path}'")

    def value(name, default, least):
        number = getattr(message, name).value if message.HasField(name) else default
        if number < least:
            raise ValueError(f"'{path}': {name} must be at least {least}. It is {number}.")
        return number

    if message.allowed_batch_sizes or message.pad_variable_length_inputs:
        raise ValueError(f"'{path}': allowed_batch_sizes and pad_variable_length_inputs are not for these models.")
    most = value("max_batch_size", 1000, 1)
    splits = message.enable_large_batch_splitting.value
    execution = value("max_execution_batch_size", most, 1) if splits else most
    return Batching(
        most,
        value("batch_timeout_micros", 0, 0) / 1e6,
        value("max_enqueued_batches", 10, 1),
        value("num_batch_threads", threads, 1),
        splits,
        min(execution, most),
    )


def _text(path):
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' is damaged: {error}.") from None


def _parse(text, message, where):
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise ValueError(f"{where} is damaged: {error}.") from None


def _server_config():
    require_serving_api()
    from tensorflow_serving.config import model_server_config_pb2

    return model_server_config_pb2.ModelServerConfig()


def _batching_parameters():
    """A message with the fields of TensorFlow Serving's `BatchingParameters`, which its Python package lacks."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="export/laptop/batching.proto", package="export.laptop", syntax="proto3"
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    fields = file.message_type.add(name="BatchingParameters").field
    numbers = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    wrapped = {name: "Int64Value" for name in (*numbers, "max_execution_batch_size")}
    wrapped |= {"thread_pool_name": "StringValue", "enable_large_batch_splitting": "BoolValue"}
    for name, kind in wrapped.items():
        fields.add(
            name=name,
            number=len(fields) + 1,
            type=field.TYPE_MESSAGE,
            type_name=f".google.protobuf.{kind}",
            label=field.LABEL_OPTIONAL,
        )
    repeated = {"type": field.TYPE_INT64, "label": field.LABEL_REPEATED}
    fields.add(name="allowed_batch_sizes", number=len(fields) + 1, **repeated)
    fields.add(
        name="pad_variable_length_inputs",
        number=len(fields) + 1,
        type=field.TYPE_BOOL,
        label=field.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("export.laptop.BatchingParameters"))()
