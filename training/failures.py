"""Why a run stops before its last update: one line that says so, and an exit status."""

import re

import tensorflow as tf


class RunError(Exception):
    """A run that stopped for a reason outside of the program. Its message is one line.

    Attributes:
        exit_code: The exit status of the command.
    """

    exit_code = 1


class DivergedError(RunError):
    """The loss or its gradient is not finite."""

    exit_code = 3


class FilesError(RunError):
    """A file can't be written or read while the run is on."""

    exit_code = 4


class WorkerLostError(RunError):
    """Another worker does not answer any more."""

    exit_code = 5


class TerminatedError(RunError):
    """The process was told to end by SIGTERM or by a notice of preemption, and has left a checkpoint."""

    exit_code = 143


def reason(error):
    """What went wrong with a file, in a few words.

    Args:
        error: An `OSError` or a TensorFlow `OpError`.

    Example:

    >>> reason(OSError(28, "No space left on device"))
    'No space left on device'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = getattr(error, "message", None) or str(error)
    for known in ("No space left on device", "File too large", "Permission denied", "Read-only file system"):
        if known in text:
            return known
    # TensorFlow adds the place in the graph and in the program.
    places = ("Graph execution error", "Detected at node", "<stack traces", " ", "\t")
    said = [line for line in text.splitlines() if line.strip() and not line.startswith(places)]
    line = said[0].split(" [Op:")[0].removeprefix("{{function_node}} ") if said else "?"
    return re.sub(r"^(Error in user-defined function passed to \S+ transformation with iterator: \S+: )+", "", line)


def of_operation(error, workers):
    """The `RunError` that an error of TensorFlow's stands for, or `None` if it is a fault of the program.

    Args:
        error: A `tf.errors.OpError`.
        workers: Number of workers.
    """
    text = " ".join(str(error).split())
    # Aborted collectives give one of several codes, by where the news came first.
    if workers > 1 and (isinstance(error, tf.errors.UnavailableError) or "Collective ops is aborted" in text):
        return WorkerLostError(
            "Another worker does not answer any more, so this one stops. Start all workers again with --resume: they "
            "go on from the last checkpoint."
        )
    if "No space left on device" in text or "File too large" in text:
        return FilesError(f"A file can't be written: {reason(error)}. Make room and go on with --resume.")
    damaged = re.search(r"DamagedDataError: (.+)", str(error))
    if damaged or isinstance(error, tf.errors.DataLossError):
        what = damaged[1] if damaged else reason(error)
        return FilesError(
            f"The training data is damaged: {what}. Delete the data set, so that it is prepared again, and go on with "
            "--resume."
        )
    return None
