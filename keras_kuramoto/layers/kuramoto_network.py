"""A network of oscillators: blocks one after another."""

import keras

from keras_kuramoto.layers.initial_oscillators import InitialOscillators
from keras_kuramoto.layers.kuramoto_block import KuramotoBlock
from keras_kuramoto.layers.layer import StateLayer


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class KuramotoNetwork(StateLayer):
    """Blocks of oscillators one after another, and how the oscillators start: the trunk of every AKOrN.

    Args:
        blocks: List of `KuramotoBlock`s.
        initial_oscillators: An `InitialOscillators` layer, which makes the first oscillators of the stimuli.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        c: Conditional stimuli of the first block, `(batch, *spatial, oscillators * N)`.
        known: Booleans `(batch, *spatial)`, as for `InitialOscillators`.
        noise: Initial oscillators elsewhere, same shape as `c`, as for `InitialOscillators`.
        num_steps: Another number of steps: one for all blocks, as for `KuramotoLayer`, or a list with one for each,
            all tensors, or all integers or `None`.
        return_energy: Whether to return the energies too.
        max_steps: Bound of a tensor `num_steps`, as for `KuramotoLayer`.
        training: Whether dropout and the like are active.

    Returns:
        `(features, x)`: the last block's features and oscillators. With `return_energy=True` also a list with the
        energies `(batch, steps)` of every block, and with an `UntilRest` one with the steps taken in every block.
        Float32 under a mixed precision policy.

    Raises:
        ValueError: If an argument is of the wrong kind, or a list of numbers of steps has not one for each block.

    Example:

    >>> from keras import ops
    >>> from keras_kuramoto.layers import AttentionConnectivity, KuramotoLayer, OscillatorReadout
    >>> def block():
    ...     return KuramotoBlock(KuramotoLayer(AttentionConnectivity(2), 4, num_steps=4), OscillatorReadout(8, 4))
    >>> network = KuramotoNetwork([block(), block()], InitialOscillators(4, seed=0))
    >>> features, x, energies = network(ops.ones((2, 5, 8)), num_steps=[3, 6], return_energy=True)
    >>> features.shape, x.shape, [e.shape[1] for e in energies]
    ((2, 5, 8), (2, 5, 8), [3, 6])

    Reference: Miyato et al., ICLR 2025, Sec. 5.
    """

    def __init__(self, blocks, initial_oscillators, **kwargs):
        super().__init__(**kwargs)
        blocks = list(blocks)
        if not blocks or not all(isinstance(block, KuramotoBlock) for block in blocks):
            raise ValueError(f"`blocks` must be a list of `KuramotoBlock`s. Received {blocks!r}.")
        if not isinstance(initial_oscillators, InitialOscillators):
            raise ValueError(
                f"`initial_oscillators` must be an `InitialOscillators`. Received {initial_oscillators!r}."
            )
        self.blocks = blocks
        self.initial_oscillators = initial_oscillators

    def build(self, c_shape, known_shape=None, noise_shape=None):
        if not self.initial_oscillators.built:
            self.initial_oscillators.build(c_shape, known_shape, noise_shape)
        c = x = keras.KerasTensor(c_shape, dtype=self.variable_dtype)
        for block in self.blocks:
            if not block.built:
                block.build(x.shape, c.shape)
            x, c = block.compute_output_spec(x, c)

    def _steps(self, num_steps):
        """The numbers of steps of the blocks."""
        if not isinstance(num_steps, (list, tuple)):
            return [num_steps] * len(self.blocks)
        if len(num_steps) != len(self.blocks):
            raise ValueError(
                f"`num_steps` must have one number for each of the {len(self.blocks)} blocks. "
                f"Received {len(num_steps)} numbers."
            )
        return list(num_steps)

    # The layers inside take `training` from the call's context.
    def call(self, c, known=None, noise=None, num_steps=None, return_energy=False, max_steps=None, training=None):
        x = self.initial_oscillators(c, known, noise)
        more = []
        for block, steps in zip(self.blocks, self._steps(num_steps)):
            x, c, *of_block = block(x, c, num_steps=steps, return_energy=return_energy, max_steps=max_steps)
            more.append(of_block)
        return (c, x, *map(list, zip(*more)))

    def compute_output_spec(
        self, c, known=None, noise=None, num_steps=None, return_energy=False, max_steps=None, training=None
    ):
        x = self.initial_oscillators.compute_output_spec(c, known, noise)
        more = []
        for block, steps in zip(self.blocks, self._steps(num_steps)):
            x, c, *of_block = block.compute_output_spec(x, c, steps, return_energy, max_steps)
            more.append(of_block)
        return (c, x, *map(list, zip(*more)))
