"""Which server an exported model gets."""

import inspect

from export.automaton import AutomatonServer
from export.classifier import ClassifierServer
from export.images.classifier import ImageClassifierServer
from export.images.objects import ObjectsServer
from export.recall import RecallServer
from export.sudoku import SudokuServer
from keras_kuramoto.layers import CDAMRecall, FiniteAutomaton
from keras_kuramoto.models import ImageClassifier, MemoryClassifier, ObjectsModel, SudokuModel

SERVERS = {
    SudokuModel: SudokuServer,
    ObjectsModel: ObjectsServer,
    ImageClassifier: ImageClassifierServer,
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
    server = _server_class(model)
    unknown = sorted(set(limits) - set(_limits(server)))
    if unknown:
        raise ValueError(f"A served {server.kind} model has no limit `{unknown[0]}`.")
    return server(model, **limits)


def server_as_described(model, description):
    """The server of a model, with the limits of a version that was exported.

    Args:
        model: A Keras model or layer of one of the types in `SERVERS`.
        description: What `export.json` says of the version, see `Server.description`.

    Returns:
        A `Server`.

    Raises:
        ValueError: If no server is for such a model, or it can't have these limits.
    """
    limits = [name for name in _limits(_server_class(model)) if name in description]
    return server_for(model, **{name: description[name] for name in limits})


def _limits(server):
    return list(inspect.signature(server).parameters)[1:]


def _server_class(model):
    for kind, server in SERVERS.items():
        if isinstance(model, kind):
            return server
    raise ValueError(
        f"Only these models can be exported: {', '.join(kind.__name__ for kind in SERVERS)}. "
        f"Received a {type(model).__name__}."
    )
