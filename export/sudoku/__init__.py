"""Served Sudoku models: what they answer, and how boards are solved with them.

`server` has the signatures, `solver` solves boards with a version on disk, `client` with one that TensorFlow Serving
serves, and `boards` checks and draws what both answer. What a server needs is imported when it is asked for: a client
must start without TensorFlow and Keras.
"""

_OF_SERVER = ("SudokuServer", "sample_boards")

__all__ = [*_OF_SERVER]


def __getattr__(name):
    if name in _OF_SERVER:
        from export.sudoku import server

        return getattr(server, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
