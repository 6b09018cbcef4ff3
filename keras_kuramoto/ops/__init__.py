"""Pure functions on tensors: the sphere, the bounded loop, position angles, kernels."""

from keras_kuramoto.ops._backend import bounded_loop
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
    "axial_angles",
    "bounded_loop",
    "harmonic_angles",
    "join_oscillators",
    "normalize",
    "project_to_tangent",
    "random_on_sphere",
    "safe_norm",
    "split_oscillators",
]
