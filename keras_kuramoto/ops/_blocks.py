"""Sums over the rows of a matrix that are read in blocks, so that nothing with an entry for each row is ever whole.

States are `(batch, n)`, rows `(p, n)` with p ≥ `block`. The last block begins early enough to have the full length, in
the one before.
"""

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto._backend.loop import bounded_loop
from keras_kuramoto._backend.precise import largest
from keras_kuramoto.ops._range import at_least_float32

# Less than every score that counts, and finite: differences of two of them are numbers.
_LOWEST = -1e30


def map_blocks(function, state, rows, block):
    """`(batch, p)` of a function that makes `(batch, block)` of the states and a block of rows."""

    def step(nothing, index):
        return nothing, function(state, _read(rows, index, block)[1])

    last = _count(rows, block) - 1
    like = ops.zeros((_batch(state), block), state.dtype)
    _, parts = bounded_loop(step, ops.zeros((), "int32"), last + 1, output_like=like)
    before = ops.reshape(ops.transpose(parts[:last], (1, 0, 2)), (_batch(state), last * block))
    return ops.concatenate([before, parts[last][:, (last + 1) * block - rows.shape[0] :]], axis=1)


def first_of_highest(function, state, rows, block, margin):
    """The first row whose value is at most `margin` below the highest one of all rows.

    Args:
        function: Makes `(batch, block)` values above -2 of the states and a block of rows.
        state: The states.
        rows: The rows.
        block: Number of rows that are read at a time.
        margin: A positive number.

    Returns:
        `(index, value)`: int32 `(batch,)`, and the values of these rows.
    """

    def highest(best, index):
        value = largest(function(state, _read(rows, index, block)[1]), axis=1)
        return ops.where(value > best, value, best), None

    best, _ = bounded_loop(highest, ops.full_like(state[:, 0], -2.0), _count(rows, block))

    def first(found, number):
        index, value = found
        start, part = _read(rows, number, block)
        values = function(state, part)
        near = values >= (best - margin)[:, None]
        place = ops.argmax(ops.cast(near, "int32"), axis=1)
        new = ops.any(near, axis=1) & (index < 0)
        own = ops.take_along_axis(values, place[:, None], axis=1)[:, 0]
        return (ops.where(new, start + ops.cast(place, "int32"), index), ops.where(new, own, value)), None

    nothing = ops.full_like(ops.cast(best, "int32"), -1)
    return bounded_loop(first, (nothing, best), _count(rows, block))[0]


def softmax_sums(state, rows, beta, block, edges=None, trained=False):
    """Sums of rows with the weights of a softmax over all of them, as it runs over the blocks.

    Where edges link the rows the work is cut in tiles: a block of rows, with some of the edges that leave it. A block
    with more edges has several tiles, and counts in the first one. Gradients recompute the blocks.

    Args:
        state: The states σ.
        rows: The rows ξ.
        beta: Factor of the scores β σ·ξ.
        block: Number of rows that are read at a time.
        edges: `None`, or the sources, targets and weights of edges by rising source, each with `block` idle entries
            behind the last, and their `tiles`.
        trained: Whether gradients reach the rows. It costs as much memory as they need.

    Returns:
        `(total, auto, across)`: Σ wᵢ `(batch, 1)`, Σ wᵢ ξᵢ and Σ wᵢ Mᵢⱼ ξⱼ `(batch, n)`, with wᵢ = exp(β σ·ξᵢ) up to
        a factor that all sums of a state share. Without edges the last one is 0, `(batch, 1)`.
    """
    places = ops.arange(block, dtype="int32")
    if edges is not None:
        *edges, tiles = (ops.stop_gradient(x) for x in edges)
    constants = (rows,) if trained else ()
    # TensorFlow's recomputation can't deal with variables, only with what is read from them.
    fixed = ops.stop_gradient(rows)

    def step(sums, index, state, *constants):
        rows_of = constants[0] if trained else fixed
        top, total, auto, across = sums
        tile = None if edges is None else tiles[index]
        number = index if edges is None else tile[0]
        start, part = _read(rows_of, number, block)
        scores = beta * ops.einsum("bn,pn->bp", state, part)
        # The rows that the block before has too do not count again.
        new = places + start >= ops.cast(number, "int32") * block
        scores = ops.where(new, scores, ops.full_like(scores, _LOWEST))
        new_top = ops.stop_gradient(largest(ops.concatenate([top, scores], axis=1), axis=1, keepdims=True))
        keep, shares = ops.exp(top - new_top), ops.exp(scores - new_top)
        if edges is not None:
            sources, targets, weights = (ops.slice(x, (tile[1],), (block,)) for x in edges)
            inside = places < tile[2]
            weights = at_least_float32(ops.where(inside, weights, ops.zeros_like(weights)))
            local = ops.where(inside, sources - start, ops.zeros_like(sources))
            along = ops.take(shares, local, axis=1) * weights
            across = across * keep + along @ at_least_float32(ops.take(rows_of, targets, axis=0))
            shares = shares * ops.cast(tile[3], shares.dtype)
        total = total * keep + ops.sum(shares, axis=1, keepdims=True)
        return (new_top, total, auto * keep + shares @ part, across), None

    # Outside of functions JAX would compile each recomputed step anew, and there is nothing to recompute for.
    plain = keras.backend.backend() == "jax" and is_concrete(state) and is_concrete(rows)
    zero = ops.zeros_like(state)
    column = zero[:, :1]
    (_, total, auto, across), _ = bounded_loop(
        step,
        (column + _LOWEST, column, zero, column if edges is None else zero),
        _count(rows, block) if edges is None else tiles.shape[0],
        remat=not plain,
        constants=(state, *constants),
    )
    return total, auto, across


def edge_tiles(sources, count, block):
    """The tiles of `softmax_sums`.

    Args:
        sources: The rows that the edges leave, NumPy integers in rising order.
        count: Number of rows.
        block: Number of rows that are read at a time.

    Returns:
        NumPy integers `(tiles, 4)`: for each tile its block, its first edge, its number of edges, and 1 if it is the
        block's first.
    """
    starts = np.arange(0, count, block)
    first = np.searchsorted(sources, starts)
    last = np.append(first[1:], len(sources))
    counts = np.maximum(-(-(last - first) // block), 1)
    number = np.repeat(np.arange(len(starts)), counts)
    part = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = first[number] + part * block
    return np.stack([number, begin, np.minimum(last[number] - begin, block), part == 0], axis=1)


def _read(rows, index, block):
    """The number of the first row of a block, and its rows, in float32 at least."""
    start = ops.minimum(ops.cast(index, "int32") * block, rows.shape[0] - block)
    part = ops.slice(rows, (start, ops.zeros_like(start)), (block, rows.shape[1]))
    return start, at_least_float32(part)


def _count(rows, block):
    return -(-rows.shape[0] // block)


def _batch(state):
    return ops.shape(state)[0] if state.shape[0] is None else state.shape[0]
