"""What goes before all tests: TensorFlow starts without its messages, which pytest-xdist's main process would print."""

import os

from training.quiet import quiet_start

if os.environ.get("KERAS_BACKEND") == "tensorflow":
    with quiet_start():
        import keras  # noqa: F401
