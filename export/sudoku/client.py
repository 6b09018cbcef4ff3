"""Clients for TensorFlow Serving's predict APIs, REST with the standard library and gRPC."""

import http.client
import json
import urllib.error
import urllib.request

import numpy as np

from export.families import SUDOKU
from export.sudoku.boards import answers_in_parts

_INPUTS = {signature.name: [tensor.name for tensor in signature.inputs] for signature in SUDOKU.signatures}

# A client takes 4 MB by itself; TensorFlow Serving sends and takes what a message can hold.
_GRPC_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


def request_inputs(boards, signature, num_steps=None, num_samples=None, seed=0):
    """The inputs of a signature, one integer for each board, so that a server can batch them with other requests'.

    Args:
        boards: `(number, S, S)` int32.
        signature: One of those of `export.families.SUDOKU`.
        num_steps: Number of steps, for `solve_steps` and `vote`.
        num_samples: Number of samples, for `vote`.
        seed: Seed of a vote.

    Returns:
        Dictionary from names to int32 arrays.

    Raises:
        ValueError: If the signature is unknown, or a number that it needs is missing, is given and not used, or is too
            large.
    """
    if signature not in _INPUTS:
        raise ValueError(f"Unknown signature '{signature}'. Known: {', '.join(_INPUTS)}.")
    given = {"num_steps": num_steps, "num_samples": num_samples}
    numbers = {"board": np.asarray(boards, np.int32)}
    for name in ("num_steps", "num_samples"):
        if name in _INPUTS[signature] and given[name] is None:
            raise ValueError(f"The signature '{signature}' needs `{name}`.")
        if name not in _INPUTS[signature] and given[name] is not None:
            raise ValueError(f"The signature '{signature}' doesn't take `{name}`.")
    for name in _INPUTS[signature][1:]:
        value = {**given, "seed": seed}[name]
        if not -(2**31) <= value < 2**31:
            raise ValueError(f"`{name}` must be an integer of 32 bits. Received {value}.")
        numbers[name] = np.full(len(boards), value, np.int32)
    return numbers


def solve_by_rest(
    url, boards, model="sudoku", signature="serving_default", version=None, timeout=60, label=None, **numbers
):
    """Solves boards with TensorFlow Serving's REST API: any number of them, at most 32 in a request.

    Args:
        url: Such as `"http://localhost:8501"`.
        boards: `(number, S, S)` int32.
        model: Name of the model on the server.
        signature: Name of the signature.
        version: Version of the model; by default the server's latest.
        timeout: Seconds for each request.
        label: Label of a version, such as `"stable"`, in place of its number.
        **numbers: `num_steps`, `num_samples` and `seed`, as for `request_inputs`.

    Returns:
        A list of dictionaries, one for each board: `solution`, `probability`, `energy` and what else the signature
        gives.

    Raises:
        ValueError: If the server can't be reached, or answers with an error or with something else than answers.

    Example:

    >>> solve_by_rest("http://localhost:8501", boards)[0]["solution"]  # doctest: +SKIP
    """
    inputs = request_inputs(boards, signature, **numbers)
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"The address must look like http://localhost:8501. Received '{url}'.")
    which = f"/labels/{label}" if label is not None else f"/versions/{version}" if version is not None else ""
    path = f"/v1/models/{model}{which}:predict"

    def ask(part):
        body = {"signature_name": signature, "inputs": {name: value.tolist() for name, value in part.items()}}
        try:
            request = urllib.request.Request(
                url.rstrip("/") + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=timeout) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise ValueError(f"The server at {url} answers: {_server_error(error)}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            # urllib's errors for a refused connection, an unknown host or a timeout are OSErrors; those for an address
            # that can't be parsed ValueErrors.
            reason = getattr(error, "reason", None) or error
            raise ValueError(f"The server at {url} can't be reached: {reason}.") from None
        try:
            outputs = json.loads(text)["outputs"]
            kinds = {"solution": np.int32, "sample": np.int32}
            return {name: np.asarray(value, kinds.get(name, np.float32)) for name, value in outputs.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(
                f"The server at {url} answers with something else than predictions: {text[:80]!r}"
            ) from None

    return answers_in_parts(ask, inputs)


def solve_by_grpc(
    address, boards, model="sudoku", signature="serving_default", version=None, timeout=60, label=None, **numbers
):
    """Solves boards with TensorFlow Serving's gRPC API, as `solve_by_rest` does by the other one.

    Needs the packages `grpcio` and `tensorflow-serving-api`.

    Args:
        address: Such as `"localhost:8500"`.
        boards: `(number, S, S)` int32.
        model: This and all others as for `solve_by_rest`.
        signature: Likewise.
        version: Likewise.
        timeout: Likewise.
        label: Likewise.
        **numbers: Likewise.

    Returns:
        As `solve_by_rest`.

    Raises:
        ValueError: As `solve_by_rest`, and if a package is missing.
    """
    inputs = request_inputs(boards, signature, **numbers)
    if "//" in address or ":" not in address:
        raise ValueError(f"The address must look like localhost:8500. Received '{address}'.")
    from export.serving import predict_request, require_serving_api

    require_serving_api()
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    def ask(part):
        request = predict_request(model, signature, part)
        if label is not None:
            request.model_spec.version_label = label
        elif version is not None:
            request.model_spec.version.value = version
        response = service.Predict(request, timeout=timeout)
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    try:
        with grpc.insecure_channel(address, _GRPC_OPTIONS) as channel:
            service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            return answers_in_parts(ask, inputs)
    except grpc.RpcError as error:
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise ValueError(f"The server at {address} can't be reached: {one_line(error.details())}.") from None
        raise ValueError(f"The server at {address} answers: {error.code().name}, {one_line(error.details())}") from None


def one_line(message):
    """The part of a message of TensorFlow's runtime that says what is wrong: it may come with a stack of nodes."""
    lines = [line.strip() for line in str(message).strip().splitlines() if line.strip()]
    failed = [line[line.index("assertion failed:") :] for line in lines if "assertion failed:" in line]
    return (failed or lines or ["no message"])[0]


def _server_error(error):
    try:
        return one_line(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"HTTP status {error.code} {error.reason}"
