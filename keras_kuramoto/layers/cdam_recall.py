"""Recall from a dense associative memory over a graph of memories."""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.concrete import is_concrete, unless
from keras_kuramoto._backend.loop import bounded_loop, static_int
from keras_kuramoto._backend.precise import largest
from keras_kuramoto._checks import check_number, check_positive, check_whole
from keras_kuramoto.layers.layer import StateLayer, exactly
from keras_kuramoto.ops import _association
from keras_kuramoto.ops._association import strength_at
from keras_kuramoto.ops._blocks import edge_tiles, first_of_highest, map_blocks
from keras_kuramoto.ops._range import at_least_float32
from keras_kuramoto.ops.memory_graph import MemoryGraph, memory_graph


@dataclasses.dataclass(frozen=True)
class _GraphSizes:
    """What a configuration knows of a graph whose entries come with the weights."""

    num_edges: int
    num_tiles: int
    directed: bool


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class CDAMRecall(StateLayer):
    """Correlated dense associative memory: recall of patterns that a graph links.

    One step (Eq. 1) moves the state σ to the patterns that it resembles, and to their successors in the graph:

        σ ← σ + η (softmax(β σ Ξ) Q - ξ̃ - σ),    Q = a Ξ + h Ξ Mᵀ,

    with the patterns as the columns of Ξ, their mean ξ̃, and M = D^(-1/2) A D^(-1/2) of the graph's adjacency matrix A
    (see `keras_kuramoto.ops.memory_graph`, also for what becomes of isolated memories). An edge (μ, ν) of a directed
    graph makes the pattern μ recall the pattern ν.

    With a = 1, h = 0 and no graph this is plain retrieval, the modern Hopfield network: from a noisy pattern to the
    pattern. It has no weights but the patterns, and nothing is projected, normalised or trained.

    The paper prints ξ̃ / n in place of ξ̃. Only the whole ξ̃ gives what the paper claims and its author's code computes,
    that the mean activity goes to zero if a + h = 1. With `mean_scale=1 / n` the layer computes what is printed.

    The state and all else is float32 under a mixed precision policy. With `dtype="float16"` or `"bfloat16"` patterns
    and returned states have it, and all that is computed is float32: energies, overlaps and correlations too.

    Memory: with p > `block_size`, patterns are read in blocks with a running softmax, and the state's share of every
    pattern, `(batch, p)`, is never there as a whole. Above the patterns and the graph, a step then needs about
    4 `block_size` (2 n + 3 batch) bytes for each block in work, of which TensorFlow may have some at once, and
    16 batch n bytes for the sums. Gradients recompute the blocks: they keep two sums, (batch, n), for each block.

    Where the patterns are split over devices along their first axis by Keras' distribution API, choose
    `block_size` ≥ p: the product of all patterns is then split like them, `(batch, p / devices)` on each.

    Args:
        patterns: The memories, `(p, n)`: an array, one pattern in a row; a pair `(p, n)` of integers, for patterns that
            start from `patterns_initializer`; or a built layer that has them as its weight `memories`, such as
            `SynapticMemory`. A call with `training=True` shows its states to such a layer, after the recall.
            An array is not part of the configuration, which holds p and n; it is saved and loaded as a weight.
        graph: NetworkX graph, adjacency matrix (NumPy or `scipy.sparse`), or tuple `(rows, columns, weights)`, as for
            `keras_kuramoto.ops.memory_graph`, or what this function returned. `None` for no graph. The edges are saved
            and loaded as weights that are not trained.
        a: Strength of the auto-association, any finite number. Negative is anti-Hebbian.
        h: Strength of the hetero-association, any finite number. Other than 0 it needs a graph.
        beta: β > 0, the inverse temperature: with a large one only the most similar pattern counts.
        eta: η > 0, the size of a step. With 1 the state is replaced in each step.
        num_steps: Number of steps, the most if there is a tolerance.
        tolerance: An example stops after a step in which no component of its state moves as much as this. `None` takes
            all the steps.
        mean_scale: The share of the mean pattern ξ̃ that is subtracted. By default 1 where there is a graph, and 0
            where there is none, so that plain retrieval gives the pattern itself.
        train_patterns: Whether the patterns are trained.
        train_a: Whether `a` is trained, from the given start.
        train_h: Whether `h` is trained, from the given start.
        patterns_initializer: Initialiser of patterns that are not given. By default uniform in [0, 1].
        block_size: Number of patterns that are read at a time.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        state: σ, `(batch, n)`.
        a: Another `a`: a number, or a tensor: a scalar, `(batch,)`, or `(batch, steps)` or `(1, steps)` with a value
            for each step, of which the last counts for all further steps.
        h: Another `h`, likewise.
        num_steps: Another number of steps: a Python integer or a scalar integer tensor.
        tolerance: Another tolerance, a number.
        return_correlations: Whether to return the Pearson correlations with all patterns at all steps too.
        max_steps: Python integer, the most that a tensor `num_steps` can be. Needed for gradients through one, and for
            correlations with one under `jit`.
        training: Whether a layer that holds the patterns learns from the given states.

    Returns:
        The state after the last step, `(batch, n)`. With `return_correlations=True` a pair with the correlations,
        `(batch, steps + 1, p)`: row t belongs to the state after t steps.

    Raises:
        ValueError: If an argument is of the wrong kind or size, β or η is not positive, patterns, states or the graph
            have entries that are not finite, weights of the graph are negative, the graph and the patterns differ in
            size, or h is not zero and there is no graph.

    Example:

    >>> memory = CDAMRecall(np.eye(3), beta=20.0)
    >>> [round(float(x), 2) for x in memory(np.array([[0.8, 0.3, 0.1]]))[0]]
    [1.0, 0.0, 0.0]

    A directed cycle, walked by strong hetero-association in three whole steps, and back at the start:

    >>> cycle = np.roll(np.eye(3), 1, axis=1)
    >>> sequence = CDAMRecall(np.eye(3), cycle, a=0.0, h=1.0, beta=50.0, eta=1.0)
    >>> [int(ops.argmax(sequence(np.array([[1.0, 0.0, 0.0]]), num_steps=t))) for t in range(4)]
    [0, 1, 2, 0]

    Reference: Burns, Semantically-correlated memories in a dense associative model, ICML 2024, Eq. 1 to 3.
    """

    def __init__(
        self,
        patterns,
        graph=None,
        a=1.0,
        h=0.0,
        beta=1.0,
        eta=0.1,
        num_steps=101,
        tolerance=None,
        mean_scale=None,
        train_patterns=False,
        train_a=False,
        train_h=False,
        patterns_initializer=None,
        block_size=4096,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.beta = check_positive("beta", beta)
        self.eta = check_positive("eta", eta)
        self.num_steps = check_whole("num_steps", num_steps, 0)
        self.tolerance = None if tolerance is None else check_positive("tolerance", tolerance)
        if mean_scale is None:
            mean_scale = 0.0 if graph is None else 1.0
        self.mean_scale = check_number("mean_scale", mean_scale)
        self.a, self.h = check_number("a", a), check_number("h", h)
        self.train_patterns, self.train_a, self.train_h = train_patterns, train_a, train_h
        if patterns_initializer is None:
            patterns_initializer = keras.initializers.RandomUniform(0.0, 1.0)
        self.patterns_initializer = keras.initializers.get(patterns_initializer)
        self.block_size = check_whole("block_size", block_size, 1)
        self._create_patterns(patterns)
        self._create_graph(graph)
        self._trained = {
            name: self.add_weight(name=name, shape=(), initializer=exactly(value))
            for name, value, trained in (("a", self.a, train_a), ("h", self.h, train_h))
            if trained
        }
        self._check_h(self._trained.get("h", self.h))
        # All sizes are known: energies and the like can be had before the first call.
        self.build((None, self.num_neurons))

    def _create_patterns(self, patterns):
        self.memory, initializer = None, None
        if isinstance(patterns, keras.layers.Layer):
            shape = getattr(getattr(patterns, "memories", None), "shape", ())
            if len(shape) != 2:
                raise ValueError(
                    "A layer that holds the patterns must be built, and have them as its weight `memories`, "
                    f"(patterns, neurons). Received {patterns!r}."
                )
            self.memory = patterns
        elif np.ndim(patterns) == 1 and len(patterns) == 2:
            shape = tuple(check_whole("patterns", size, 1) for size in patterns)
            initializer = self.patterns_initializer
        else:
            patterns = _association.checked_patterns(patterns, self.variable_dtype)
            shape, initializer = patterns.shape, exactly(patterns)
        self.num_patterns, self.num_neurons = int(shape[0]), int(shape[1])
        if initializer is not None:
            self._patterns = self.add_weight(
                name="patterns", shape=shape, initializer=initializer, trainable=self.train_patterns
            )

    def _create_graph(self, graph):
        self._sizes = None
        if graph is None:
            return
        p, block = self.num_patterns, self.block_size
        if isinstance(graph, dict) and set(graph) == {field.name for field in dataclasses.fields(_GraphSizes)}:
            self._sizes, edges, tiles = _GraphSizes(**graph), None, None
        else:
            edges = memory_graph(graph, num_nodes=p)
            tiles = edge_tiles(edges.sources, p, block)
            self._sizes = _GraphSizes(len(edges.weights), len(tiles), edges.directed)
        # A slice of edges is as long as a block: there are idle ones behind the last.
        pad = (0, block if p > block else 0)

        def weight(name, shape, value, dtype=None):
            initializer = "zeros" if value is None else exactly(value)
            return self.add_weight(name=name, shape=shape, initializer=initializer, dtype=dtype, trainable=False)

        def padded(name, dtype):
            value = None if edges is None else np.pad(getattr(edges, name), pad)
            return weight(f"edge_{name}", (self._sizes.num_edges + pad[1],), value, dtype)

        self.edge_sources, self.edge_targets = padded("sources", "int32"), padded("targets", "int32")
        self.edge_weights = padded("weights", None)
        self.edge_tiles = weight("edge_tiles", (self._sizes.num_tiles, 4), tiles, "int32") if p > block else None

    @property
    def patterns(self):
        """The patterns, a variable `(p, n)`."""
        return self._patterns if self.memory is None else self.memory.memories

    @property
    def graph(self):
        """The graph as the layer has it now, a `MemoryGraph` with normalised weights, or `None`."""
        if self._sizes is None:
            return None
        edges = (ops.convert_to_numpy(entries) for entries in self._edges())
        return MemoryGraph(self.num_patterns, *edges, directed=self._sizes.directed)

    def _edges(self):
        """The sources, targets and weights of the edges, `(edges,)`."""
        variables = (self.edge_sources, self.edge_targets, self.edge_weights)
        sources, targets, weights = (ops.convert_to_tensor(x)[: self._sizes.num_edges] for x in variables)
        return sources, targets, at_least_float32(weights)

    @property
    def _computed_dtype(self):
        return "float32" if self.variable_dtype in ("float16", "bfloat16") else self.variable_dtype

    def _read_patterns(self):
        """The patterns in the dtype in which they are computed with."""
        return at_least_float32(ops.convert_to_tensor(self.patterns))

    def build(self, state_shape):
        self._check_state_shape(state_shape)

    def _check_state_shape(self, shape):
        if len(shape) != 2 or shape[-1] not in (None, self.num_neurons):
            raise ValueError(
                f"The state must be (batch, {self.num_neurons}), as the patterns have {self.num_neurons} components. "
                f"Received the shape {tuple(shape)}."
            )

    def _prepare(self, state):
        if not isinstance(state, keras.KerasTensor):
            state = ops.convert_to_tensor(state)
        self._check_state_shape(state.shape)
        state = ops.cast(state, self._computed_dtype)
        if is_concrete(state) and not bool(ops.all(ops.isfinite(state))):
            raise ValueError("The state must be finite. Received NaN or infinite entries.")
        return state

    def _strengths(self, a, h, batch):
        """Each a Python float, or a tensor of rank 0 to 2."""
        own = {"a": self.a, "h": self.h, **self._trained}
        a, h = (
            _association.checked_strength(name, own[name] if given is None else given, batch, self._computed_dtype)
            for name, given in (("a", a), ("h", h))
        )
        self._check_h(h)
        return a, h

    def _check_h(self, h):
        if self._sizes is None and not _is_zero(h):
            raise ValueError(
                f"Hetero-association (`h`) needs a `graph` of the memories. Received h={h!r} and no graph."
            )

    def overlaps(self, state):
        """m^μ = σ·ξ^μ / n with all patterns.

        Args:
            state: `(batch, n)`.

        Returns:
            `(batch, p)`.
        """
        state = self._prepare(state)
        if self.num_patterns > self.block_size:
            patterns = ops.convert_to_tensor(self.patterns)
            return map_blocks(_association.products, state, patterns, self.block_size) / self.num_neurons
        return _association.products(state, self._read_patterns()) / self.num_neurons

    def correlations(self, state):
        """Pearson's correlation of the state with all patterns; 0 where either is the same in all its components.

        Args:
            state: `(batch, n)`.

        Returns:
            `(batch, p)`.
        """
        return self._correlator()(self._prepare(state))

    def closest(self, state, margin=1e-3):
        """The pattern that each state is most like, by Pearson's correlation.

        Patterns are read in blocks, so that the correlations with all of them, `(batch, p)`, are never there at once.

        Args:
            state: `(batch, n)`.
            margin: Of the patterns whose correlation is at most this below the highest one, the first counts: rounding
                does not decide between memories that a state is as much like.

        Returns:
            `(index, correlation)`: rows of `patterns`, int32 `(batch,)`, and the correlations with them, `(batch,)`.

        Raises:
            ValueError: If the state has another shape or is not finite, or `margin` is not positive.

        Example:

        >>> index, correlation = CDAMRecall(np.eye(3)).closest(np.array([[0.1, 0.9, 0.0]]))
        >>> int(index[0]), round(float(correlation[0]), 2)
        (1, 0.99)
        """
        margin = check_positive("margin", margin)
        state = _association.standardized(self._prepare(state))
        block = min(self.block_size, self.num_patterns)
        return first_of_highest(_correlations, state, ops.convert_to_tensor(self.patterns), block, margin)

    def _correlator(self):
        """The function of a state that computes its correlations."""
        block, standardized = self.block_size, _association.standardized
        if self.num_patterns > block:
            patterns = ops.convert_to_tensor(self.patterns)
            return lambda state: map_blocks(_correlations, standardized(state), patterns, block)
        # Once, and not in every step.
        rows = standardized(self._read_patterns())
        return lambda state: _association.products(standardized(state), rows)

    def energy(self, state, a=None, h=None):
        """The energy of a state: Eq. 2 for an undirected graph or none, Eq. 3 for a directed one, with M in both.

        With m^μ the overlaps, E₂ = -(a/β) log Σ_μ exp(β m^μ m^μ) - (h/β) log Σ_μν M_μν exp(β m^μ m^ν) and
        E₃ = -(1/β) log(a Σ_μ exp(β m^μ m^μ) + h Σ_μν M_μν exp(β m^μ m^ν)). The paper gives them up to a factor. Its sum
        over the edges of a directed graph is this one where all edges have the weight 1 in M, as in a cycle. The term
        in h is left out where the graph has no edges. Eq. 3 has no value where the sum in it is not positive, as it may
        be with a or h < 0: the energy is infinite there.

        Args:
            state: `(batch, n)`.
            a: As in a call, without a value for each step.
            h: Likewise.

        Returns:
            `(batch,)`.
        """
        state = self._prepare(state)
        a, h = self._strengths(a, h, state.shape[0])
        if any(len(getattr(value, "shape", ())) > 1 for value in (a, h)):
            raise ValueError("The energy takes `a` and `h` without a value for each step.")
        edges = self._edges() if self._has_edges(h) else None
        directed = self._sizes is not None and self._sizes.directed
        return _association.energy(self.overlaps(state), a, h, self.beta, edges, directed)

    def trajectory(self, state, a=None, h=None, num_steps=None):
        """All states on the way.

        Args:
            state: `(batch, n)`.
            a: As in a call.
            h: As in a call.
            num_steps: Python integer.

        Returns:
            `(batch, steps + 1, n)`, from the given state to the last one.
        """
        state = self._prepare(state)
        _, states = self._run(state, a, h, num_steps, None, None, lambda state: state)
        return ops.cast(states, self.variable_dtype)

    def call(
        self,
        state,
        a=None,
        h=None,
        num_steps=None,
        tolerance=None,
        return_correlations=False,
        max_steps=None,
        training=None,
    ):
        given = self._prepare(state)
        observe = self._correlator() if return_correlations else None
        state, correlations = self._run(given, a, h, num_steps, tolerance, max_steps, observe)
        if training and self.memory is not None:
            self.memory(given, training=True)
        state = ops.cast(state, self.variable_dtype)
        return (state, correlations) if return_correlations else state

    def _run(self, state, a, h, num_steps, tolerance, max_steps, observe):
        """The last state, and what `observe` makes of the states, `(batch, steps + 1, ...)`."""
        num_steps = self.num_steps if num_steps is None else _checked_steps(num_steps)
        if max_steps is not None:
            max_steps = check_whole("max_steps", max_steps, 0)
        tolerance = self.tolerance if tolerance is None else check_positive("tolerance", tolerance)
        a, h = self._strengths(a, h, state.shape[0])
        retrieve = self._retrieval(self._has_edges(h))
        moving = ops.ones_like(state[:, 0], dtype="bool")

        def step(carried, index):
            def move():
                state, moving = carried
                change = self.eta * (retrieve(state, strength_at(a, index), strength_at(h, index)) - state)
                if tolerance is None:
                    return state + change, moving
                still = moving & (largest(ops.abs(change)) >= tolerance)
                return ops.where(moving[:, None], state + change, state), still

            carried = move() if tolerance is None else unless(~ops.any(carried[1]), move, carried)
            return carried, None if observe is None else observe(carried[0])

        first = None if observe is None else observe(state)
        (state, _), seen = bounded_loop(step, (state, moving), num_steps, output_like=first, max_steps=max_steps)
        if observe is None:
            return state, None
        return state, ops.moveaxis(ops.concatenate([first[None], seen]), 0, 1)

    def _has_edges(self, h):
        return self._sizes is not None and self._sizes.num_edges > 0 and not _is_zero(h)

    def _retrieval(self, hetero):
        """The function of `(state, a, h)` that computes softmax(β σ Ξ) Q - ξ̃."""
        beta, mean_scale = self.beta, self.mean_scale
        if self.num_patterns <= self.block_size:
            return _association.retrieval(self._read_patterns(), beta, mean_scale, self._edges() if hetero else None)
        patterns = ops.convert_to_tensor(self.patterns)
        edges = (self.edge_sources, self.edge_targets, self.edge_weights, self.edge_tiles) if hetero else None
        trained = self.train_patterns and self.memory is None
        return _association.block_retrieval(patterns, beta, mean_scale, self.block_size, edges, trained)

    def compute_output_spec(
        self,
        state,
        a=None,
        h=None,
        num_steps=None,
        tolerance=None,
        return_correlations=False,
        max_steps=None,
        training=None,
    ):
        self._check_state_shape(state.shape)
        result = keras.KerasTensor((state.shape[0], self.num_neurons), dtype=self.variable_dtype)
        if not return_correlations:
            return result
        steps = self.num_steps if num_steps is None else static_int(num_steps)
        steps = max_steps if steps is None else steps
        shape = (state.shape[0], None if steps is None else steps + 1, self.num_patterns)
        return result, keras.KerasTensor(shape, dtype=self._computed_dtype)

    def compute_output_shape(self, state_shape):
        return tuple(state_shape)

    def argument(self, name):
        if name == "patterns":
            return [self.num_patterns, self.num_neurons] if self.memory is None else self.memory
        if name == "graph":
            return None if self._sizes is None else dataclasses.asdict(self._sizes)
        return super().argument(name)


def _correlations(standard_state, patterns):
    return _association.products(standard_state, _association.standardized(patterns))


def _checked_steps(num_steps):
    if isinstance(num_steps, int):
        return check_whole("num_steps", num_steps, 0)
    given, num_steps = num_steps, ops.convert_to_tensor(num_steps)
    if not keras.backend.is_int_dtype(num_steps.dtype) or len(num_steps.shape):
        raise ValueError(f"`num_steps` must be an integer or a scalar tensor of integers. Received {given!r}.")
    return ops.cast(num_steps, "int32")


def _is_zero(h):
    return isinstance(h, float) and h == 0
