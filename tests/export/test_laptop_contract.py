"""What TensorFlow Serving's APIs promise, asked of the server for a laptop.

And of a real one that serves a Sudoku model, where TF_SERVING_ADDRESS names it: `http://localhost:8501,localhost:8500`.
`docker-compose.yml` beside an export starts one.
"""

import os

import grpc
import numpy as np
import pytest
from laptop_helpers import Client, same
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from export.laptop.background import in_background
from export.laptop.run import Settings

ADDRESS = os.environ.get("TF_SERVING_ADDRESS")


@pytest.fixture(scope="module")
def client(exported):
    if ADDRESS:
        yield Client(*ADDRESS.split(","))
        return
    with in_background(Settings(exported, rest_port=0, grpc_port=0)) as server:
        yield Client(server.rest_url, server.grpc_address)


@pytest.fixture(scope="module")
def size(client):
    return client.board_size()


@pytest.fixture
def asked(size):
    board = np.zeros((3, size, size), np.int32)
    board[:, 0, :3] = [[1, 2, 3], [2, 3, 4], [0, 0, 0]]
    return board


def test_rows_columns_and_messages_get_the_same_answers(client, asked):
    wanted = client.predict(client.request({"board": asked}))
    assert set(wanted) >= {"solution", "probability", "energy"}
    status, document = client.post({"instances": asked.tolist()})
    assert status == 200, document
    same({name: [row[name] for row in document["predictions"]] for name in wanted}, wanted)
    status, document = client.post({"instances": [{"board": one} for one in asked.tolist()]})
    same({name: [row[name] for row in document["predictions"]] for name in wanted}, wanted)
    for columns in (asked.tolist(), {"board": asked.tolist()}):
        status, document = client.post({"signature_name": "serving_default", "inputs": columns})
        assert status == 200, document
        same(document["outputs"], wanted)


def test_other_signatures(client, asked):
    numbers = {"num_steps": np.full(3, 2, np.int32), "num_samples": np.full(3, 2, np.int32), "seed": np.arange(3)}
    inputs = {"board": asked, **{name: value.astype(np.int32) for name, value in numbers.items()}}
    wanted = client.predict(client.request(inputs, "vote"))
    document = client.post({"signature_name": "vote", "inputs": {k: v.tolist() for k, v in inputs.items()}})[1]
    same(document["outputs"], wanted)
    rows = [{name: value[index].tolist() for name, value in inputs.items()} for index in range(3)]
    document = client.post({"signature_name": "vote", "instances": rows})[1]
    same({name: [row[name] for row in document["predictions"]] for name in wanted}, wanted)


def test_answers_can_be_chosen(client, asked):
    request = client.request({"board": asked})
    request.output_filter.append("solution")
    assert set(client.predict(request)) == {"solution"}
    request.output_filter.append("nothing")
    code, message = client.predict(request)
    assert code == "INVALID_ARGUMENT"
    assert "output tensor alias not found in signature: nothing" in message


def test_versions_in_urls_and_messages(client, asked):
    number = max(
        int(one["version"])
        for one in client.get("/v1/models/sudoku")[1]["model_version_status"]
        if one["state"] == "AVAILABLE"
    )
    wanted = client.predict(client.request({"board": asked}))
    document = client.post({"inputs": asked.tolist()}, f"/versions/{number}")[1]
    same(document["outputs"], wanted)
    response = client.prediction.Predict(client.request({"board": asked}, version={"value": number}), timeout=60)
    assert (response.model_spec.name, response.model_spec.version.value) == ("sudoku", number)
    assert response.model_spec.signature_name == "serving_default"
    for version, code, text in (
        ("/versions/987654", 404, "Servable not found for request: Specific(sudoku, 987654)"),
        ("/labels/nothing", 400, "Unrecognized servable version label: nothing"),
    ):
        status, document = client.post({"inputs": asked.tolist()}, version)
        assert (status, document["error"]) == (code, text)
    request = client.request({"board": asked}, version_label="nothing")
    assert client.predict(request) == ("INVALID_ARGUMENT", "Unrecognized servable version label: nothing")


def test_status_and_metadata(client):
    status, document = client.get("/v1/models/sudoku")
    assert status == 200
    available = [one for one in document["model_version_status"] if one["state"] == "AVAILABLE"]
    assert available[0]["status"] == {"error_code": "OK", "error_message": ""}
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "sudoku"})
    (*_, one) = client.service.GetModelStatus(request, timeout=60).model_version_status
    assert one.State.Name(one.state) in ("AVAILABLE", "END")
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec={"name": "sudoku"}, metadata_field=["signature_def"]
    )
    response = client.prediction.GetModelMetadata(request, timeout=60)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    document = client.get("/v1/models/sudoku/metadata")[1]
    assert set(document["metadata"]["signature_def"]["signature_def"]) >= set(signatures.signature_def) - {"__saved"}
    assert document["model_spec"]["name"] == "sudoku"
    request.metadata_field[0] = "weights"
    with pytest.raises(grpc.RpcError) as caught:
        client.prediction.GetModelMetadata(request, timeout=60)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def rest_errors(size):
    board = np.zeros((size, size), int).tolist()
    ragged = [*board[:-1], board[-1][1:]]
    return {
        "empty": (b"", "JSON Parse error"),
        "truncated": (b'{"instances": [[[0, 0', "JSON Parse error"),
        "no object": ([1], "s not object"),
        "neither": ({}, "Missing 'inputs' or 'instances' key"),
        "both": ({"instances": [board], "inputs": [board]}, "'inputs' or 'instances'"),
        "no rows": ({"instances": []}, "No values in 'instances' array"),
        "no list": ({"instances": 3}, "'instances' to be an list/array"),
        "another signature": ({"instances": [board], "signature_name": "other"}, '"other" not found'),
        "a number for a signature": ({"instances": [board], "signature_name": 3}, "'signature_name' key must be"),
        "another input": ({"instances": [{"bord": board}]}, "bord"),
        "a missing input": ({"inputs": {"bord": [board]}}, "Missing named input: board"),
        "a list for several inputs": ({"signature_name": "vote", "inputs": [board]}, "expecting an object"),
        "halves": ({"instances": [[[1.5] * size] * size]}, "is not of expected type: int32"),
        "text": ({"instances": [[["1"] * size] * size]}, "is not of expected type: int32"),
        "too large for the dtype": ({"instances": [[[2**31] * size] * size]}, "is not of expected type: int32"),
        "ragged": ({"instances": [ragged]}, "unexpected size"),
        "of other shapes": ({"instances": [board, board[1:]]}, ""),
        "of another shape": ({"instances": [board[1:]]}, ""),
        "without rows and columns": ({"instances": [1, 2]}, ""),
        "out of range": ({"instances": [[[size + 1] * size] * size]}, f"must be from 0 to {size}"),
        "too many steps": (
            {"signature_name": "solve_steps", "inputs": {"board": [board], "num_steps": [10**9]}},
            "the limit `max_steps`",
        ),
    }


@pytest.mark.parametrize("fault", rest_errors(4))
def test_bad_requests_are_refused_with_a_message(client, size, fault):
    body, text = rest_errors(size)[fault]
    status, document = client.post(body)
    assert status == 400
    assert text in document["error"]


def test_paths_that_are_none(client, asked):
    assert client.get("/v1/models/other")[0] == 404
    assert client.get("/v1/models/sudoku/versions/987654")[0] == 404
    assert "error" in client.post(b"{}", method="classify")[1]
    other = Client(client.rest, client.rpc, "other")
    assert other.post({"instances": asked.tolist()})[0] == 404
    assert other.predict(other.request({"board": asked}))[0] == "NOT_FOUND"
    nameless = Client(client.rest, client.rpc, "")
    assert nameless.predict(nameless.request({"board": asked}))[0] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({}, "INVALID_ARGUMENT"),
        ({"bord": np.zeros((1, 4, 4), np.int32)}, "INVALID_ARGUMENT"),
        ({"board": np.zeros((1, 4, 4), np.float32)}, "INVALID_ARGUMENT"),
        ({"board": np.zeros((1, 4, 4, 1), np.int32)}, "INVALID_ARGUMENT"),
        ({"board": np.full((1, 4, 4), -1, np.int32)}, "INVALID_ARGUMENT"),
        ({"board": np.zeros((1000, 4, 4), np.int32)}, "INVALID_ARGUMENT"),
    ],
)
def test_bad_messages_are_refused(client, inputs, code):
    assert client.predict(client.request(inputs))[0] == code


def test_a_message_with_another_signature(client, asked):
    code, message = client.predict(client.request({"board": asked}, "other"))
    assert code in ("FAILED_PRECONDITION", "INVALID_ARGUMENT")
    assert '"other" not found' in message


def test_names_of_methods_do_not_matter_to_their_case(client, asked):
    assert client.post({"inputs": asked.tolist()}, method="PREDICT")[0] == 200
