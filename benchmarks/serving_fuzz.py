"""Malformed requests against a served model: `python -m benchmarks.serving_fuzz DIR [--number 10000]`.

A third each goes to the REST API, the gRPC API and TensorFlow's C API. The server must answer each in time, refuse it
with a message where it is surely wrong, live on, and keep its memory. Exit status 1 if not.
"""

import argparse
import collections
import http.client
import json
import sys
import tempfile
import time
import urllib.parse

import grpc
from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.laptop_server import running
from benchmarks.malformed import bad_bodies, bad_messages, bad_tensors
from export import native
from export.golden import Case
from export.versions import latest_version, read_declaration, read_description

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
#: Seconds after which a server hangs.
_PATIENCE = 60


class Rest:
    """Sends bodies to the predict API."""

    def __init__(self, url, name):
        self._host, self._path = urllib.parse.urlsplit(url).netloc, f"/v1/models/{name}:predict"

    def send(self, body):
        """`(refused, message)`."""
        connection = http.client.HTTPConnection(self._host, timeout=_PATIENCE)
        try:
            connection.request("POST", self._path, body)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status >= 500:
            raise AssertionError(f"HTTP status {response.status}: {data[:200]}")
        return response.status != 200, json.loads(data).get("error", "")


class Rpc:
    """Sends the bytes of messages to Predict."""

    def __init__(self, address):
        self._channel = grpc.insecure_channel(address)
        self._call = self._channel.unary_unary(_PREDICT, lambda data: data, lambda data: data)

    def send(self, data):
        """`(refused, message)`."""
        try:
            self._call(data, timeout=_PATIENCE)
        except grpc.RpcError as error:
            # INTERNAL is what gRPC itself says of bytes that are no message.
            broken = error.code() is grpc.StatusCode.INTERNAL and "deserializing" in error.details()
            if not broken and error.code() in (
                grpc.StatusCode.INTERNAL,
                grpc.StatusCode.UNKNOWN,
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            ):
                raise AssertionError(f"{error.code().name}: {error.details()[:200]}") from None
            return True, error.details()
        return False, ""


def examples(strategy, number, start):
    """So many examples of a strategy, the same for a number to start from, a list."""
    found = []

    @seed(start)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example):
        found.append(example)

    collect()
    # Hypothesis ends early where it has seen all there is; the same ones are as good again.
    return [found[index % len(found)] for index in range(number)]


def check(send, requests, counts, where):
    """Sends requests, and collects what is wrong with the answers, a list of sentences."""
    problems = []
    for payload, fault, sure in requests:
        counts[where, fault] += 1
        try:
            refused, message = send(payload)
        except Exception as error:
            # Whatever it is: the request is named, so that it can become a test.
            problems.append(f"{where}, {fault}: {type(error).__name__}: {error} to {payload[:300]!r}")
            continue
        if sure and not refused:
            problems.append(f"{where}, {fault}: answered to {payload[:300]!r}")
        elif refused and not message:
            problems.append(f"{where}, {fault}: refused without a message")
    return problems


def through_c(version, requests, counts):
    """The same through TensorFlow's C API, in one process for all."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    graph = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes()).meta_graphs[0]
    signatures = {
        name: {
            kind: {own: {"tensor": info.name} for own, info in getattr(signature, kind).items()}
            for kind in ("inputs", "outputs")
        }
        for name, signature in graph.signature_def.items()
    }
    known = {"int32", "float32", "uint8"}
    cases = [
        Case(bad.signature, bad.inputs, fault=bad.fault)
        for bad in requests
        # What the API's caller has to see to: tensors that are there, of dtypes that its program can make.
        if bad.inputs.keys() == signatures[bad.signature]["inputs"].keys()
        and all(value.dtype.name in known or value.dtype.kind == "S" for value in bad.inputs.values())
    ]
    with tempfile.TemporaryDirectory() as folder:
        program = native.build(folder, tf.sysconfig.get_include(), tf.sysconfig.get_lib())
        answers = native.run(program, version, signatures, cases)
    for case in cases:
        counts["C API", case.fault] += 1
    return [
        f"C API, {case.fault}: answered to {case.signature} of { ({k: v.shape for k, v in case.inputs.items()}) }"
        for case, answer in zip(cases, answers)
        if not isinstance(answer, str) or not answer
    ]


def main(arguments=None):
    """Runs the command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving_fuzz", description=__doc__)
    parser.add_argument("directory", metavar="DIR", help="directory of the versions of an exported model")
    parser.add_argument("--number", type=int, default=10_000, metavar="N", help="requests (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    options = parser.parse_args(arguments)
    version = latest_version(options.directory)
    declaration, name = read_declaration(version), read_description(version)["name"]
    share, counts = options.number // 3, collections.Counter()
    bodies = [(*pair, True) for pair in examples(bad_bodies(declaration), share, options.seed)]
    messages = examples(bad_messages(declaration, name), share, options.seed)
    tensors = examples(bad_tensors(declaration), options.number - 2 * share, options.seed)
    problems = []
    with running(options.directory, "--no-batching") as server:
        rest, rpc, memory = Rest(server.rest, name), Rpc(server.grpc), []
        start = time.monotonic()
        # In ten parts: memory settles in the first ones, and must not grow after them.
        for part in range(10):
            problems += check(rest.send, bodies[part::10], counts, "REST")
            problems += check(rpc.send, messages[part::10], counts, "gRPC")
            memory.append(server.megabytes())
        seconds = time.monotonic() - start
        if not server.alive():
            problems.append("the server ended")
    problems += through_c(version, tensors, counts)
    for (where, fault), number in sorted(counts.items()):
        print(f"{where:6} {fault:10} {number:6}")
    print(f"{sum(counts.values())} requests, those to the server in {seconds:.0f} s")
    print(f"memory of the server after each tenth: {' '.join(f'{value:.0f}' for value in memory)} MB")
    growth = memory[-1] - memory[2]
    if growth > 50:
        problems.append(f"the server's memory grew by {growth:.0f} MB after the third tenth")
    for problem in problems[:20]:
        print(f"PROBLEM: {problem}")
    print(f"{len(problems)} problems" if problems else "Every request was refused with a message or was right.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
