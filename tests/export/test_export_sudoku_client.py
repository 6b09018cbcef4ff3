import concurrent.futures
import http.server
import json
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from export_helpers import assert_answers
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from export.__main__ import main
from export.declaration import MAX_BATCH
from export.sudoku.client import one_line, request_inputs, solve_by_grpc, solve_by_rest


@pytest.fixture
def rest(served):
    """A server with the REST predict API, as far as it is used; `.requests` are the paths and bodies it got."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.requests.append((self.path, body))
            status, answer = self.server.respond(self.path, body)
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    def respond(path, body):
        if not path.startswith("/v1/models/sudoku"):
            return 404, {"error": "Servable not found for request: Latest(other)"}
        try:
            outputs = served(body["signature_name"], **body["inputs"])
        except tf.errors.InvalidArgumentError as error:
            return 400, {"error": str(error)}
        return 200, {"outputs": {name: value.tolist() for name, value in outputs.items()}}

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.respond = [], respond
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def grpc_server(served):
    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        requests, answer, sent = [], staticmethod(served), []

        def Predict(self, request, context):  # noqa: N802
            self.requests.append(request)
            if request.model_spec.name != "sudoku":
                context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found: {request.model_spec.name}")
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            try:
                outputs = self.answer(request.model_spec.signature_name, **inputs)
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            response = predict_pb2.PredictResponse()
            for name, value in outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            self.sent.append(response.ByteSize())
            return response

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    service = Service()
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service
    server.stop(0)


NUMBERS = {
    "serving_default": {},
    "solve_steps": {"num_steps": 3},
    "vote": {"num_steps": 3, "num_samples": 4, "seed": 5},
}


@pytest.mark.parametrize("signature", NUMBERS)
def test_both_clients_get_the_models_answers(rest, grpc_server, served, boards, signature):
    wanted = served(signature, board=boards, **{name: [value] * 5 for name, value in NUMBERS[signature].items()})
    assert_answers(solve_by_rest(rest.url, boards, signature=signature, **NUMBERS[signature]), wanted)
    assert_answers(solve_by_grpc(grpc_server.address, boards, signature=signature, **NUMBERS[signature]), wanted)
    path, body = rest.requests[0]
    assert path == "/v1/models/sudoku:predict"
    assert body["signature_name"] == signature
    # One number for each board: a server that batches needs it.
    assert all(np.shape(value)[0] == 5 for value in body["inputs"].values())
    assert grpc_server.requests[-1].model_spec.signature_name == signature


def turned(signature, board):
    """Stands in for a model: each board turned upside down, and the sum of its digits for an energy."""
    board = np.asarray(board)
    return {
        "solution": board[:, ::-1].astype(np.int32),
        "probability": np.ones(board.shape, np.float32),
        "energy": board.sum((1, 2)).astype(np.float32),
    }


def test_thousands_of_boards_come_back_in_their_order(rest, grpc_server):
    boards = np.random.default_rng(0).integers(0, 5, (7000, 4, 4))
    wanted = turned("serving_default", boards)
    rest.respond = lambda path, body: (
        200,
        {"outputs": {name: value.tolist() for name, value in turned("", **body["inputs"]).items()}},
    )
    grpc_server.answer = turned
    for answers in (solve_by_rest(rest.url, boards), solve_by_grpc(grpc_server.address, boards)):
        for name, value in wanted.items():
            np.testing.assert_array_equal([answer[name] for answer in answers], value)
    # No request is larger than what a server that batches takes.
    sizes = [
        [len(body["inputs"]["board"]) for _, body in rest.requests],
        [request.inputs["board"].tensor_shape.dim[0].size for request in grpc_server.requests],
    ]
    assert sizes == [[MAX_BATCH] * 218 + [24]] * 2


def test_a_part_with_too_few_answers_is_noticed(rest):
    # Also where the next part has one too many.
    sizes = iter([31, 33])
    rest.respond = lambda path, body: (
        200,
        {"outputs": {k: v.tolist() for k, v in turned("", np.ones((next(sizes), 4, 4))).items()}},
    )
    with pytest.raises(ValueError, match=r"'solution' of shape \(32, 4, 4\). It has \(31, 4, 4\)"):
        solve_by_rest(rest.url, np.ones((64, 4, 4), np.int32))


def test_a_response_of_more_than_four_megabytes_is_taken(grpc_server, boards):
    # As of a model that tells more of each board.
    grpc_server.answer = lambda signature, board: {
        **turned(signature, board),
        "states": np.zeros((len(board), 300_000), np.float32),
    }
    answers = solve_by_grpc(grpc_server.address, boards)
    assert grpc_server.sent[0] > 5_000_000
    np.testing.assert_array_equal(answers[1]["solution"], boards[1][::-1])


def test_the_version_is_asked_for(rest, grpc_server, boards):
    solve_by_rest(rest.url + "/", boards, version=3)
    assert rest.requests[0][0] == "/v1/models/sudoku/versions/3:predict"
    solve_by_grpc(grpc_server.address, boards, version=3)
    assert grpc_server.requests[-1].model_spec.version.value == 3


def test_server_errors_are_one_line(rest, grpc_server, boards):
    for function, address in ((solve_by_rest, rest.url), (solve_by_grpc, grpc_server.address)):
        with pytest.raises(ValueError, match=r"answers: .*`num_steps` must be from 1 to 1024") as caught:
            function(address, boards, signature="solve_steps", num_steps=0)
        assert "\n" not in str(caught.value)
        with pytest.raises(ValueError, match="Servable not found"):
            function(address, boards, model="other")


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"outputs": [1, 2]}', b'{"outputs": {"solution": [[1], 2]}}'])
def test_answers_that_are_none(rest, boards, answer):
    rest.respond = lambda path, body: (200, answer)
    with pytest.raises(ValueError, match="something else than predictions"):
        solve_by_rest(rest.url, boards)


def test_answers_of_another_model(rest, boards):
    rest.respond = lambda path, body: (200, {"outputs": {"solution": [1.0] * 5}})
    with pytest.raises(ValueError, match="is this a Sudoku model"):
        solve_by_rest(rest.url, boards)
    rest.respond = lambda path, body: (503, b"busy")
    with pytest.raises(ValueError, match="HTTP status 503"):
        solve_by_rest(rest.url, boards)


def test_servers_that_are_not_there(boards):
    with pytest.raises(ValueError, match="can't be reached"):
        solve_by_rest("http://127.0.0.1:1", boards, timeout=5)
    with pytest.raises(ValueError, match="can't be reached"):
        solve_by_grpc("127.0.0.1:1", boards, timeout=5)
    with pytest.raises(ValueError, match="must look like http://localhost:8501"):
        solve_by_rest("localhost:8501", boards)
    with pytest.raises(ValueError, match="must look like localhost:8500"):
        solve_by_grpc("http://localhost", boards)


def test_request_inputs(boards):
    assert set(request_inputs(boards, "vote", 3, 4)) == {"board", "num_steps", "num_samples", "seed"}
    with pytest.raises(ValueError, match="Unknown signature 'votes'"):
        request_inputs(boards, "votes")
    with pytest.raises(ValueError, match="'vote' needs `num_steps`"):
        request_inputs(boards, "vote", num_samples=3)
    with pytest.raises(ValueError, match="doesn't take `num_samples`"):
        request_inputs(boards, "solve_steps", 3, 4)
    with pytest.raises(ValueError, match="`seed` must be an integer of 32 bits"):
        request_inputs(boards, "vote", 3, 4, 2**31)


def test_one_line():
    message = "Graph execution error:\n\nDetected at node a\nassertion failed: [`x` must be] [1]\n\t [[{{node a}}]]"
    assert one_line(message) == "assertion failed: [`x` must be] [1]"
    assert one_line("  first\nsecond") == "first"
    assert one_line("") == "no message"


def test_client_command_line(rest, grpc_server, board_text, tmp_path, capsys):
    path = tmp_path / "board.txt"
    path.write_text(board_text)

    def draw(*arguments):
        status = main(["client", *arguments, str(path)])
        text = capsys.readouterr().out
        # What is no solution is never shown as if it were one.
        assert status == ("not solved" in text) == ("Solved: 0 of 1" in text)
        return text

    default = draw("--rest", rest.url)
    assert "→" in default
    assert "energy" in default
    assert draw("--grpc", grpc_server.address) == default
    draw("--rest", rest.url, "--num-steps", "9")
    assert "start " in draw("--rest", rest.url, "--num-steps", "3", "--votes", "2")
    draw("--rest", rest.url, "--starts", "2")
    bodies = [body for _, body in rest.requests]
    assert [body["signature_name"] for body in bodies] == ["search", "solve_steps", "vote", "search"]
    assert [body["inputs"].get("num_samples") for body in bodies] == [[16], None, [2], [2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["client", "--rest", "http://127.0.0.1:1", "BOARD"], "can't be reached"),
        (["client", "--grpc", "127.0.0.1:1", "--timeout", "5", "BOARD"], "can't be reached"),
        (["client", "--votes", "4", "BOARD"], "needs `num_steps`"),
        (["client", "--signature", "other", "BOARD"], "Unknown signature"),
        (["client", "nothing.txt"], "can't be read"),
        (["solve", "nothing", "BOARD"], "holds no exported model"),
        (["solve", "EXPORTED", "--num-steps", "0", "BOARD"], "`num_steps` must be from 1 to 1024"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(exported, board_text, tmp_path, capsys, arguments, message):
    path = tmp_path / "board.txt"
    path.write_text(board_text)
    arguments = [{"BOARD": str(path), "EXPORTED": str(exported)}.get(word, word) for word in arguments]
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
