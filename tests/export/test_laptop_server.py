"""What the server for a laptop does beside its APIs: batches, versions and labels under traffic, limits, the end."""

import asyncio
import concurrent.futures
import dataclasses
import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from laptop_helpers import Client, same

from export.__main__ import main
from export.labels import promote, prune
from export.laptop.background import in_background
from export.laptop.batching import Runner
from export.laptop.config import Batching, read_batching, read_models
from export.laptop.errors import RequestError
from export.laptop.run import Settings


@dataclasses.dataclass(eq=False)
class Doubler:
    """Stands in for a version; keeps the batches that it got."""

    wait: float = 0.0
    batches: list = dataclasses.field(default_factory=list)

    def run(self, signature, inputs, outputs=None, timeout=None):
        time.sleep(self.wait)
        self.batches.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise RequestError("INVALID_ARGUMENT", "below 0")
        return {"y": 2 * inputs["x"], "z": inputs["x"]}


def ask(batching, sizes, version=None, **settings):
    """The answers to requests of these sizes that are sent at once: arrays or errors; and the batches that ran."""
    version = version or Doubler()

    async def run():
        runner = Runner(batching, 1, settings.pop("timeout", 30), **settings)
        parts = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        work = [runner.run(version, "serving_default", {"x": part}) for part in parts]
        try:
            return await asyncio.gather(*work, return_exceptions=True), parts
        finally:
            runner.close()

    answers, parts = asyncio.run(run())
    return answers, parts, version.batches


def batching(**changes):
    return Batching(**{"max_batch": 8, "timeout": 0.05, "threads": 1, "max_execution": 8, **changes})


def test_requests_are_joined_and_each_gets_its_own_answer():
    answers, parts, batches = ask(batching(), [3, 2, 3, 1])
    # Full at eight; the last one waits for the time to end.
    assert batches == [8, 1]
    for answer, part in zip(answers, parts):
        np.testing.assert_array_equal(answer["y"], 2 * part)
    assert ask(batching(), [5, 5, 5])[2] == [5, 5, 5]
    assert ask(None, [3, 2])[2] == [3, 2]


def test_a_large_request_is_refused_or_split():
    (error, answer), _, batches = ask(batching(), [9, 1])
    assert str(error) == "Task size 9 is larger than maximum input batch size 8"
    assert batches == [1]
    assert answer["y"].shape == (1,)
    split = batching(max_batch=100, splits=True)
    answers, parts, batches = ask(split, [3, 17])
    assert batches == [8, 8, 4]
    np.testing.assert_array_equal(answers[1]["y"], 2 * parts[1])


def test_a_bad_request_fails_its_batch_and_no_other():
    class Picky(Doubler):
        def run(self, signature, inputs, outputs=None, timeout=None):
            return super().run(signature, {"x": np.where(inputs["x"] == 4, -1, inputs["x"])})

    answers, _, batches = ask(batching(), [3, 5, 2], Picky())
    assert batches == [8, 2]
    assert [isinstance(answer, RequestError) for answer in answers] == [True, True, False]


def test_a_full_queue_and_a_slow_model():
    answers, _, _ = ask(batching(max_enqueued=1, timeout=0.0), [1] * 3, Doubler(0.2))
    assert [getattr(answer, "code", None) and answer.code.name for answer in answers] == [
        None,
        "UNAVAILABLE",
        "UNAVAILABLE",
    ]
    answers, _, _ = ask(None, [1] * 3, Doubler(0.2), most_waiting=2)
    assert answers[2].code.name == "UNAVAILABLE"
    answers, _, _ = ask(None, [1], Doubler(0.4), timeout=0.1)
    assert answers[0].code.name == "DEADLINE_EXCEEDED"


def test_inputs_that_can_not_be_joined():
    async def run(inputs):
        runner = Runner(batching(), 1, 30)
        try:
            return await asyncio.gather(*(runner.run(Doubler(), "", one) for one in inputs[:1]), return_exceptions=True)
        finally:
            runner.close()

    (error,) = asyncio.run(run([{"x": np.zeros(2), "n": np.array(1)}]))
    assert "must have at least one dimension" in error.message
    (error,) = asyncio.run(run([{"x": np.zeros(2), "n": np.zeros(3)}]))
    assert "must have equal 0th-dimension size" in error.message


def test_configurations(tmp_path):
    folder = tmp_path / "serving"
    folder.mkdir()
    assert read_batching(tmp_path, 2) is None
    path = folder / "batching.config"
    path.write_text("max_batch_size { value: 16 } batch_timeout_micros { value: 5000 }")
    assert read_batching(tmp_path, 2) == Batching(16, 0.005, 10, 2, False, 16)
    path.write_text(
        "max_batch_size { value: 64 } enable_large_batch_splitting { value: true } "
        "max_execution_batch_size { value: 8 }"
    )
    assert read_batching(tmp_path, 2).max_execution == 8
    for text, message in (
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1. It is 0"),
        ("max_batch_size: 3", "is damaged"),
        ("allowed_batch_sizes: 8", "not for these models"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_batching(tmp_path, 2)
    one = 'config { name: "a" base_path: "/models/a" version_labels { key: "stable" value: 3 } '
    policy = "model_version_policy { specific { versions: 1 versions: 3 } } }"
    (model,) = read_models(tmp_path, f"model_config_list {{ {one}{policy} }}")
    assert (model.name, model.path, model.specific, model.labels) == ("a", tmp_path, (1, 3), {"stable": 3})
    twice = f"model_config_list {{ {one}}} {one}}} }}"
    for text, message in (("nonsense", "is damaged"), ("", "model_config_list"), (twice, "two models")):
        with pytest.raises(ValueError, match=message):
            read_models(tmp_path, text)


@pytest.fixture
def versions(exported, tmp_path):
    directory = tmp_path / "sudoku"
    for number in ("1", "2", "3"):
        shutil.copytree(exported / "1", directory / number)
    shutil.copytree(exported / "serving", directory / "serving")
    return directory


def test_promote_and_prune_under_traffic_lose_no_request(versions):
    promote(versions, 1)
    board = np.zeros((1, 4, 4), np.int32)
    with in_background(Settings(versions, rest_port=0, grpc_port=0, poll=0.05)) as server:
        client, stop, seen = Client(server.rest_url, server.grpc_address), threading.Event(), []

        def rpc():
            while not stop.is_set():
                request = client.request({"board": board}, version_label="stable")
                seen.append(client.prediction.Predict(request, timeout=60).model_spec.version.value)

        def rest():
            while not stop.is_set():
                status, document = client.post({"instances": board.tolist()}, "/labels/stable")
                assert status == 200, document

        def until(condition):
            end = time.monotonic() + 60
            while not condition():
                assert time.monotonic() < end
                assert not any(one.done() for one in work)
                time.sleep(0.02)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            work = [pool.submit(task) for task in (rpc, rest, rpc, rest)]
            try:
                until(lambda: 1 in seen)
                for version in (2, 3):
                    promote(versions, version)
                    until(lambda number=version: seen[-1] == number)
                # The way back, version 2, keeps a label.
                assert prune(versions) == [1]
                until(lambda: server.models.served() == {"sudoku": [2, 3]})
                count = len(seen)
                until(lambda: len(seen) > count + 5)
            finally:
                stop.set()
            for one in work:
                one.result()
        assert set(seen) == {1, 2, 3}
        states = client.get("/v1/models/sudoku")[1]["model_version_status"]
        assert {one["version"]: one["state"] for one in states} == {"3": "AVAILABLE", "2": "AVAILABLE", "1": "END"}


def test_a_damaged_version_or_file_leaves_what_is_served(versions):
    with in_background(Settings(versions, rest_port=0, grpc_port=0, poll=0.02)) as server:
        client = Client(server.rest_url, server.grpc_address)
        assert server.models.served() == {"sudoku": [3]}
        (versions / "4").mkdir()
        (versions / "4" / "saved_model.pb").write_bytes(b"no model")
        config = versions / "serving" / "models.config"
        end = time.monotonic() + 60
        while "4" not in [one["version"] for one in client.get("/v1/models/sudoku")[1]["model_version_status"]]:
            assert time.monotonic() < end
        config.write_text("half a fi")
        time.sleep(0.1)
        status, _ = client.post({"instances": np.zeros((1, 4, 4), int).tolist()})
        assert status == 200
        assert server.models.served() == {"sudoku": [3]}


def test_bodies_that_are_too_large_and_connections_that_say_nothing(exported):
    with in_background(Settings(exported, rest_port=0, grpc_port=0, max_body=10_000, timeout=0.5)) as server:
        client = Client(server.rest_url, server.grpc_address)
        status, document = client.post(b" " * 20_000)
        assert status == 413
        assert "too large" in document["error"]
        assert client.predict(client.request({"board": np.zeros((500, 4, 4), np.int32)}))[0] == "RESOURCE_EXHAUSTED"
        # A tensor of four bytes that would have a billion entries.
        request = client.request({"board": np.zeros((1, 4, 4), np.int32)})
        request.inputs["board"].tensor_shape.dim[0].size = 10**8
        assert client.predict(request) == (
            "INVALID_ARGUMENT",
            "tensor parsing error: board: its shape [100000000, 4, 4] is too large",
        )
        connection = http.client.HTTPConnection(server.rest_url.removeprefix("http://"), timeout=60)
        connection.putrequest("POST", "/v1/models/sudoku:predict")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b"{")
        response = connection.getresponse()
        assert response.status == 504
        assert "took too long" in json.load(response)["error"]


def test_the_command_says_what_it_is_and_ends_when_told(exported):
    command = [sys.executable, "-m", "export", "serve", str(exported), "--rest-port", "0", "--grpc-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert "Not TensorFlow Serving" in process.stdout.readline()
        rest = process.stdout.readline().split()[1].removesuffix("/v1/models/sudoku:predict")
        address = process.stdout.readline().split()[1]
        client, board = Client(rest, address), np.zeros((1, 4, 4), np.int32)
        same(client.predict(client.request({"board": board})), client.post({"inputs": board.tolist()})[1]["outputs"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stdout.read() == "stopped\n"
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "holds no exported model"),
        (["DIR", "--timeout", "0"], "--timeout must be above 0"),
        (["DIR", "--rest-port", "70000"], "--rest-port must be from 0 to 65535"),
    ],
)
def test_bad_options_are_one_line(exported, capsys, words, message):
    assert main(["serve", *(str(exported) if word == "DIR" else word for word in words)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
