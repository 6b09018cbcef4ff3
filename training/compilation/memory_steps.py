"""Steps of memories that no loop trains: synapses that learn what they are shown, recall from patterns over chips."""

import dataclasses

from training.options import Options, option


@dataclasses.dataclass(frozen=True)
class SynapsesOptions(Options):
    """The sizes of `python -m training synapses`, and how many states its memories are shown.

    Attributes:
        neurons: Number of visible neurons.
        memories: Number of memories.
        tau: Time scale, in steps.
        beta: Selectivity.
        steps: Number of states that are shown, one after another.
    """

    neurons: int = option(50, least=1)
    memories: int = option(4, least=1)
    tau: float = option(250.0, above=0)
    beta: float = option(2.0, above=0)
    steps: int = option(2000, least=1)


class SynapsesStep:
    """`SynapticMemory.learn`: the loop over all that is shown, on each chip by itself.

    Args:
        options: `SynapsesOptions`.
        chips: Number of chips.
    """

    backends = ("tensorflow", "jax")

    def __init__(self, options, chips):
        del chips
        self.options = options
        self.sizes = {"steps": options.steps}

    def batch(self):
        """No batch is divided."""
        return None

    def _memory(self):
        from keras_kuramoto.layers.synaptic_memory import SynapticMemory

        options = self.options
        memory = SynapticMemory(options.memories, tau=options.tau, beta=options.beta)
        memory.build((None, options.neurons))
        return memory

    def tensorflow(self, chips):
        """The program of one chip as TensorFlow traces it: StableHLO as text."""
        import tensorflow as tf

        from training.compilation.tensorflow_step import trace

        del chips
        memory = self._memory()
        return trace(lambda states: memory.learn(states), [tf.TensorSpec((self.options.steps, self.options.neurons))])

    def jax(self, batch, devices, groups):
        """The same on JAX: a `jax.stages.Lowered`."""
        import jax
        import keras
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        del batch, groups
        memory = self._memory()

        def learn(memories, states):
            with keras.StatelessScope([(memory.memories, memories)]):
                return memory.learn(states)

        whole = NamedSharding(Mesh(devices, ("chips",)), PartitionSpec())
        shapes = (memory.memories.shape, (self.options.steps, self.options.neurons))
        described = [jax.ShapeDtypeStruct(shape, "float32", sharding=whole) for shape in shapes]
        return jax.jit(learn).lower(*described)


@dataclasses.dataclass(frozen=True)
class RecallOptions(Options):
    """Recall from patterns that are split over the chips.

    Attributes:
        patterns: Number of patterns, a multiple of the number of chips.
        neurons: Number of neurons.
        batch_size: Number of states.
        steps: Steps of recall.
        h: Strength of hetero-association, along a cycle of all patterns.
    """

    patterns: int = option(65_536, least=1)
    neurons: int = option(1024, least=1)
    batch_size: int = option(256, least=1)
    steps: int = option(10, least=1)
    h: float = option(0.0)


class RecallStep:
    """Recall of `CDAMRecall` with patterns over all chips.

    Args:
        options: `RecallOptions`.
        chips: Number of chips.

    Raises:
        ValueError: If the patterns can't be divided.
    """

    # Keras distributes weights on JAX alone.
    backends = ("jax",)

    def __init__(self, options, chips):
        if options.patterns % chips:
            raise ValueError(
                f"`patterns` must be a multiple of the number of chips, {chips}. Received {options.patterns}."
            )
        self.options = options
        self.sizes = {"batch_size": options.batch_size, "patterns_of_a_chip": options.patterns // chips}

    def batch(self):
        """No batch is divided."""
        return None

    def jax(self, batch, devices, groups):
        """The program of all chips: a `jax.stages.Lowered`."""
        import jax
        import keras
        import numpy as np
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        from keras_kuramoto.layers.cdam_recall import CDAMRecall
        from keras_kuramoto.layouts import split_patterns

        del batch, groups
        options = self.options
        names = [f"cpu:{index}" for index in range(len(devices))]
        layout = split_patterns(keras.distribution.DeviceMesh((len(devices),), ("chips",), names), "chips")
        index = np.arange(options.patterns)
        cycle = (index, (index + 1) % options.patterns, np.ones(options.patterns)) if options.h else None
        memory = CDAMRecall(
            (options.patterns, options.neurons),
            cycle,
            h=options.h,
            num_steps=options.steps,
            patterns_initializer="zeros",
            block_size=options.patterns,
        )
        mesh = Mesh(devices, ("chips",))

        def described(shape, dtype, path=""):
            found = layout[path] if path else None
            sharding = NamedSharding(mesh, PartitionSpec(*(found.axes if found else ())))
            return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

        variables = [described(v.shape, v.dtype, v.path) for v in memory.non_trainable_variables]
        state = described((options.batch_size, options.neurons), "float32")
        recall = jax.jit(lambda variables, state: memory.stateless_call([], variables, state)[0])
        return recall.lower(variables, state)


STEPS = {
    "synapses": (SynapsesStep, SynapsesOptions()),
    "cdam_recall": (RecallStep, RecallOptions()),
}
