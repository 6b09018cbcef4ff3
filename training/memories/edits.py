"""The edits of a trained memory: which labels change, and when."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Edit:
    """A change of labels, Sec. 6 of the Hopfield-Kuramoto paper.

    Attributes:
        swaps: Whether labels 0 and 1 are exchanged; if not, 1 becomes 0.
        associative: Whether a second image decides: labels change if it is a 1, and stay if it is a 0.
    """

    swaps: bool
    associative: bool

    def labels(self, label, cue):
        """The labels after the edit.

        Args:
            label: `(batch,)` integers.
            cue: `(batch,)`, the digit of the second image, 0 or 1. Without effect unless `associative`.

        Returns:
            `(batch,)` integers.
        """
        zero = tf.ones_like(label) if self.swaps else tf.zeros_like(label)
        changed = tf.where(label == 0, zero, tf.where(label == 1, tf.zeros_like(label), label))
        return tf.where(cue == 1, changed, label) if self.associative else changed


EDITS = {
    "conflation": Edit(swaps=False, associative=False),
    "swap": Edit(swaps=True, associative=False),
    "associative_conflation": Edit(swaps=False, associative=True),
    "associative_swap": Edit(swaps=True, associative=True),
}
