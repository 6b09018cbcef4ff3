"""Angles by which position encodings rotate pairs of channels."""

import math

import numpy as np


def axial_angles(grid, pairs, max_wavelength=100.0):
    """Rotation angles of every position of a grid, the pairs of channels divided among the axes.

    Pair p belongs to axis `p % rank`. The wavelengths of one axis form a geometric series from 2π to
    2π · `max_wavelength`, in positions, as in RoPE (Su et al., 2021).

    Args:
        grid: Sizes of the spatial axes, such as `(height, width)` or `(length,)`.
        pairs: Number of channel pairs to rotate.
        max_wavelength: Longest wavelength over the shortest.

    Returns:
        float32 NumPy array `(positions, pairs)` in radians, positions in row-major order.

    Example:

    >>> axial_angles((2, 3), 4).shape
    (6, 4)
    """
    coordinates = np.stack(np.meshgrid(*[np.arange(size) for size in grid], indexing="ij"), -1).reshape(-1, len(grid))
    per_axis = math.ceil(pairs / len(grid))
    pair = np.arange(pairs)
    frequencies = float(max_wavelength) ** (-(pair // len(grid)) / per_axis)
    return (coordinates[:, pair % len(grid)] * frequencies).astype("float32")


def harmonic_angles(coordinates, period, pairs):
    """Rotation angles 2π k x / period for cyclic or categorical coordinates x, k = 1, 2, … up to period / 2.

    The sum over all harmonics k of cos(2π k Δ / period) is largest at Δ = 0 and equal everywhere else (for an odd
    period), so that attention can select «the same row» exactly. Pair p belongs to coordinate `p % coordinates`; pairs
    beyond the highest harmonic are not rotated.

    Args:
        coordinates: Integers `(positions, coordinates)`, for a Sudoku board row, column and box of each cell.
        period: Number of values that a coordinate takes.
        pairs: Number of channel pairs to rotate.

    Returns:
        float32 NumPy array `(positions, pairs)` in radians.

    Example:

    >>> harmonic_angles([[0], [1], [2], [3]], 4, 2)[1].round(2).tolist()
    [1.5700000524520874, 3.140000104904175]
    """
    coordinates = np.asarray(coordinates)
    pair = np.arange(pairs)
    harmonic = 1 + pair // coordinates.shape[1]
    harmonic = np.where(harmonic <= period // 2, harmonic, 0)
    return (2 * np.pi * harmonic * coordinates[:, pair % coordinates.shape[1]] / period).astype("float32")
