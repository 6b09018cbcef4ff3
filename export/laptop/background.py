"""The server in a thread of this process, for tests, benchmarks and notebooks."""

import asyncio
import contextlib
import threading

from export.laptop.run import Server


@contextlib.contextmanager
def in_background(settings):
    """Serves while the context lasts, and answers what has begun at its end.

    Args:
        settings: A `run.Settings`; ports of 0 are free ones.

    Yields:
        The `run.Server`, which has the addresses.

    Raises:
        ValueError: If nothing can be served.

    Example:

    >>> with in_background(Settings(pathlib.Path("serving/sudoku"), rest_port=0, grpc_port=0)) as server:
    ...     print(server.rest_url)  # doctest: +SKIP
    http://127.0.0.1:40123
    """
    server, started, result = Server(settings), threading.Event(), {}

    async def serve():
        result["loop"], result["stop"] = asyncio.get_running_loop(), asyncio.Event()
        async with server:
            started.set()
            await result["stop"].wait()

    def work():
        try:
            asyncio.run(serve())
        except BaseException as error:
            result["error"] = error
        finally:
            started.set()

    thread = threading.Thread(target=work, name="laptop-server")
    thread.start()
    started.wait()
    try:
        if "error" in result:
            raise result["error"]
        yield server
    finally:
        if thread.is_alive():
            result["loop"].call_soon_threadsafe(result["stop"].set)
        thread.join()
