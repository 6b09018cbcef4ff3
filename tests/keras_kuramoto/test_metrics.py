"""Accuracy of boards and of blank cells."""

import keras
import numpy as np
import pytest

from keras_kuramoto.metrics import BlankCellAccuracy, BoardAccuracy

SOLUTION = np.array([[1, 2], [2, 1]])


def logits(*boards):
    return np.eye(2, dtype="float32")[np.array(boards) - 1] * 3 - 1


def test_a_board_counts_only_if_every_cell_is_right():
    metric = BoardAccuracy()
    metric.update_state(np.stack([SOLUTION] * 3), logits(SOLUTION, [[1, 2], [2, 2]], SOLUTION))
    assert float(metric.result()) == pytest.approx(2 / 3)
    metric.update_state(SOLUTION[None], logits(3 - SOLUTION))
    assert float(metric.result()) == pytest.approx(2 / 4)
    metric.reset_state()
    metric.update_state(np.stack([SOLUTION] * 2), logits(SOLUTION, 3 - SOLUTION), sample_weight=np.array([3.0, 1.0]))
    assert float(metric.result()) == pytest.approx(3 / 4)


def test_blank_cells_are_counted_over_all_boards_together():
    metric = BlankCellAccuracy()
    blank = np.array([[[1, 0], [0, 1]], [[1, 1], [1, 1]]])
    # The first board is wrong in a given cell alone, the second in two of its four blanks.
    predictions = logits([[1, 1], [2, 1]], [[1, 1], [1, 1]])
    metric.update_state(np.stack([SOLUTION] * 2), predictions, sample_weight=blank)
    assert float(metric.result()) == pytest.approx(4 / 6)
    every = BlankCellAccuracy()
    every.update_state(np.stack([SOLUTION] * 2), predictions)
    assert float(every.result()) == pytest.approx(5 / 8)


@pytest.mark.parametrize("metric", [BoardAccuracy, BlankCellAccuracy])
def test_metrics_round_trip_through_their_configuration(metric):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric(name="mine")))
    assert isinstance(copy, metric)
    assert copy.name == "mine"
