"""Files for TensorFlow Serving: warm-up requests inside a version, and the server's configuration beside it."""

import os
import pathlib
import re

# The newest image that was known to be published when this was written. TensorFlow 2.19.1 (its Python package and its C
# API) gives the golden answers with models that 2.21 exported: the graphs have only ops that are years old.
IMAGE = "tensorflow/serving:2.19.1"

_MODELS = """\
# Which models the server serves, and where it finds their versions: the latest one, until `python -m export promote`
# lists here which are served, and gives them labels.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
}}
"""

_BATCHING = """\
# How the server joins requests to one signature into a batch, along the first axis: every input of every signature
# needs an entry for each example then, `num_samples: [64, 64]` and not `num_samples: 64`. Any batch size is served
# alike, so there are no allowed_batch_sizes to pad to; num_batch_threads is left at one for each core.
# An answer does not depend on what else is in its batch. But all examples of a batch wait for the one with the most
# steps and samples, and a request with a value out of range fails those it was joined with: check before sending.
# max_batch_size must be no more than the `max_batch` of any version that is served.
max_batch_size {{ value: {max_batch} }}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 100 }}
"""

_COMPOSE = """\
# docker compose up
# REST: http://localhost:8501/v1/models/{name}:predict    gRPC: localhost:8500
services:
  serving:
    image: ${{TF_SERVING_IMAGE:-{image}}}
    command:
      - --model_config_file=/serving/models.config
      - --model_config_file_poll_wait_seconds=5
      - --allow_version_labels_for_unavailable_models=true
      - --enable_batching=true
      - --batching_parameters_file=/serving/batching.config{xla}
    ports:
      - "8501:8501"
      - "8500:8500"
    volumes:
      - ..:/models/{name}:ro
      - .:/serving:ro
    restart: unless-stopped
"""

# Off by default in TensorFlow Serving; without it a version with a compiled signature is not loaded.
_XLA_FLAG = "--xla_cpu_compilation_enabled=true"


def check_name(name):
    """Returns a name for a served model, or raises a `ValueError`: it has to fit into URLs, paths and YAML."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(
            f"The name of a served model must be letters, digits, '_', '.' and '-', and start with a letter or digit. "
            f"Received {name!r}."
        )
    return name


def check_batching(directory, max_batch):
    """Raises a `ValueError` if the configuration that is there joins requests to larger batches than are accepted."""
    path = pathlib.Path(directory) / "serving" / "batching.config"
    found = re.search(r"^\s*max_batch_size\s*\{\s*value:\s*(\d+)", path.read_text() if path.is_file() else "", re.M)
    if found and int(found[1]) > max_batch:
        raise ValueError(
            f"By '{path}' a server joins requests to batches of up to {found[1]} examples, more than `max_batch`, "
            f"{max_batch}, which this version would refuse. Lower max_batch_size there, or raise --max-batch."
        )


def check_compose(directory, xla):
    """Raises a `ValueError` if a version that is compiled would meet a server that does not compile."""
    path = pathlib.Path(directory) / "serving" / "docker-compose.yml"
    if xla and path.is_file() and _XLA_FLAG not in path.read_text():
        raise ValueError(
            f"By '{path}' a server does not compile, and would not load a version with a compiled signature. Add "
            f"'- {_XLA_FLAG}' to its command there."
        )


def serving_files(name, max_batch, xla=False):
    """The text of `models.config`, `batching.config` and `docker-compose.yml`, a dictionary by file name."""
    values = {"name": check_name(name), "image": IMAGE, "max_batch": max_batch}
    values["xla"] = f"\n      - {_XLA_FLAG}" if xla else ""
    templates = {"models.config": _MODELS, "batching.config": _BATCHING, "docker-compose.yml": _COMPOSE}
    return {file: template.format(**values) for file, template in templates.items()}


def write_serving_files(directory, name, max_batch, xla=False):
    """Writes the files of `serving_files` to `directory/serving`, except those that are there: they may be edited.

    Args:
        directory: The directory of the versions.
        name: Name of the model for the server.
        max_batch: The largest number of examples of a request.
        xla: Whether the server is to compile.

    Returns:
        List of the paths that were written.
    """
    folder = pathlib.Path(directory) / "serving"
    folder.mkdir(exist_ok=True)
    written = []
    for file, text in serving_files(name, max_batch, xla).items():
        path = folder / file
        if path.exists():
            continue
        temporary = folder / f".{file}.{os.getpid()}"
        try:
            temporary.write_text(text)
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        written.append(path)
    return written


def require_serving_api():
    """Imports the messages of TensorFlow Serving.

    Returns:
        The modules `(predict_pb2, prediction_log_pb2)`.

    Raises:
        ValueError: If the package isn't installed.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError as error:
        raise ValueError(
            f"The package tensorflow-serving-api is needed ({error}). Install the extra: pip install '.[export]'"
        ) from None
    return predict_pb2, prediction_log_pb2


def predict_request(name, signature, inputs):
    """A `PredictRequest`, for gRPC and for warm-up; the inputs are NumPy arrays."""
    import tensorflow as tf

    predict_pb2, _ = require_serving_api()
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def write_warmup(path, name, cases, sizes):
    """Writes warm-up requests, a TFRecord file of `PredictionLog`.

    Args:
        path: `assets.extra/tf_serving_warmup_requests` of a version.
        name: Name of the model for the server.
        cases: List of `Case`. Those to be rejected are left out, and those with scalar inputs: a server that batches
            could not replay them, and would not load the model.
        sizes: Function of a case: with how many examples it is sent.
    """
    import tensorflow as tf

    _, prediction_log_pb2 = require_serving_api()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for case in cases:
            if case.fault or case.has_scalars:
                continue
            for number in sizes(case):
                request = predict_request(name, case.signature, case.examples(number).inputs)
                log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
                writer.write(log.SerializeToString())


def read_warmup(path):
    """The `PredictRequest`s of a warm-up file, a list."""
    import tensorflow as tf

    _, prediction_log_pb2 = require_serving_api()
    return [
        prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        for record in tf.data.TFRecordDataset(str(path))
    ]
