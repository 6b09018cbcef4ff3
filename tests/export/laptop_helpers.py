"""A client of both APIs for tests, without anything of the server's code."""

import dataclasses
import json
import urllib.error
import urllib.request

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc


@dataclasses.dataclass
class Client:
    """Asks one model; `rest` is a URL and `rpc` an address."""

    rest: str
    rpc: str
    model: str = "sudoku"

    def __post_init__(self):
        self.channel = grpc.insecure_channel(self.rpc)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.service = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def get(self, path):
        return self._http(urllib.request.Request(self.rest + path))

    def post(self, body, version="", method="predict"):
        """`(status, document)`; the body is an object or bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._http(urllib.request.Request(f"{self.rest}/v1/models/{self.model}{version}:{method}", data))

    def _http(self, request):
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def request(self, inputs, signature="", **spec):
        request = predict_pb2.PredictRequest(model_spec={"name": self.model, "signature_name": signature, **spec})
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        return request

    def predict(self, request):
        """Outputs as arrays, or `(code, message)`."""
        try:
            response = self.prediction.Predict(request, timeout=60)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    def board_size(self):
        status, document = self.get(f"/v1/models/{self.model}/metadata")
        assert status == 200, document
        signature = document["metadata"]["signature_def"]["signature_def"]["serving_default"]
        return int(signature["inputs"]["board"]["tensor_shape"]["dim"][1]["size"])


def same(found, wanted):
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
