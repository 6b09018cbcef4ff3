"""How well boards are solved."""

import keras
from keras import ops


def _digits(y_pred):
    return ops.cast(ops.argmax(y_pred, axis=-1), "int32") + 1


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class BoardAccuracy(keras.metrics.Mean):
    """Share of boards with every cell right.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result.

    Call arguments:
        y_true: Solutions, integers `(batch, S, S)` from 1 to S.
        y_pred: Logits or probabilities of the digits, `(batch, S, S, S)`.
        sample_weight: Weights of the boards, `(batch,)`, or `None`.

    Example:

    >>> metric = BoardAccuracy()
    >>> float(metric([[[1, 2], [2, 1]]], ops.one_hot(ops.array([[[0, 1], [1, 0]]]), 2)))
    1.0
    """

    def __init__(self, name="board_accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        right = ops.all(_digits(y_pred) == ops.cast(y_true, "int32"), axis=(1, 2))
        return super().update_state(right, sample_weight=sample_weight)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class BlankCellAccuracy(keras.metrics.Mean):
    """Share of blank cells that are filled rightly.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result.

    Call arguments:
        y_true: Solutions, integers `(batch, S, S)` from 1 to S.
        y_pred: Logits or probabilities of the digits, `(batch, S, S, S)`.
        sample_weight: 1 for blank cells and 0 for given ones, `(batch, S, S)`; `None` counts all cells.

    Example:

    >>> metric = BlankCellAccuracy()
    >>> logits = ops.one_hot(ops.array([[[0, 1], [0, 0]]]), 2)
    >>> float(metric([[[1, 2], [2, 1]]], logits, sample_weight=[[[0, 0], [1, 1]]]))
    0.5
    """

    def __init__(self, name="blank_cell_accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        right = _digits(y_pred) == ops.cast(y_true, "int32")
        return super().update_state(right, sample_weight=sample_weight)
