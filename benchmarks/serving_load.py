"""Mixed traffic on the server for a laptop: `python -m benchmarks.serving_load DIR [--seconds 60] [--clients 8]`.

Half of the clients use REST and half gRPC. Each sends one request after the other, of 1 to 32 examples; one in ten is
malformed. Told are throughput, percentiles of latency, and the server's memory before and after.
"""

import argparse
import collections
import random
import sys
import threading
import time

import numpy as np
from tensorflow_serving.apis import predict_pb2

from benchmarks.laptop_server import running
from benchmarks.malformed import Bad, bad_bodies, bad_messages, good_inputs, to_json
from benchmarks.serving_fuzz import Rest, Rpc, examples
from export.versions import latest_version, read_declaration, read_description


class Client(threading.Thread):
    """Sends requests until a time, and keeps how long each took."""

    def __init__(self, send, good, bad, until, number):
        super().__init__()
        self._send, self._good, self._bad, self._until = send, good, bad, until
        self._random = random.Random(number)
        self.times, self.answers, self.examples, self.problems = [], collections.Counter(), 0, []

    def run(self):
        while time.monotonic() < self._until:
            wrong = self._random.random() < 0.1
            size = self._random.randrange(len(self._good))
            payload = self._random.choice(self._bad) if wrong else self._good[size]
            start = time.monotonic()
            try:
                refused, message = self._send(payload)
            except Exception as error:
                # Goes on: how many there are is the result.
                self.problems.append(f"{type(error).__name__}: {error}")
                continue
            if refused != wrong:
                self.problems.append(f"a {'wrong' if wrong else 'right'} request was answered with {message!r}")
            elif not wrong:
                self.times.append(time.monotonic() - start)
                self.examples += size + 1
            self.answers["refused" if refused else "answered"] += 1


def main(arguments=None):
    """Runs the command; gives the exit status."""
    import tensorflow as tf

    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving_load", description=__doc__)
    parser.add_argument("directory", metavar="DIR", help="directory of the versions of an exported model")
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="default: %(default)s")
    parser.add_argument("--clients", type=int, default=8, metavar="N", help="default: %(default)s")
    options = parser.parse_args(arguments)
    version = latest_version(options.directory)
    declaration, name = read_declaration(version), read_description(version)["name"]
    signature = declaration.signatures["serving_default"]
    sizes = [good_inputs(signature, number + 1) for number in range(min(32, declaration.max_batch))]
    bodies = [to_json(Bad("serving_default", inputs, "")) for inputs in sizes]
    messages = []
    for inputs in sizes:
        request = predict_pb2.PredictRequest(model_spec={"name": name})
        for own, value in inputs.items():
            request.inputs[own].CopyFrom(tf.make_tensor_proto(value))
        messages.append(request.SerializeToString())
    # Those out of range are left out: a batch fails as a whole, here as in TensorFlow Serving.
    bad_rest = [body for body, fault in examples(bad_bodies(declaration), 300, 0) if fault != "value"]
    bad_rpc = [data for data, fault, sure in examples(bad_messages(declaration, name), 300, 0) if sure]
    bad_rpc = [data for data in bad_rpc if _fails_alone(data, declaration)]
    with running(options.directory) as server:
        before = server.megabytes()
        until = time.monotonic() + options.seconds
        clients = [
            Client(Rpc(server.grpc).send, messages, bad_rpc, until, number)
            if number % 2
            else Client(Rest(server.rest, name).send, bodies, bad_rest, until, number)
            for number in range(options.clients)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        after = server.megabytes()
    answers = sum((client.answers for client in clients), collections.Counter())
    problems = [problem for client in clients for problem in client.problems]
    print(f"{options.clients} clients, {options.seconds:g} s, batches of 1 to {len(sizes)}")
    print(f"{answers['answered']} answered, {answers['refused']} refused, {len(problems)} problems")
    boards = sum(client.examples for client in clients)
    print(f"{sum(answers.values()) / options.seconds:.1f} requests/s, {boards / options.seconds:.1f} examples/s")
    for kind, own in (("REST", clients[::2]), ("gRPC", clients[1::2])):
        times = np.array([seconds for client in own for seconds in client.times]) * 1000
        if len(times):
            values = ", ".join(f"{q} % {np.percentile(times, q):.0f}" for q in (50, 90, 99))
            print(f"{kind}: latency {values}, longest {times.max():.0f} ms")
    print(f"memory of the server: {before:.0f} MB before, {after:.0f} MB after")
    for problem in problems[:10]:
        print(f"PROBLEM: {problem[:300]}")
    return 1 if problems else 0


def _fails_alone(data, declaration):
    """Whether a message is refused by itself: not by its values, which are looked at in the batch that it joins."""
    import tensorflow as tf

    request = predict_pb2.PredictRequest.FromString(data)
    declared = declaration.signatures.get(request.model_spec.signature_name)
    if declared is None or len(request.inputs) != len(declared.inputs):
        return True
    for tensor in declared.inputs:
        message = request.inputs.get(tensor.name)
        if message is None or message.dtype != tf.dtypes.as_dtype(tensor.dtype).as_datatype_enum:
            return True
        shape = [dim.size for dim in message.tensor_shape.dim]
        if shape[1:] != list(tensor.shape):
            return not tensor.scalar
    return False


if __name__ == "__main__":
    sys.exit(main())
