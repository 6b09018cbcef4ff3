"""Malformed requests: a few here, and what was found once. Many: `python -m benchmarks.serving_fuzz DIR`."""

import collections

import numpy as np
import pytest

from benchmarks.malformed import bad_bodies, bad_messages, bad_tensors
from benchmarks.serving_fuzz import Rest, Rpc, check, examples, through_c
from export.laptop.background import in_background
from export.laptop.run import Settings
from export.versions import read_declaration


@pytest.fixture(scope="module")
def server(exported):
    with in_background(Settings(exported, rest_port=0, grpc_port=0)) as server:
        yield server


def test_malformed_requests_are_refused(exported, server):
    declaration, counts = read_declaration(exported / "1"), collections.Counter()
    bodies = [(*pair, True) for pair in examples(bad_bodies(declaration), 60, 1)]
    assert check(Rest(server.rest_url, "sudoku").send, bodies, counts, "REST") == []
    messages = examples(bad_messages(declaration, "sudoku"), 60, 1)
    assert check(Rpc(server.grpc_address).send, messages, counts, "gRPC") == []
    assert len(counts) > 15


def test_malformed_tensors_are_refused_by_the_c_api(exported):
    declaration, counts = read_declaration(exported / "1"), collections.Counter()
    try:
        assert through_c(exported / "1", examples(bad_tensors(declaration), 60, 1), counts) == []
    except Exception as error:
        if type(error).__name__ != "UnavailableError":
            raise
        pytest.skip(f"TensorFlow's C API can't be used: {error}")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"instances": [' + b"9" * 5000 + b"]}",
        b'{"instances": [[["\\ud800"]]]}',
        b'{"instances": [{"b64": "AA="}]}',
        b'{"instances": [[[]]]}',
        b'{"inputs": {"board": null}}',
        b'{"instances": [NaN]}',
    ],
)
def test_bodies_that_break_parsers(server, body):
    refused, message = Rest(server.rest_url, "sudoku").send(body)
    assert refused
    assert message


@pytest.mark.parametrize(
    "message",
    [
        b"\xff",
        # Lengths that go on beyond the end, and groups that never end.
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0b" * 1000,
        # A name that is no text.
        b"\x0a\x04\x0a\x02\xc3\x28",
        b"",
    ],
)
def test_bytes_that_are_no_message(server, message):
    refused, text = Rpc(server.grpc_address).send(message)
    assert refused
    assert text


def test_examples_are_the_same_each_time(exported):
    declaration = read_declaration(exported / "1")
    one, two = (examples(bad_tensors(declaration), 20, 3) for _ in range(2))
    assert [(bad.fault, list(bad.inputs)) for bad in one] == [(bad.fault, list(bad.inputs)) for bad in two]
    assert all(isinstance(value, np.ndarray) for bad in one for value in bad.inputs.values())
