"""TensorFlow Serving's REST API, with aiohttp."""

import asyncio
import contextlib
import json
import logging
import re

from aiohttp import web
from google.protobuf import json_format
from tensorflow.core.framework import types_pb2  # noqa: F401 (the metadata's JSON names its values)

from export.laptop import messages
from export.laptop.errors import RequestError, invalid
from export.laptop.tensors import inputs_from_json, outputs_to_json, parse_json

_LOG = logging.getLogger(__name__)
_VERSION = r"(?:/versions/(?P<number>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_ASK = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.I)
_TELL = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.I)
#: In every answer, so that nobody takes this server for another one.
SERVER = "keras-kuramoto-laptop (not TensorFlow Serving)"


def application(models, runner, executor, settings):
    """The web application.

    Args:
        models: A `models.Models`.
        runner: A `batching.Runner`.
        executor: Threads on which JSON is read and written, so that others are served meanwhile.
        settings: A `run.Settings`.

    Returns:
        An `aiohttp.web.Application`.
    """
    rest = _Rest(models, runner, executor, settings)
    app = web.Application(client_max_size=settings.max_body, middlewares=[_as_json])
    app.router.add_route("*", "/{path:.*}", rest.respond)
    return app


@web.middleware
async def _as_json(request, handler):
    try:
        response = await handler(request)
    except RequestError as error:
        response = _error(error.message, error.http_status)
    except web.HTTPRequestEntityTooLarge as error:
        response = _error(f"The body is too large: {error.text}", error.status)
    except web.HTTPException as error:
        response = _error(error.text or error.reason, error.status)
    except asyncio.CancelledError:
        raise
    except Exception:
        _LOG.exception("%s %s", request.method, request.path)
        response = _error("Something went wrong in the server; its log says what", 500)
    response.headers["Server"] = SERVER
    return response


def _error(message, status):
    return web.json_response({"error": message}, status=status)


class _Rest:
    def __init__(self, models, runner, executor, settings):
        self._models, self._runner, self._executor, self._settings = models, runner, executor, settings
        self._reading = asyncio.Semaphore(settings.max_reading)

    async def respond(self, request):
        ask = _ASK.fullmatch(request.path) if request.method == "POST" else None
        if ask:
            return await self._ask(request, ask)
        tell = _TELL.fullmatch(request.path) if request.method == "GET" else None
        if tell:
            return self._tell(tell)
        raise RequestError(
            "NOT_FOUND" if request.method in ("GET", "POST") else "INVALID_ARGUMENT",
            f"Malformed request: {request.method} {request.path}",
        )

    async def _ask(self, request, match):
        with contextlib.ExitStack() as stack:
            # So many bodies are in memory at a time, whatever the number of clients.
            async with self._reading:
                try:
                    body = await asyncio.wait_for(request.read(), self._settings.timeout)
                except TimeoutError:
                    raise RequestError("DEADLINE_EXCEEDED", "The body took too long to come") from None
                number, label = _which(match)
                version = stack.enter_context(self._models.using(match["name"], number, label))
                method = match["method"].lower()
                signature, inputs, rows = await self._on_thread(_read, version, method, body)
            outputs = await self._runner.run(version, signature, inputs)
            text = await self._on_thread(outputs_to_json, outputs, rows)
        return web.Response(text=text, content_type="application/json")

    def _tell(self, match):
        if not match["name"]:
            raise invalid("Missing model name in request.")
        number, label = _which(match)
        if match["metadata"]:
            with self._models.using(match["name"], number, label) as version:
                document = _to_dict(messages.metadata(version))
            for value in document["metadata"].values():
                value.pop("@type")
        else:
            document = _to_dict(messages.status(self._models.states(match["name"], number, label)))
        return web.Response(text=json.dumps(document, indent=1) + "\n", content_type="application/json")

    async def _on_thread(self, function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


def _to_dict(message):
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _read(version, method, body):
    document = parse_json(body)
    signature = document.get("signature_name", "serving_default")
    if not isinstance(signature, str):
        raise invalid("JSON object not formatted correctly. 'signature_name' key must be a string value.")
    signature = signature or "serving_default"
    if method != "predict":
        raise messages.wrong_method(version, signature, method)
    if signature not in version.signatures:
        raise invalid(f'Serving signature name: "{signature}" not found in signature def')
    inputs, rows = inputs_from_json(document, version.signatures[signature].inputs)
    version.check(signature, inputs)
    return signature, inputs, rows


def _which(match):
    number = match["number"]
    if number is None:
        return None, match["label"]
    if len(number) > 19 or int(number) >= 2**63:
        raise invalid(f"Failed to convert version: {number[:40]} to numeric.")
    return int(number), None
