"""Which server an exported model gets."""

import inspect

from export.automaton import AutomatonServer
from export.classifier import ClassifierServer
from export.recall import RecallServer
from export.sudoku import SudokuServer
from keras_kuramoto.layers import CDAMRecall, FiniteAutomaton
from keras_kuramoto.models import MemoryClassifier, SudokuModel

SERVERS = {
    SudokuModel: SudokuServer,
    MemoryClassifier: ClassifierServer,
    CDAMRecall: RecallServer,
    FiniteAutomaton: AutomatonServer,
}


def server_for(model, **limits):
    """The server of a model, found by the model's type.

    Args:
        model: A Keras model or layer of one of the types in `SERVERS`.
        **limits: Further arguments of the server.

    Returns:
        A `Server`.

    Raises:
        ValueError: If no server is for such a model, or it does not take the limits.

    Example:

    >>> server_for(SudokuModel.from_preset("sudoku4_quick", load_weights=False), max_steps=64).kind
    'sudoku'
    """
    for kind, server in SERVERS.items():
        if isinstance(model, kind):
            unknown = sorted(set(limits) - set(inspect.signature(server).parameters))
            if unknown:
                raise ValueError(f"A served {server.kind} model has no limit `{unknown[0]}`.")
            return server(model, **limits)
    raise ValueError(
        f"Only these models can be exported: {', '.join(kind.__name__ for kind in SERVERS)}. "
        f"Received a {type(model).__name__}."
    )
