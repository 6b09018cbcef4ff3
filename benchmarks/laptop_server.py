"""The server for a laptop as a process of its own, whose memory can be read: for the benchmarks of serving."""

import contextlib
import pathlib
import re
import subprocess
import sys


class Process:
    """A running server.

    Attributes:
        rest: URL of its REST API.
        grpc: Address of its gRPC API.
    """

    def __init__(self, process):
        self._process = process
        self.rest = self.grpc = None
        for line in process.stdout:
            if found := re.search(r"^REST: (http://[^/]+)/v1/models/", line):
                self.rest = found[1]
            if found := re.search(r"^gRPC: (\S+)", line):
                self.grpc = found[1]
                break
        if self.grpc is None:
            raise RuntimeError(f"the server did not start: it ended with {process.wait()}")

    def alive(self):
        """Whether it has not ended."""
        return self._process.poll() is None

    def megabytes(self):
        """Its memory, resident: MB."""
        text = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024


@contextlib.contextmanager
def running(directory, *options):
    """Serves a directory of versions on free ports while the context lasts; gives a `Process`."""
    command = [sys.executable, "-m", "export", "serve", str(directory), "--rest-port", "0", "--grpc-port", "0"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    try:
        yield Process(process)
    finally:
        process.terminate()
        process.wait()
