"""How far a classifier's confidence can be trusted."""

import keras
from keras import ops

from keras_kuramoto._checks import check_whole


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class ExpectedCalibrationError(keras.metrics.Metric):
    """Mean difference between how sure a classifier is and how often it is right.

    Predictions are put into bins by their confidence, the largest probability: bin m of M has those in
    ((m - 1) / M, m / M]. The error is the difference of accuracy and mean confidence of each bin, averaged over all
    predictions: Σₘ (nₘ / n) |accₘ - confₘ|. `curve` returns what is averaged, to plot confidence against accuracy.

    Args:
        bins: M, the number of bins of equal width.
        name: Name of the metric.
        dtype: Dtype of the result.

    Call arguments:
        y_true: Classes, integers `(batch,)`.
        y_pred: Probabilities of the classes, `(batch, classes)`: not logits.
        sample_weight: Weights of the examples, `(batch,)`, or `None`.

    Raises:
        ValueError: If `bins` is not an integer of at least 1, or the shapes are others.

    Example:

    >>> metric = ExpectedCalibrationError(bins=10)
    >>> metric.update_state([0, 1, 1], [[0.75, 0.25], [0.25, 0.75], [1.0, 0.0]])
    >>> round(float(metric.result()), 4)
    0.5
    >>> {name: [round(float(x), 2) for x in values[7:]] for name, values in metric.curve().items()}
    {'confidence': [0.75, 0.0, 1.0], 'accuracy': [1.0, 0.0, 0.0], 'share': [0.67, 0.0, 0.33]}

    Reference: Guo et al., On calibration of modern neural networks, ICML 2017, Eq. 2 and 3; Miyato et al., ICLR 2025,
    Sec. 6.3, Table 4 and Fig. 9, which say no number of bins.
    """

    def __init__(self, bins=15, name="expected_calibration_error", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.bins = check_whole("bins", bins, 1)
        # Of each bin: the sums of weights, of weighted confidences and of weighted hits.
        self.sums = self.add_variable((3, self.bins), initializer="zeros", name="sums")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if len(y_pred.shape) != 2 or len(y_true.shape) != 1:
            raise ValueError(
                "Calibration is of classes `(batch,)` and probabilities `(batch, classes)`. Received shapes "
                f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}."
            )
        y_pred = ops.cast(y_pred, self.dtype)
        confidence = ops.max(y_pred, axis=-1)
        right = ops.cast(ops.cast(ops.argmax(y_pred, axis=-1), "int32") == ops.cast(y_true, "int32"), self.dtype)
        weight = ops.ones_like(confidence) if sample_weight is None else ops.cast(sample_weight, self.dtype)
        # The bins are open below. Rounding may lift a probability over 1.
        index = ops.clip(ops.cast(ops.ceil(confidence * self.bins), "int32") - 1, 0, self.bins - 1)
        of_bin = ops.one_hot(index, self.bins, dtype=self.dtype)
        self.sums.assign_add(ops.matmul(ops.stack([weight, weight * confidence, weight * right]), of_bin))

    def result(self):
        weight, confidence, right = ops.unstack(ops.convert_to_tensor(self.sums), 3)
        total = ops.sum(weight)
        return ops.sum(ops.abs(right - confidence)) / ops.where(total > 0, total, 1)

    def curve(self):
        """The reliability curve: a dictionary of what is in the bins, each `(bins,)`.

        `confidence` and `accuracy` are means over the bin, 0 where it is empty, and `share` is the share of all
        predictions that it has.
        """
        weight, confidence, right = ops.unstack(ops.convert_to_tensor(self.sums), 3)
        total = ops.sum(weight)
        count = ops.where(weight > 0, weight, 1)
        share = weight / ops.where(total > 0, total, 1)
        return {"confidence": confidence / count, "accuracy": right / count, "share": share}

    def get_config(self):
        return {**super().get_config(), "bins": self.bins}
