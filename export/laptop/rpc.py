"""TensorFlow Serving's gRPC API: PredictionService and ModelService."""

import asyncio
import logging

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from export.laptop import messages
from export.laptop.config import models_from_message
from export.laptop.errors import RequestError, invalid
from export.laptop.tensors import array_from_proto

_LOG = logging.getLogger(__name__)


def add_services(server, models, runner, executor, settings):
    """Adds both services to a `grpc.aio` server; the arguments are those of `rest.application`."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _Prediction(models, runner, executor, settings), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Model(models, executor, settings), server)


class RefuseBrokenMessages(grpc.aio.ServerInterceptor):
    """Answers bytes that are no message with INVALID_ARGUMENT; gRPC would say UNKNOWN, and log a trace of each."""

    async def intercept_service(self, continuation, handler_call_details):
        """See `grpc.aio.ServerInterceptor`."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler

        def read(data):
            try:
                return handler.request_deserializer(data)
            except DecodeError as error:
                return error

        async def call(request, context):
            if isinstance(request, DecodeError):
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"The request can't be parsed: {request}")
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(call, read, handler.response_serializer)


def _answering(method):
    """Ends a call with the code and the message of a `RequestError`."""

    async def call(self, request, context):
        try:
            return await method(self, request, context)
        except RequestError as error:
            await context.abort(error.code, error.message)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception:
            _LOG.exception("%s", method.__name__)
            await context.abort(grpc.StatusCode.INTERNAL, "Something went wrong in the server; its log says what")

    return call


def _which(spec):
    number = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
    return spec.name, number, spec.version_label


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models, runner, executor, settings):
        self._models, self._runner, self._executor, self._settings = models, runner, executor, settings

    @_answering
    async def Predict(self, request, context):  # noqa: N802
        loop = asyncio.get_running_loop()
        signature = request.model_spec.signature_name or "serving_default"
        with self._models.using(*_which(request.model_spec)) as version:
            inputs = await loop.run_in_executor(self._executor, self._inputs, request, version, signature)
            outputs = await self._runner.run(
                version, signature, inputs, list(request.output_filter) or None, context.time_remaining()
            )
            return await loop.run_in_executor(self._executor, _response, version, signature, outputs)

    def _inputs(self, request, version, signature):
        if signature not in version.signatures:
            raise RequestError("FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.')
        known = version.signatures[signature].outputs
        for name in request.output_filter:
            if name not in known:
                raise invalid(
                    f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                    f"{{{','.join(sorted(known))}}}."
                )
        if len(set(request.output_filter)) != len(request.output_filter):
            raise invalid("duplicate output tensor alias")
        known = version.signatures[signature].inputs
        # Tensors that nobody asked for are not unpacked.
        inputs = {
            name: array_from_proto(message, known[name], name, self._settings.max_body) if name in known else None
            for name, message in request.inputs.items()
        }
        version.check(signature, inputs)
        return inputs

    @_answering
    async def GetModelMetadata(self, request, context):  # noqa: N802
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        with self._models.using(*_which(request.model_spec)) as version:
            return messages.metadata(version)

    @_answering
    async def Classify(self, request, context):  # noqa: N802
        self._refuse(request.model_spec, "classify")

    @_answering
    async def Regress(self, request, context):  # noqa: N802
        self._refuse(request.model_spec, "regress")

    @_answering
    async def MultiInference(self, request, context):  # noqa: N802
        if not request.tasks:
            raise invalid("Inference request must have at least one task")
        self._refuse(request.tasks[0].model_spec, "classify")

    def _refuse(self, spec, method):
        signature = spec.signature_name or "serving_default"
        with self._models.using(*_which(spec)) as version:
            raise messages.wrong_method(version, signature, method)


class _Model(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, models, executor, settings):
        self._models, self._executor, self._settings = models, executor, settings

    @_answering
    async def GetModelStatus(self, request, context):  # noqa: N802
        return messages.status(self._models.states(*_which(request.model_spec)))

    @_answering
    async def HandleReloadConfigRequest(self, request, context):  # noqa: N802
        try:
            configs = models_from_message(request.config, self._settings.directory, "The request")
        except ValueError as error:
            raise invalid(error) from None
        for config in configs:
            if config.path.resolve() != self._settings.directory.resolve():
                # A stranger must not have any directory of this machine loaded.
                raise RequestError("PERMISSION_DENIED", f"Only models of '{self._settings.directory}' can be loaded")
        loop = asyncio.get_running_loop()
        problems = await loop.run_in_executor(self._executor, self._models.follow, configs)
        response = model_management_pb2.ReloadConfigResponse()
        if problems:
            response.status.error_code, response.status.error_message = 9, "; ".join(problems)
        return response


def _response(version, signature, outputs):
    response = predict_pb2.PredictResponse()
    response.model_spec.name = version.name
    response.model_spec.version.value = version.number
    response.model_spec.signature_name = signature
    for name, value in outputs.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
    return response
