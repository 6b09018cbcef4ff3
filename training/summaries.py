"""What a run writes for TensorBoard."""

import io

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from keras_kuramoto.layers import KuramotoLayer, NaturalFrequency


class Summaries:
    """Writes the scalars, histograms, pictures and profiles of a run; on the chief alone.

    Args:
        directory: The run's `logs`.
        chief: Whether this process writes.
        profile: `(first, last)`: the updates whose profile is written, counted from 1; `None` for none.
    """

    def __init__(self, directory, chief, profile=None):
        self._directory, self._profile = str(directory), profile if chief else None
        self._profiling = False
        self._writer = tf.summary.create_file_writer(self._directory) if chief else tf.summary.create_noop_writer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end_profile()
        self._writer.close()

    def scalars(self, group, values, step):
        """Writes a dictionary of numbers."""
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(f"{group}/{name}", value, step=step)

    def oscillators(self, model, step):
        """Writes γ and ω of each Kuramoto layer: the step size, and how fast Ω turns its oscillators.

        Ω's eigenvalues are ±iω; the scalar is the mean of ω ≥ 0 over oscillators and planes, the histogram has all.
        """
        with self._writer.as_default():
            for layer in _layers(model):
                if isinstance(layer, KuramotoLayer):
                    tf.summary.scalar(f"gamma/{layer.path}", keras.ops.convert_to_numpy(layer.gamma), step=step)
                if isinstance(layer, NaturalFrequency):
                    frequencies = angular_frequencies(keras.ops.convert_to_numpy(layer.matrices()))
                    tf.summary.scalar(f"omega/{layer.path}", frequencies.mean(), step=step)
                    tf.summary.histogram(f"omega/{layer.path}/all", frequencies, step=step)

    def trajectories(self, energies, step):
        """Writes the energy along trajectories: a picture of all of them, and the means at both ends.

        Args:
            energies: Array `(examples, steps)`.
            step: Number of updates.
        """
        with self._writer.as_default():
            tf.summary.scalar("energy/first", energies[:, 0].mean(), step=step)
            tf.summary.scalar("energy/last", energies[:, -1].mean(), step=step)
            tf.summary.image("energy/trajectory", _picture(energies)[None], step=step)

    # --- profiles ---------------------------------------------------------------------------------------------------

    def profile_boundary(self, step):
        """After how many updates a call must end so that a profile begins or ends there; `None` if none is to come."""
        if self._profile is None:
            return None
        first, last = self._profile
        return next((boundary for boundary in (first - 1, last) if boundary > step), None)

    def before_updates(self, step):
        """Begins a profile if the next update is its first."""
        if self._profile is not None and not self._profiling and step == self._profile[0] - 1:
            tf.profiler.experimental.start(self._directory)
            self._profiling = True

    def after_updates(self, step):
        """Ends the profile after its last update."""
        if self._profile is not None and step >= self._profile[1]:
            self._end_profile()

    def _end_profile(self):
        if self._profiling:
            tf.profiler.experimental.stop()
            self._profiling = False


def angular_frequencies(matrices):
    """How fast skew-symmetric matrices turn what they act on: ω ≥ 0 of their eigenvalues ±iω, one for each plane.

    Args:
        matrices: Array `(…, N, N)`.

    Returns:
        Flat array with N // 2 values for each matrix, in no order.

    Example:

    >>> angular_frequencies(np.array([[0.0, 0.5], [-0.5, 0.0]])).tolist()
    [0.5]
    """
    values = np.sort(np.abs(np.linalg.eigvals(np.asarray(matrices, "float64")).imag), axis=-1)[..., ::-1]
    # In pairs, and a zero beside them where N is odd.
    return values[..., : 2 * (values.shape[-1] // 2) : 2].ravel()


def parse_profile(text):
    """The updates of `--profile FIRST:LAST`.

    Raises:
        ValueError: If they are not two numbers, 1 ≤ FIRST ≤ LAST.

    Example:

    >>> parse_profile("101:110")
    (101, 110)
    """
    first, _, last = text.partition(":")
    if not (first.isdigit() and last.isdigit()) or not 1 <= int(first) <= int(last):
        raise ValueError(f"--profile must be FIRST:LAST, two updates with 1 <= FIRST <= LAST. Received '{text}'.")
    return int(first), int(last)


def _layers(model):
    return (layer for layer in model._flatten_layers() if isinstance(layer, (KuramotoLayer, NaturalFrequency)))


def _picture(energies):
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.add_subplot()
    steps = np.arange(1, energies.shape[1] + 1)
    axes.plot(steps, energies.T, color="tab:blue", alpha=0.25, linewidth=0.8)
    axes.plot(steps, energies.mean(0), color="black", linewidth=1.8, label="mean")
    axes.set(xlabel="Kuramoto step", ylabel="energy", title=f"{len(energies)} examples of the evaluation")
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return tf.image.decode_png(buffer.getvalue(), channels=3).numpy()
