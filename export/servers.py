"""Which server an exported model gets."""

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


def server_for(model, weights="float32", **settings):
    """The server of a model, found by the model's type.

    Args:
        model: A Keras model or layer of one of the types in `SERVERS`.
        weights: What the weights are stored as, see `export.weights`.
        **settings: Limits and other settings, as the server's family has them.

    Returns:
        A `Server`.

    Raises:
        ValueError: If no server is for such a model, or it does not take the settings.

    Example:

    >>> server_for(SudokuModel.from_preset("sudoku4_quick", load_weights=False), max_steps=64).family.kind
    'sudoku'
    """
    return _server_class(model)(model, weights, **settings)


def _server_class(model):
    for kind, server in SERVERS.items():
        if isinstance(model, kind):
            return server
    raise ValueError(
        f"Only these models can be exported: {', '.join(kind.__name__ for kind in SERVERS)}. "
        f"Received a {type(model).__name__}."
    )
