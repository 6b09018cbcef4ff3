"""Attention, and pairs of components that positions turn, with gradients that are fast where XLA compiles for a CPU.

Two things are slow there. Products of many small matrices that sum over the rows of a large left one take three times
as long as products that sum over columns; so the gradients of keys and values are computed transposed. And a sum over
all examples, fused with what comes before it, reads down columns, number by number; so it is a product with ones.
"""

import math

from keras import ops


def attention(query, key, value):
    """`Platform.attention`, with the same arguments. On JAX it can't be differentiated in forward mode.

    Example:

    >>> float(attention(ops.zeros((1, 1, 2, 1)), ops.zeros((1, 1, 2, 1)), ops.array([[[[1.0], [3.0]]]]))[0, 0, 1, 0])
    2.0
    """

    @ops.custom_gradient
    def attend(query, key, value):
        # `@` and not `ops.matmul`, which makes float32 of float64 on PyTorch.
        weights = ops.softmax(query @ key)
        output = weights @ ops.swapaxes(value, -1, -2)

        def gradient(upstream):
            change = upstream @ value
            # The mean of the changes by the weights, without a sum over the keys.
            mean = ops.sum(upstream * output, axis=-1, keepdims=True)
            change = weights * (change - mean)
            return (
                change @ ops.swapaxes(key, -1, -2),
                ops.swapaxes(query, -1, -2) @ change,
                ops.swapaxes(upstream, -1, -2) @ weights,
            )

        return output, gradient

    return attend(query, ops.swapaxes(key, -1, -2), ops.swapaxes(value, -1, -2))


def turned(x, same, other, across=False):
    """`Platform.turn_halves`, with the same arguments: keys and values, `across`, have a gradient that is transposed.

    On JAX it can't be differentiated in forward mode.

    Example:

    >>> float(turned(ops.array([[[[1.0, 2.0]]]]), ops.array([[3.0, 4.0]]), ops.array([[10.0, 20.0]]))[0, 0, 0, 1])
    28.0
    """

    def laid(y):
        return ops.swapaxes(y, -1, -2) if across else y

    @ops.custom_gradient
    def turn(x, same, other):
        def gradient(upstream):
            axis = -2 if across else -1

            def of_table(y):
                return laid(_sum_over_examples(upstream * y, laid(same).shape))

            changed = laid(same) * upstream + _swapped(laid(other) * upstream, axis)
            return laid(changed), of_table(laid(x)), of_table(_swapped(laid(x), axis))

        return laid(same * x + other * _swapped(x, -1)), gradient

    return laid(turn(x, same, other))


def _sum_over_examples(x, shape):
    rows = ops.reshape(x, (-1, math.prod(shape)))
    # With a single row of ones, XLA would make a loop of it.
    return ops.reshape((ops.ones((2, ops.shape(rows)[0]), dtype=x.dtype) @ rows)[0], shape)


def _swapped(x, axis):
    first, second = ops.split(x, 2, axis=axis)
    return ops.concatenate([second, first], axis=axis)
