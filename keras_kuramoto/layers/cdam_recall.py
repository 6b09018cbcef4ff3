"""Recall from a dense associative memory over a graph of memories."""

import dataclasses
import math

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto._backend.loop import bounded_loop, static_int
from keras_kuramoto._checks import check_number, check_positive, check_whole
from keras_kuramoto.ops.memory_graph import MemoryGraph, memory_graph

# Up to so many memories the matrix M is made in full where it is used.
_FULL_MATRIX = 4096


@dataclasses.dataclass(frozen=True)
class _GraphSizes:
    """What a configuration knows of a graph whose entries come with the weights."""

    num_edges: int
    num_tiles: int
    directed: bool


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class CDAMRecall(keras.layers.Layer):
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

    The state and all else is float32 under a mixed precision policy.

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
        # The state stays in the variables' dtype.
        super().__init__(autocast=False, **kwargs)
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
            name: self._weight(name, (), value, trainable=True)
            for name, value, trained in (("a", self.a, train_a), ("h", self.h, train_h))
            if trained
        }
        self._check_h(self._trained.get("h", self.h))
        # All sizes are known: energies and the like can be had before the first call.
        self.build((None, self.num_neurons))

    def _weight(self, name, shape, value, dtype=None, trainable=False):
        # Not `keras.initializers.Constant`, which rounds to float32 also where the layer computes in float64.
        initializer = value if callable(value) else lambda shape, dtype=None: ops.convert_to_tensor(value, dtype=dtype)
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=trainable,
            # `autocast=False` of the layer does not reach a variable that is read outside of the layer's call.
            autocast=False,
        )

    def _create_patterns(self, patterns):
        self.memory = None
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
            self._patterns = self._weight("patterns", shape, self.patterns_initializer, trainable=self.train_patterns)
        else:
            patterns = patterns if isinstance(patterns, np.ndarray) else _to_array(patterns)
            if patterns.dtype.kind not in "biuf" or patterns.ndim != 2 or 0 in patterns.shape:
                raise ValueError(
                    "`patterns` must be an array (patterns, neurons), a pair of these two sizes, or a layer. "
                    f"Received an array of the shape {patterns.shape} and of the dtype {patterns.dtype}."
                )
            # Without a temporary array of their size.
            if not (math.isfinite(patterns.min()) and math.isfinite(patterns.max())):
                raise ValueError("`patterns` must be finite. Received NaN or infinite entries.")
            shape = patterns.shape
            self._patterns = self._weight("patterns", shape, patterns, trainable=self.train_patterns)
        self.num_patterns, self.num_neurons = int(shape[0]), int(shape[1])

    def _create_graph(self, graph):
        self._sizes = None
        if graph is None:
            return
        p, block = self.num_patterns, self.block_size
        if isinstance(graph, _GraphSizes):
            self._sizes, edges, tiles = graph, None, None
        else:
            edges = memory_graph(graph, num_nodes=p)
            tiles = _tiles(edges.sources, p, block)
            self._sizes = _GraphSizes(len(edges.weights), len(tiles), edges.directed)
        # A slice of edges is as long as a block: there are idle ones behind the last.
        num_edges = self._sizes.num_edges
        pad = (0, block if p > block else 0)

        def weight(name, shape, value, dtype):
            return self._weight(name, shape, np.zeros(shape) if value is None else value, dtype)

        def padded(name, dtype):
            value = None if edges is None else np.pad(getattr(edges, name), pad)
            return weight(f"edge_{name}", (num_edges + pad[1],), value, dtype)

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
        variables = (self.edge_sources, self.edge_targets, self.edge_weights)
        edges = (ops.convert_to_numpy(variable)[: self._sizes.num_edges] for variable in variables)
        return MemoryGraph(self.num_patterns, *edges, directed=self._sizes.directed)

    def build(self, state_shape):
        self._check_state_shape(state_shape)

    def _check_state_shape(self, shape):
        if len(shape) != 2 or shape[-1] not in (None, self.num_neurons):
            raise ValueError(
                f"The state must be (batch, {self.num_neurons}), as the patterns have {self.num_neurons} components. "
                f"Received the shape {tuple(shape)}."
            )

    def _check_h(self, h):
        if self._sizes is None and not (isinstance(h, float) and h == 0):
            raise ValueError(
                f"Hetero-association (`h`) needs a `graph` of the memories. Received h={h!r} and no graph."
            )

    def _prepare(self, state):
        if not isinstance(state, keras.KerasTensor):
            state = ops.convert_to_tensor(state)
        self._check_state_shape(state.shape)
        if is_concrete(state) and bool(ops.any(ops.isnan(state))):
            raise ValueError("The state must not have NaN in it. Received some.")
        return ops.cast(state, self.variable_dtype)

    def _strength(self, name, given, batch):
        """A Python float, or a tensor of rank 0 to 2."""
        if given is None:
            variable = self._trained.get(name)
            value = getattr(self, name) if variable is None else ops.convert_to_tensor(variable)
        elif isinstance(given, (int, float)) and not isinstance(given, bool):
            value = check_number(name, given)
        else:
            value = ops.cast(given, self.variable_dtype)
            shape = tuple(value.shape)
            others = (1,) if len(shape) == 2 else ()
            if (
                len(shape) > 2
                or 0 in shape
                or (shape and None not in (shape[0], batch) and shape[0] not in (batch, *others))
            ):
                raise ValueError(
                    f"`{name}` must be a number, or a tensor of the shape (), (batch,), (batch, steps) or (1, steps). "
                    f"Received the shape {shape} for a batch of {batch}."
                )
        if name == "h":
            self._check_h(value)
        return value

    def _steps(self, num_steps):
        if num_steps is None:
            return self.num_steps
        if isinstance(num_steps, int):
            return check_whole("num_steps", num_steps, 0)
        given, num_steps = num_steps, ops.convert_to_tensor(num_steps)
        if not keras.backend.is_int_dtype(num_steps.dtype) or len(num_steps.shape):
            raise ValueError(f"`num_steps` must be an integer or a scalar tensor of integers. Received {given!r}.")
        return ops.cast(num_steps, "int32")

    def overlaps(self, state):
        """m^μ = σ·ξ^μ / n with all patterns.

        Args:
            state: `(batch, n)`.

        Returns:
            `(batch, p)`.
        """
        state = self._prepare(state)
        return self._by_blocks(state, lambda rows: ops.einsum("bn,pn->bp", state, rows) / self.num_neurons)

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
            ValueError: If the state has another shape or NaN in it, or `margin` is not positive.

        Example:

        >>> index, correlation = CDAMRecall(np.eye(3)).closest(np.array([[0.1, 0.9, 0.0]]))
        >>> int(index[0]), round(float(correlation[0]), 2)
        (1, 0.99)
        """
        margin = check_positive("margin", margin)
        state = _standardized(self._prepare(state))
        patterns = ops.convert_to_tensor(self.patterns)
        block = min(self.block_size, self.num_patterns)
        blocks = -(-self.num_patterns // block)

        def part(number):
            start = self._block_start(number)
            rows = ops.slice(patterns, (start, ops.zeros_like(start)), (block, self.num_neurons))
            return start, ops.einsum("bn,pn->bp", state, _standardized(rows))

        def highest(best, number):
            _, correlation = part(number)
            return ops.where(ops.max(correlation, axis=1) > best, ops.max(correlation, axis=1), best), None

        best, _ = bounded_loop(highest, ops.full_like(state[:, 0], -2.0), blocks)

        def first(found, number):
            index, value = found
            start, correlation = part(number)
            near = correlation >= (best - margin)[:, None]
            place = ops.argmax(ops.cast(near, "int32"), axis=1)
            new = ops.any(near, axis=1) & (index < 0)
            own = ops.take_along_axis(correlation, place[:, None], axis=1)[:, 0]
            return (ops.where(new, start + ops.cast(place, "int32"), index), ops.where(new, own, value)), None

        nothing = ops.full_like(ops.cast(best, "int32"), -1)
        return bounded_loop(first, (nothing, best), blocks)[0]

    def _correlator(self):
        """The function of a state that computes its correlations."""
        if self.num_patterns > self.block_size:

            def correlate(state):
                state = _standardized(state)
                return self._by_blocks(state, lambda rows: ops.einsum("bn,pn->bp", state, _standardized(rows)))

            return correlate
        # Once, and not in every step.
        rows = _standardized(ops.convert_to_tensor(self.patterns))
        return lambda state: ops.einsum("bn,pn->bp", _standardized(state), rows)

    def _by_blocks(self, state, function):
        """`(batch, p)`, from a function that makes `(batch, rows)` of some rows of the patterns."""
        patterns, block = ops.convert_to_tensor(self.patterns), self.block_size
        if self.num_patterns <= block:
            return function(patterns)

        def step(_, index):
            start = self._block_start(index)
            return _, function(ops.slice(patterns, (start, ops.zeros_like(start)), (block, self.num_neurons)))

        blocks = -(-self.num_patterns // block)
        like = ops.zeros((state.shape[0] or ops.shape(state)[0], block), self.variable_dtype)
        _, parts = bounded_loop(step, ops.zeros((), "int32"), blocks, output_like=like)
        whole, last = parts[: blocks - 1], parts[blocks - 1]
        whole = ops.reshape(ops.transpose(whole, (1, 0, 2)), (-1, (blocks - 1) * block))
        # The last block begins where it still has its full length, in the one before.
        return ops.concatenate([whole, last[:, blocks * block - self.num_patterns :]], axis=1)

    def _block_start(self, index):
        block = min(self.block_size, self.num_patterns)
        return ops.minimum(ops.cast(index, "int32") * block, self.num_patterns - block)

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
        a, h = (self._strength(name, given, state.shape[0]) for name, given in (("a", a), ("h", h)))
        if any(len(getattr(value, "shape", ())) > 1 for value in (a, h)):
            raise ValueError("The energy takes `a` and `h` without a value for each step.")
        m, beta = self.overlaps(state), self.beta
        own, own_top = _sum_exp(beta * m * m)
        if not self._has_edges(h):
            if self._sizes is None or not self._sizes.directed:
                return -a / beta * (ops.log(own) + own_top)
            pair, top = ops.zeros_like(own), own_top
        else:
            edges = slice(0, self._sizes.num_edges)
            sources, targets, weights = (
                ops.convert_to_tensor(variable)[edges]
                for variable in (self.edge_sources, self.edge_targets, self.edge_weights)
            )
            products = ops.take(m, sources, axis=1) * ops.take(m, targets, axis=1)
            pair, pair_top = _sum_exp(beta * products, weights)
            if not self._sizes.directed:
                return -(a * (ops.log(own) + own_top) + h * (ops.log(pair) + pair_top)) / beta
            top = ops.where(own_top > pair_top, own_top, pair_top)
            pair = pair * ops.exp(pair_top - top)
        total = a * own * ops.exp(own_top - top) + h * pair
        positive = total > 0
        value = -(ops.log(ops.where(positive, total, ops.ones_like(total))) + top) / beta
        return ops.where(positive, value, ops.full_like(value, math.inf))

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
        return states

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
        return (state, correlations) if return_correlations else state

    def _run(self, state, a, h, num_steps, tolerance, max_steps, observe):
        """The last state, and what `observe` makes of the states, `(batch, steps + 1, ...)`."""
        num_steps = self._steps(num_steps)
        if max_steps is not None:
            max_steps = check_whole("max_steps", max_steps, 0)
        tolerance = self.tolerance if tolerance is None else check_positive("tolerance", tolerance)
        a, h = (self._strength(name, given, state.shape[0]) for name, given in (("a", a), ("h", h)))
        patterns = ops.convert_to_tensor(self.patterns)
        retrieve = self._retrieval(patterns, self._has_edges(h))
        moving = ops.ones_like(state[:, 0], dtype="bool")

        def step(carried, index):
            def move():
                state, moving = carried
                change = self.eta * (retrieve(state, _at(a, index), _at(h, index)) - state)
                if tolerance is None:
                    return state + change, moving
                still = moving & (ops.max(ops.abs(change), axis=-1) >= tolerance)
                return ops.where(moving[:, None], state + change, state), still

            carried = move() if tolerance is None else _unless(~ops.any(carried[1]), move, carried)
            return carried, None if observe is None else observe(carried[0])

        first = None if observe is None else observe(state)
        (state, _), seen = bounded_loop(step, (state, moving), num_steps, output_like=first, max_steps=max_steps)
        if observe is None:
            return state, None
        return state, ops.moveaxis(ops.concatenate([first[None], seen]), 0, 1)

    def _has_edges(self, h):
        return self._sizes is not None and self._sizes.num_edges > 0 and not (isinstance(h, float) and h == 0)

    def _retrieval(self, patterns, hetero):
        """The function of `(state, a, h)` that computes softmax(β σ Ξ) Q - ξ̃."""
        if self.num_patterns <= self.block_size:
            return self._whole_retrieval(patterns, hetero)
        return self._block_retrieval(patterns, hetero)

    def _whole_retrieval(self, patterns, hetero):
        mix = self._mixing() if hetero else None

        def retrieve(state, a, h):
            shares = ops.softmax(self.beta * ops.einsum("bn,pn->bp", state, patterns))
            mixed = a * shares + h * mix(shares) if hetero else a * shares
            # With the mean subtracted here, what nearly cancels are shares and not sums of patterns.
            return (mixed - self.mean_scale / self.num_patterns) @ patterns

        return retrieve

    def _mixing(self):
        """The function that multiplies rows of `(batch, p)` by M from the right."""
        p, edges = self.num_patterns, slice(0, self._sizes.num_edges)
        sources, targets = (
            ops.convert_to_tensor(variable)[edges] for variable in (self.edge_sources, self.edge_targets)
        )
        weights = ops.convert_to_tensor(self.edge_weights)[edges]
        if p <= _FULL_MATRIX:
            matrix = ops.scatter(ops.stack([sources, targets], axis=1), weights, (p, p))
            return lambda shares: shares @ matrix

        def mix(shares):
            along = ops.take(ops.transpose(shares), sources, axis=0) * weights[:, None]
            return ops.transpose(ops.scatter(targets[:, None], along, (p, shares.shape[0] or ops.shape(shares)[0])))

        return mix

    def _block_retrieval(self, patterns, hetero):
        """A running softmax over blocks of patterns.

        The work is cut in tiles: a block of patterns, with some of the edges that leave it. A block with more edges has
        several tiles, and counts in the first one.
        """
        p, n, block = self.num_patterns, self.num_neurons, self.block_size
        if hetero:
            tiles, *edges = (
                ops.stop_gradient(x) for x in (self.edge_tiles, self.edge_sources, self.edge_targets, self.edge_weights)
            )
        places = ops.arange(block, dtype="int32")
        # As constants of the loop patterns have gradients, which costs as much memory as they do: not if not needed.
        trained = (patterns,) if self.train_patterns and self.memory is None else ()
        mean = self.mean_scale / p * ops.sum(patterns, axis=0) if self.mean_scale else 0.0
        # TensorFlow's recomputation can't deal with variables, only with what is read from them.
        patterns = ops.stop_gradient(patterns)

        def step(sums, index, state, *constants):
            rows_of = constants[0] if trained else patterns
            top, total, auto, across = sums
            tile = tiles[index] if hetero else None
            number = tile[0] if hetero else index
            start = self._block_start(number)
            rows = ops.slice(rows_of, (start, ops.zeros_like(start)), (block, n))
            scores = self.beta * ops.einsum("bn,pn->bp", state, rows)
            # The last block begins in the one before, whose patterns do not count again.
            new = places + start >= ops.cast(number, "int32") * block
            scores = ops.where(new, scores, ops.full_like(scores, -1e30))
            new_top = ops.stop_gradient(ops.max(ops.concatenate([top, scores], axis=1), axis=1, keepdims=True))
            keep, shares = ops.exp(top - new_top), ops.exp(scores - new_top)
            if hetero:
                part_sources, part_targets, part_weights = (ops.slice(x, (tile[1],), (block,)) for x in edges)
                inside = places < tile[2]
                weights = ops.where(inside, part_weights, ops.zeros_like(part_weights))
                local = ops.where(inside, part_sources - start, ops.zeros_like(part_sources))
                along = ops.take(shares, local, axis=1) * weights
                across = across * keep + along @ ops.take(rows_of, part_targets, axis=0)
                shares = shares * ops.cast(tile[3], shares.dtype)
            total = total * keep + ops.sum(shares, axis=1, keepdims=True)
            return (new_top, total, auto * keep + shares @ rows, across), None

        def retrieve(state, a, h):
            # Outside of functions JAX would compile each recomputed step anew, and there is nothing to recompute for.
            plain = keras.backend.backend() == "jax" and is_concrete(state) and is_concrete(patterns)
            zero = ops.zeros_like(state)
            column = zero[:, :1]
            (_, total, auto, across), _ = bounded_loop(
                step,
                (column - 1e30, column, zero, zero if hetero else column),
                self._sizes.num_tiles if hetero else -(-p // block),
                remat=not plain,
                constants=(state, *trained),
            )
            return (a * auto + h * across if hetero else a * auto) / total - mean

        return retrieve

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
        return result, keras.KerasTensor(shape, dtype=self.variable_dtype)

    def compute_output_shape(self, state_shape):
        return tuple(state_shape)

    def get_config(self):
        config = super().get_config()
        serialize = keras.saving.serialize_keras_object
        config.update(
            patterns=[self.num_patterns, self.num_neurons] if self.memory is None else serialize(self.memory),
            graph=None if self._sizes is None else dataclasses.asdict(self._sizes),
            a=self.a,
            h=self.h,
            beta=self.beta,
            eta=self.eta,
            num_steps=self.num_steps,
            tolerance=self.tolerance,
            mean_scale=self.mean_scale,
            train_patterns=self.train_patterns,
            train_a=self.train_a,
            train_h=self.train_h,
            patterns_initializer=keras.initializers.serialize(self.patterns_initializer),
            block_size=self.block_size,
        )
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if isinstance(config["patterns"], dict):
            config["patterns"] = keras.saving.deserialize_keras_object(config["patterns"])
        if isinstance(config["graph"], dict):
            config["graph"] = _GraphSizes(**config["graph"])
        return cls(**config)


def _to_array(value):
    if hasattr(value, "dtype"):
        return ops.convert_to_numpy(value)
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"`patterns` must have rows of one length: {error}") from error


def _standardized(x):
    """Rows without their mean, divided by their norm; zero where a row is constant up to rounding."""
    rounding = float(np.finfo(keras.backend.standardize_dtype(x.dtype)).eps)
    centred = x - ops.sum(x, axis=-1, keepdims=True) / x.shape[-1]
    squares = ops.sum(centred * centred, axis=-1, keepdims=True)
    varies = squares > (4 * rounding) ** 2 * ops.sum(x * x, axis=-1, keepdims=True)
    return ops.where(varies, centred / ops.sqrt(ops.where(varies, squares, ops.ones_like(squares))), ops.zeros_like(x))


def _at(value, index):
    """The strength in a step, to be multiplied with `(batch, n)`."""
    rank = 0 if isinstance(value, float) else len(value.shape)
    if rank == 0:
        return value
    if rank == 1:
        return value[:, None]
    return ops.take(value, ops.reshape(ops.minimum(index, ops.shape(value)[1] - 1), (1,)), axis=1)


def _unless(done, function, otherwise):
    if is_concrete(done):
        return otherwise if bool(done) else function()
    return ops.cond(done, lambda: otherwise, function)


def _sum_exp(x, weights=None):
    """Σ w exp(x - top) over the last axis, and top, the largest x."""
    top = ops.stop_gradient(ops.max(x, axis=-1))
    terms = ops.exp(x - top[..., None])
    return ops.sum(terms if weights is None else terms * weights, axis=-1), top


def _tiles(sources, num_patterns, block):
    """For each tile its block of memories, its first edge, its number of edges, and 1 if it is the block's first."""
    starts = np.arange(0, num_patterns, block)
    first = np.searchsorted(sources, starts)
    last = np.append(first[1:], len(sources))
    counts = np.maximum(-(-(last - first) // block), 1)
    number = np.repeat(np.arange(len(starts)), counts)
    part = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = first[number] + part * block
    return np.stack([number, begin, np.minimum(last[number] - begin, block), part == 0], axis=1)
