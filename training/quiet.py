"""TensorFlow's start without its messages."""

import contextlib
import os
import sys
import tempfile


@contextlib.contextmanager
def quiet_start():
    """Keeps back what is written to standard error, unless an exception leaves the block.

    TensorFlow's libraries write some lines about devices while they are loaded, whatever `TF_CPP_MIN_LOG_LEVEL` says,
    below Python's `sys.stderr`. A command's answer, often a line, would be lost among them.

    Example:

    >>> with quiet_start():
    ...     import tensorflow
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            kept.seek(0)
            os.write(2, kept.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
