"""Signals and notices of preemption: a run ends between two updates, with a checkpoint."""

import contextlib
import os
import signal
import sys
import tempfile
import threading

import tensorflow as tf

from training.failures import TerminatedError


class Interruptions:
    """Notes SIGINT (Ctrl-C) and SIGTERM in place of acting on them; a second Ctrl-C ends the process at once.

    Several workers must stop after the same update. What agrees on it is
    `tf.distribute.experimental.PreemptionCheckpointHandler`, which asks here whether there was a signal, and on
    Compute Engine's machines with GPUs would ask for notices of maintenance otherwise. It agrees on nothing on Cloud
    TPUs, where one process drives all hosts, and on Compute Engine's machines without accelerators.

    Args:
        strategy: The `tf.distribute.Strategy`.

    Example:

    >>> with Interruptions(strategy) as interruptions:  # doctest: +SKIP
    ...     while not interruptions.stop():
    ...         update()
    """

    def __init__(self, strategy):
        self.noted = []
        self._agreed = []
        self._handler = None
        resolver = strategy.cluster_resolver
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and resolver.cluster_spec().jobs:
            config = tf.distribute.experimental.TerminationConfig(
                termination_watcher_fn=lambda: bool(self.noted),
                save_fn=lambda *_, **__: None,
                exit_fn=lambda: self._agreed.append(True),
            )
            # It would restore a checkpoint from there: the loop's are not its business.
            nowhere = os.path.join(tempfile.gettempdir(), f"no-checkpoints-{os.getpid()}")
            self._handler = tf.distribute.experimental.PreemptionCheckpointHandler(
                resolver, tf.train.Checkpoint(), nowhere, config
            )
            # It warns of a method of its own that is deprecated.
            tf.get_logger().setLevel("ERROR")

    def __enter__(self):
        self._previous = {}
        self._wakeup = None
        with contextlib.suppress(ValueError):  # Not in the main thread: there is nothing to note.
            # TensorFlow's calls last long, and Python's own handlers run only after them: a thread hears of signals at
            # once, by a pipe.
            self._read, write = os.pipe()
            os.set_blocking(write, False)
            self._wakeup = write, signal.set_wakeup_fd(write, warn_on_full_buffer=False)
            threading.Thread(target=self._listen, daemon=True).start()
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, lambda number, _: self._note(number))
        return self

    def __exit__(self, kind, *_):
        if self._handler is not None and kind is None:
            # Its thread, which waits for the other workers' news, would fail aloud when they have ended. It holds the
            # handler, so that nothing else calls this.
            self._handler.__del__()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._wakeup is not None:
            write, before = self._wakeup
            signal.set_wakeup_fd(before)
            os.close(write)

    def stop(self):
        """Whether to stop now: after each call of updates, once on every worker."""
        if self._handler is None:
            return bool(self.noted)
        self._handler.save_checkpoint_if_preempted()
        return bool(self._agreed)

    def exception(self):
        """What to raise once the checkpoint is written."""
        if self.noted[:1] == [signal.SIGINT]:
            return KeyboardInterrupt()
        return TerminatedError("Told to end." if self.noted else "Another worker was told to end.")

    def _note(self, number):
        if number not in self.noted:
            self.noted.append(number)

    def _listen(self):
        interrupts, told = 0, False
        while data := os.read(self._read, 16):
            for number in data:
                if number == signal.SIGINT:
                    interrupts += 1
                    if interrupts == 2:
                        os.write(2, b"\nEnded at once. Go on from the last checkpoint with --resume.\n")
                        os._exit(128 + signal.SIGINT)
                if number in (signal.SIGINT, signal.SIGTERM):
                    self._note(number)
                    if not told:
                        print("\nStopping with a checkpoint; Ctrl-C ends at once.", file=sys.stderr, flush=True)
                    told = True
        os.close(self._read)
