"""Expected calibration error and the reliability curve."""

import keras
import numpy as np
import pytest
from backend_helpers import call, to_numpy

from keras_kuramoto.metrics import ExpectedCalibrationError


def predictions(rng, count=400, classes=5):
    logits = 2 * rng.standard_normal((count, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return rng.integers(0, classes, count), probabilities.astype("float32")


def by_hand(labels, probabilities, bins):
    confidence = probabilities.max(-1)
    right = probabilities.argmax(-1) == labels
    error, curve = 0, []
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
        curve.append([confidence[inside].mean(), right[inside].mean(), inside.mean()] if inside.any() else [0, 0, 0])
    return error, np.transpose(curve)


@pytest.mark.parametrize("bins", [1, 8, 15])
def test_the_error_is_the_mean_gap_over_all_batches(bins):
    labels, probabilities = predictions(np.random.default_rng(bins))
    metric = ExpectedCalibrationError(bins)
    for part in (slice(0, 100), slice(100, 400)):
        metric.update_state(labels[part], probabilities[part])
    error, curve = by_hand(labels, probabilities, bins)
    assert float(metric.result()) == pytest.approx(error, abs=1e-6)
    found = metric.curve()
    for name, values in zip(("confidence", "accuracy", "share"), curve):
        np.testing.assert_allclose(to_numpy(found[name]), values, atol=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0
    assert float(to_numpy(metric.curve()["share"]).sum()) == 0


def test_bins_are_closed_above_and_weights_count():
    metric = ExpectedCalibrationError(bins=4)
    metric.update_state(
        [0, 0, 0], [[0.5, 0.25, 0.25], [0.75, 0.25, 0.0], [0.0, 1.0, 0.0]], sample_weight=np.array([3.0, 1.0, 0.0])
    )
    np.testing.assert_allclose(to_numpy(metric.curve()["share"]), [0, 0.75, 0.25, 0])
    assert float(metric.result()) == pytest.approx(0.75 * 0.5 + 0.25 * 0.25)


def test_the_error_works_in_a_compiled_function_and_in_a_model():
    labels, probabilities = predictions(np.random.default_rng(0), 64)
    expected, _ = by_hand(labels, probabilities, 15)
    metric = ExpectedCalibrationError()
    if keras.backend.backend() == "tensorflow":
        call(lambda y, p: metric.update_state(y, p), labels, probabilities, compiled=True)
        assert float(metric.result()) == pytest.approx(expected, abs=1e-6)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Activation("linear")])
    model.compile(metrics=[metric], loss="sparse_categorical_crossentropy")
    results = model.evaluate(probabilities, labels, batch_size=16, verbose=0, return_dict=True)
    assert results["expected_calibration_error"] == pytest.approx(expected, abs=1e-6)
    copy = ExpectedCalibrationError.from_config(ExpectedCalibrationError(7, name="mine").get_config())
    assert (copy.bins, copy.name) == (7, "mine")


def test_what_is_no_bin_and_no_prediction_is_told():
    for bins in (0, 2.5, True):
        with pytest.raises(ValueError, match="`bins`"):
            ExpectedCalibrationError(bins)
    with pytest.raises(ValueError, match=r"\(3, 1\) and \(3, 2\)"):
        ExpectedCalibrationError().update_state(np.zeros((3, 1), int), np.full((3, 2), 0.5))
