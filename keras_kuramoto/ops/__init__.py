"""Pure functions on tensors: the sphere, loops, sums over graphs, encodings, position angles."""

from keras_kuramoto._backend.loop import bounded_loop
from keras_kuramoto.ops.encodings import centre_pixels, decode_scalars, encode_scalars, random_rotation
from keras_kuramoto.ops.memory_graph import MemoryGraph, memory_graph
from keras_kuramoto.ops.pairs import AllPairs, EdgePairs
from keras_kuramoto.ops.positions import axial_angles, harmonic_angles
from keras_kuramoto.ops.sphere import (
    join_oscillators,
    normalize,
    project_to_tangent,
    random_on_sphere,
    safe_norm,
    split_oscillators,
)

__all__ = [
    "AllPairs",
    "EdgePairs",
    "MemoryGraph",
    "axial_angles",
    "bounded_loop",
    "centre_pixels",
    "decode_scalars",
    "encode_scalars",
    "harmonic_angles",
    "join_oscillators",
    "memory_graph",
    "normalize",
    "project_to_tangent",
    "random_on_sphere",
    "random_rotation",
    "safe_norm",
    "split_oscillators",
]
