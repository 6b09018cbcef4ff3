"""Joins requests to batches as TensorFlow Serving's batcher does, and runs them on threads."""

import asyncio
import concurrent.futures
import itertools
import time

import numpy as np

from export.laptop.errors import RequestError, invalid


class Runner:
    """Runs requests on threads, joined or each by itself. Belongs to one event loop.

    Args:
        batching: A `config.Batching`, or `None`: every request is a batch of its own then.
        threads: How many batches run at a time where `batching` is `None`.
        timeout: Seconds for a request, in which it waits and runs.
        most_waiting: Most requests that wait where `batching` is `None`.
    """

    def __init__(self, batching, threads, timeout, most_waiting=256):
        self._batching, self._timeout, self._most_waiting = batching, timeout, most_waiting
        self._threads = concurrent.futures.ThreadPoolExecutor(
            batching.threads if batching else threads, thread_name_prefix="batch"
        )
        self._queues, self._waiting = {}, 0
        #: Numbers of examples of the batches that ran, from a number to how often.
        self.sizes = {}

    async def run(self, version, signature, inputs, outputs=None, timeout=None):
        """Answers a request: a dictionary from names of outputs to arrays.

        Raises:
            RequestError: If it is refused, takes too long, or too many requests wait.
        """
        timeout = self._timeout if timeout is None else min(timeout, self._timeout)
        task = _Task(inputs, outputs, time.monotonic() + timeout)
        self._waiting += 1
        try:
            if self._batching is None:
                if self._waiting > self._most_waiting:
                    raise RequestError("UNAVAILABLE", f"{self._most_waiting} requests are waiting already")
                work = self._start(version, signature, [(task, inputs)])
            else:
                # The graph computes all outputs for all, and each gets those it asked for.
                work = self._queue(version, signature).add(task)
            return await asyncio.wait_for(work, timeout)
        except TimeoutError:
            raise RequestError("DEADLINE_EXCEEDED", f"The request took longer than {timeout:g} seconds") from None
        finally:
            self._waiting -= 1

    def _queue(self, version, signature):
        key = version, signature
        if key not in self._queues:
            self._queues[key] = _Queue(
                self._batching,
                lambda parts: self._start(version, signature, parts),
                # Kept while it is used only: versions come and go.
                lambda: self._queues.pop(key, None),
            )
        return self._queues[key]

    def _start(self, version, signature, parts):
        """Runs a batch of `(task, inputs)`; gives a future of the outputs of the whole."""
        size = sum(_examples(inputs) for _, inputs in parts)
        self.sizes[size] = self.sizes.get(size, 0) + 1
        outputs = parts[0][0].outputs if len(parts) == 1 else None
        deadline = max(task.deadline for task, _ in parts)

        def work():
            left = deadline - time.monotonic()
            if left <= 0:
                raise RequestError("DEADLINE_EXCEEDED", "The request waited for too long")
            return version.run(signature, _joined([inputs for _, inputs in parts]), outputs, left)

        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self):
        """Waits for what runs, and ends the threads."""
        self._threads.shutdown()


class _Task:
    """A request: its inputs, the outputs that are wanted and when it is too late."""

    def __init__(self, inputs, outputs, deadline):
        self.inputs, self.outputs, self.deadline = inputs, outputs, deadline


class _Queue:
    """The batches of a signature of a version: one that is open, and those that run or wait for a thread."""

    def __init__(self, batching, start, idle):
        self._batching, self._start, self._idle = batching, start, idle
        self._open, self._size, self._timer, self._closed = [], 0, None, 0

    async def add(self, task):
        size = _size_for_batch(task.inputs)
        batching = self._batching
        if size > batching.max_batch:
            raise invalid(f"Task size {size} is larger than maximum input batch size {batching.max_batch}")
        most = batching.max_execution
        pieces = _pieces(task.inputs, size, most, most - self._size) if batching.splits else [task.inputs]
        if self._closed >= batching.max_enqueued:
            raise RequestError("UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full")
        futures = [self._put(task, piece) for piece in pieces]
        try:
            answers = await asyncio.gather(*futures)
        except BaseException:
            for future in futures:
                future.cancel()
            raise
        names = task.outputs or answers[0]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in names}

    def _put(self, task, inputs):
        size = _examples(inputs)
        if self._open and self._size + size > self._batching.max_execution:
            self._close()
        future = asyncio.get_running_loop().create_future()
        self._open.append((task, inputs, future))
        self._size += size
        if self._size >= self._batching.max_execution or not self._batching.timeout:
            self._close()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._batching.timeout, self._close)
        return future

    def _close(self):
        if self._timer is not None:
            self._timer.cancel()
        # Those whose clients have gone are left out.
        parts = [part for part in self._open if not part[2].cancelled()]
        self._open, self._size, self._timer = [], 0, None
        if not parts:
            return self._rest()
        names = set(parts[0][1])
        for name in sorted(names):
            if len({inputs[name].shape[1:] for _, inputs, _ in parts}) > 1:
                error = RequestError(
                    "FAILED_PRECONDITION",
                    f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off.",
                )
                for _, _, future in parts:
                    future.set_exception(error)
                return self._rest()
        self._closed += 1
        running = self._start([(task, inputs) for task, inputs, _ in parts])
        running.add_done_callback(lambda done: self._hand_out(parts, done))

    def _hand_out(self, parts, done):
        self._closed -= 1
        error = done.exception() if not done.cancelled() else RequestError("CANCELLED", "The server is being stopped")
        start = 0
        for _, inputs, future in parts:
            stop = start + _examples(inputs)
            if not future.done():
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result({name: value[start:stop] for name, value in done.result().items()})
            start = stop
        self._rest()

    def _rest(self):
        if not self._open and not self._closed:
            self._idle()


def _size_for_batch(inputs):
    if any(not value.ndim for value in inputs.values()):
        scalars = ", ".join(f"`{name}`" for name, value in inputs.items() if not value.ndim)
        raise invalid(
            f"Batching session Run() input tensors must have at least one dimension: {scalars} must have an entry for "
            "each example, such as [64]"
        )
    sizes = {len(value) for value in inputs.values()}
    if len(sizes) != 1:
        raise invalid("Batching session Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def _examples(inputs):
    return max((len(value) for value in inputs.values() if value.ndim), default=1)


def _pieces(inputs, size, most, room):
    """The inputs in pieces: the first one fills the open batch, and the others have as many examples as a batch."""
    edges = [0, *range(min(room or most, size), size, most), size]
    return [{name: value[a:b] for name, value in inputs.items()} for a, b in itertools.pairwise(edges)]


def _joined(parts):
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
