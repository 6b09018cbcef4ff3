"""The command `python -m export serve`."""

import asyncio
import logging
import pathlib

from export.serving import require_serving_api

_TEXT = """\
Serves a model on this machine with TensorFlow Serving's REST and gRPC APIs, for development and tests.

This is not TensorFlow Serving: it is a program of Python with its own code behind the same APIs. It reads the same
serving/models.config, with labels, and follows changes of it, and joins requests as serving/batching.config says.
Strangers should reach a real server, which `docker compose` starts."""


def serve(parser, arguments):
    """Runs the command.

    Args:
        parser: An `argparse.ArgumentParser` without arguments.
        arguments: List of words.

    Returns:
        Exit status.

    Raises:
        ValueError: If nothing can be served, a package is missing, or a number is wrong.
    """
    parser.description = _TEXT
    parser.add_argument("directory", metavar="DIR", type=pathlib.Path, help="directory of the versions")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--rest-port", type=int, default=8501, metavar="N", help="default: %(default)s; 0: a free one")
    parser.add_argument("--grpc-port", type=int, default=8500, metavar="N", help="default: %(default)s; 0: a free one")
    parser.add_argument("--no-batching", action="store_true", help="run each request by itself")
    parser.add_argument("--timeout", type=float, default=60, metavar="S", help="of a request (default: %(default)s)")
    parser.add_argument("--max-body", type=int, default=16, metavar="MB", help="of a request (default: %(default)s)")
    parser.add_argument(
        "--poll", type=float, default=1, metavar="S", help="seconds between looks at the files (default: %(default)s)"
    )
    parser.add_argument(
        "--grace", type=float, default=10, metavar="S", help="that requests have when it ends (default: %(default)s)"
    )
    options = parser.parse_intermixed_args(arguments)
    for name in ("timeout", "max_body", "poll"):
        if getattr(options, name) <= 0:
            raise ValueError(f"--{name.replace('_', '-')} must be above 0. Received {getattr(options, name):g}.")
    if options.grace < 0:
        raise ValueError(f"--grace must be at least 0. Received {options.grace:g}.")
    for name in ("rest_port", "grpc_port"):
        if not 0 <= getattr(options, name) < 65536:
            raise ValueError(f"--{name.replace('_', '-')} must be from 0 to 65535. Received {getattr(options, name)}.")
    require_serving_api()
    try:
        from export.laptop.run import Settings
        from export.laptop.run import serve as run
    except ModuleNotFoundError as error:
        raise ValueError(f"The package {error.name} is needed. Install the extra: pip install '.[serve]'") from None
    # What it says of its own deprecated functions.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = Settings(
        options.directory,
        options.host,
        options.rest_port,
        options.grpc_port,
        options.timeout,
        options.max_body << 20,
        poll=options.poll,
        batching=not options.no_batching,
        grace=options.grace,
    )
    asyncio.run(run(settings, _tell))
    print("stopped")
    return 0


def _tell(server):
    print("Not TensorFlow Serving: a server with its APIs, for this machine.")
    for name in server.models.served():
        print(f"REST: {server.rest_url}/v1/models/{name}:predict")
    print(f"gRPC: {server.grpc_address}    (Ctrl+C stops)", flush=True)
