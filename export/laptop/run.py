"""Starts the server, follows its configuration, and stops it without losing a request."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import logging
import os
import pathlib
import signal

import grpc
from aiohttp import web

from export.laptop.batching import Runner
from export.laptop.config import config_text, read_batching, read_models
from export.laptop.models import Models
from export.laptop.rest import application
from export.laptop.rpc import RefuseBrokenMessages, add_services

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to serve.

    Attributes:
        directory: `pathlib.Path` of the directory of the versions.
        host: Address to listen on.
        rest_port: Port of the REST API; 0 for a free one.
        grpc_port: Port of the gRPC API; 0 for a free one.
        timeout: Seconds for a request.
        max_body: Most bytes of a request.
        max_reading: How many bodies of REST requests are read at a time.
        poll: Seconds between two looks at the configuration and the versions.
        batching: Whether to join requests as `batching.config` says.
        grace: Seconds that requests have to end once the server is told to stop.
    """

    directory: pathlib.Path
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    timeout: float = 60.0
    max_body: int = 16 << 20
    max_reading: int = 8
    poll: float = 1.0
    batching: bool = True
    grace: float = 10.0


class Server:
    """A server that runs in an event loop: `async with Server(settings) as server`.

    Attributes:
        rest_url: Such as `"http://127.0.0.1:8501"`.
        grpc_address: Such as `"127.0.0.1:8500"`.
        models: The `models.Models`.
        runner: The `batching.Runner`.

    Args:
        settings: A `Settings`.

    Raises:
        ValueError: On entering, if nothing can be served, a file is damaged, or a port is taken.
    """

    def __init__(self, settings):
        self.settings = settings

    async def __aenter__(self):
        settings = self.settings
        async with contextlib.AsyncExitStack() as stack:
            await self._start(settings, stack)
            self._stack = stack.pop_all()
        return self

    async def _start(self, settings, stack):
        cores = os.cpu_count() or 1
        batching = read_batching(settings.directory, cores) if settings.batching else None
        self.runner = Runner(batching, cores, settings.timeout)
        stack.callback(self.runner.close)
        executor = concurrent.futures.ThreadPoolExecutor(cores, thread_name_prefix="request")
        stack.callback(executor.shutdown)
        self.models = Models()
        # Not on the threads of requests: loading takes long.
        self._text = None
        problems = await asyncio.to_thread(self._follow)
        if problems:
            raise ValueError("; ".join(problems))
        app_runner = web.AppRunner(
            application(self.models, self.runner, executor, settings),
            access_log=None,
            shutdown_timeout=settings.grace,
            keepalive_timeout=30,
            handler_cancellation=True,
        )
        await app_runner.setup()
        stack.push_async_callback(app_runner.cleanup)
        site = web.TCPSite(app_runner, settings.host, settings.rest_port, backlog=128)
        try:
            await site.start()
        except OSError as error:
            raise ValueError(f"The REST API can't listen on {settings.host}:{settings.rest_port}: {error}") from None
        self.rest_url = f"http://{settings.host}:{app_runner.addresses[0][1]}"
        options = (
            ("grpc.max_receive_message_length", settings.max_body),
            ("grpc.max_send_message_length", -1),
            # Otherwise two servers on a port would each get some of the requests.
            ("grpc.so_reuseport", 0),
        )
        server = grpc.aio.server(interceptors=(RefuseBrokenMessages(),), options=options)
        add_services(server, self.models, self.runner, executor, settings)
        try:
            port = server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
        except RuntimeError as error:
            raise ValueError(f"The gRPC API can't listen on {settings.host}:{settings.grpc_port}: {error}") from None
        await server.start()
        stack.push_async_callback(server.stop, settings.grace)
        self.grpc_address = f"{settings.host}:{port}"
        watching = asyncio.create_task(self._watch())

        async def stop_watching():
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

        stack.push_async_callback(stop_watching)

    async def __aexit__(self, *error):
        return await self._stack.__aexit__(*error)

    def _follow(self):
        """Follows the file where it has changed, and otherwise what was followed before, for new versions."""
        text = config_text(self.settings.directory)
        configs = self.models.configs
        if text != self._text or not configs:
            configs = read_models(self.settings.directory, text)
            self._text = text
        return self.models.follow(configs)

    async def _watch(self):
        before = []
        while True:
            await asyncio.sleep(self.settings.poll)
            try:
                problems = await asyncio.to_thread(self._follow)
            except (ValueError, OSError) as error:
                # A file that is half written, or edited wrongly: what was served goes on.
                problems = [str(error)]
            if problems != before:
                for problem in problems:
                    _LOG.warning("%s", problem)
            before = problems


async def serve(settings, started=lambda server: None):
    """Serves until the process is told to end (SIGTERM, SIGINT), then answers what has begun.

    Args:
        settings: A `Settings`.
        started: Function that is called with the `Server` once it listens.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Server(settings) as server:
        started(server)
        await stop.wait()
        _LOG.info("stopping: requests have %g seconds to end", settings.grace)
