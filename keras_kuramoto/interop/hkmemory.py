"""The arrays of the Hopfield-Kuramoto authors' JAX code, as memories of this library.

Each function takes the arrays by their names and a dict with what is no array, and gives a built layer with those
weights: `layer.vector_field(state)`, `layer.energy(state)`, `layer(state)` for the state at t = 1, and
`layer.trajectory(state, times=[1.0])` for the solution with its numbers of steps. The keyword arguments `solver` are

    rtol=1e-3, atol=1e-6, first_step=0.01, max_steps=4096    of the Tsitouras 5(4) method with the authors' controller,
    dtype="float64"    of the layer. JAX computes in it only where 64-bit types are enabled (`jax.enable_x64`).
"""

import numpy as np

from keras_kuramoto.layers.couplings import AdditiveCoupling, MultiplicativeCoupling, NetworkCoupling
from keras_kuramoto.layers.dense_connectivity import SymmetricDenseConnectivity
from keras_kuramoto.layers.hierarchical_connectivity import HierarchicalConnectivity
from keras_kuramoto.layers.hopfield_kuramoto_memory import HopfieldKuramotoMemory
from keras_kuramoto.layers.hopfield_memory import HopfieldMemory
from keras_kuramoto.layers.kuramoto_memory import KuramotoMemory
from keras_kuramoto.layers.natural_frequency import NaturalFrequency
from keras_kuramoto.ops.encodings import centre_pixels, encode_scalars
from keras_kuramoto.solvers import AdaptiveSolver


def hopfield(arrays, config, **solver):
    """A dense Hopfield memory, with W = ½ (weights + weightsᵀ).

    Args:
        arrays: `weights` `(N, N)`, `bias` `(N,)`; others are not looked at.
        config: `activation`: "relu", "tanh" or "sigmoid".
        **solver: As above.

    Returns:
        A built `HopfieldMemory`, for states `(batch, N)`.

    Raises:
        ValueError: If an array is missing or has a wrong shape.

    Example:

    >>> layer = hopfield({"weights": np.eye(3), "bias": np.zeros(3)}, {"activation": "tanh"}, dtype="float32")
    >>> layer(np.ones((2, 3))).shape
    (2, 3)
    """
    options, dtype = _solver(solver)
    layer = _hopfield(arrays, config, dtype, **options)
    return layer


def hierarchical_hopfield(arrays, config, **solver):
    """A Hopfield memory of layers, each joined with the next one.

    Args:
        arrays: `w0`, `w1`, …, from a layer to the next, `(units of the next, units)`, and `bias` `(N,)`.
        config: `activation`, "relu" where it is missing.
        **solver: As above.

    Returns:
        A built `HopfieldMemory`, for states `(batch, N)` with the layers side by side.

    Raises:
        ValueError: If an array is missing or has a wrong shape.

    Example:

    >>> arrays = {"w0": np.ones((3, 5)), "w1": np.ones((2, 3)), "bias": np.zeros(10)}
    >>> hierarchical_hopfield(arrays, {}, dtype="float32").connectivity.sizes
    [5, 3, 2]
    """
    options, dtype = _solver(solver)
    kernels = [_get(arrays, "w0").T]
    while f"w{len(kernels)}" in arrays:
        kernels.append(_get(arrays, f"w{len(kernels)}").T)
    sizes = [kernel.shape[0] for kernel in kernels] + [kernels[-1].shape[1]]
    layer = HopfieldMemory(
        HierarchicalConnectivity(sizes, dtype=dtype), config.get("activation", "relu"), dtype=dtype, **options
    )
    layer.build((None, sum(sizes)))
    for variable, kernel in zip(layer.connectivity.kernels, kernels):
        _assign(variable, kernel)
    _assign(layer.bias, _get(arrays, "bias"))
    return layer


def kuramoto(arrays, config, **solver):
    """A Kuramoto memory on the edges of a graph.

    Args:
        arrays: `edges` `(E, 2)`; `A` and `B` `(E,)`, or for the linear interaction `weights` (or `A`); `mu`
            `(batch, N, D)`, whose values are not looked at; and `omega` `(D, D)`, if there are natural frequencies.
        config: `interaction`: "linear", "relu", "sigmoid" or "tanh".
        **solver: As above.

    Returns:
        A built `KuramotoMemory`, for states `(batch, N, D)`.

    Raises:
        ValueError: If an array is missing or has a wrong shape.

    Example:

    >>> mu = np.eye(4)[None, :3]
    >>> arrays = {"edges": np.array([[0, 1], [1, 2]]), "weights": np.ones(2), "mu": mu}
    >>> kuramoto(arrays, {"interaction": "linear"}, dtype="float32")(mu).shape
    (1, 3, 4)
    """
    options, dtype = _solver(solver)
    return _kuramoto(arrays, config, _get(arrays, "edges"), "weights", dtype, **options)


def hopfield_kuramoto(arrays, config, coupling="additive", **solver):
    """A dense Hopfield memory coupled with a Kuramoto memory on the edges of a graph.

    Args:
        arrays: Those of `hopfield`; `edges_kuramoto`, `A` and `B` for the oscillators, `omega` `(D, D)` if there are
            natural frequencies, `mu` `(batch, N, D)`, whose values are not looked at; `edges_coupling`, and `alpha`
            `(1,)` or, with the "network" coupling, `weights_coupling`, one for each of those edges.
        config: `activation`, `interaction`, `kappa_H` and `kappa_K`.
        coupling: "additive", "multiplicative" or "network".
        **solver: As above.

    Returns:
        A built `HopfieldKuramotoMemory`, for pairs of states `(batch, N)` and `(batch, N, D)`.

    Raises:
        ValueError: If an array is missing or has a wrong shape, or the coupling is another one.
    """
    options, dtype = _solver(solver)
    edges = _get(arrays, "edges_coupling")
    if coupling == "network":
        link = NetworkCoupling(edges, dtype=dtype)
    elif coupling in ("additive", "multiplicative"):
        kind = AdditiveCoupling if coupling == "additive" else MultiplicativeCoupling
        link = kind(edges, dtype=dtype)
    else:
        raise ValueError(f"`coupling` must be 'additive', 'multiplicative' or 'network'. Received {coupling!r}.")
    oscillators = _kuramoto(arrays, config, _get(arrays, "edges_kuramoto"), "A", dtype)
    layer = HopfieldKuramotoMemory(
        _hopfield(arrays, config, dtype),
        oscillators,
        link,
        kappa_h=float(config["kappa_H"]),
        kappa_k=float(config["kappa_K"]),
        dtype=dtype,
        **options,
    )
    size, dim = oscillators.num_oscillators, oscillators.oscillator_dim
    layer.build(((None, size), (None, size, dim)))
    if coupling == "network":
        _assign(link.edge_weights, _get(arrays, "weights_coupling"))
    else:
        _assign(link.alpha, _get(arrays, "alpha").reshape(()))
    return layer


def encode_pixels(pixels, dim):
    """The authors' oscillators for images: `encode_scalars` of `centre_pixels`.

    Args:
        pixels: Array `(images, pixels)`, of all images together.
        dim: D, the number of components of an oscillator.

    Returns:
        Tensor `(images, pixels + 1, D)`. Where the authors' code gives NaN, for pixels far below the mean, this is the
        opposite of the first oscillator.

    Example:

    >>> encode_pixels(np.array([[0.0, 0.5], [0.25, 1.0]]), dim=3).shape
    (2, 3, 3)
    """
    return encode_scalars(centre_pixels(pixels), dim)


def _get(arrays, name):
    if name not in arrays:
        raise ValueError(f"The arrays have no entry '{name}'. Received {sorted(arrays)}.")
    return np.asarray(arrays[name])


def _assign(variable, value):
    if tuple(variable.shape) != value.shape:
        raise ValueError(f"The weight {variable.path} has shape {tuple(variable.shape)}. Received {value.shape}.")
    variable.assign(value)


def _solver(options):
    """The arguments of a layer, and its dtype."""
    options = {"rtol": 1e-3, "atol": 1e-6, "first_step": 0.01, "max_steps": 4096, "dtype": "float64", **options}
    dtype = options.pop("dtype")
    return {"solver": AdaptiveSolver(**options)}, dtype


def _hopfield(arrays, config, dtype, **options):
    weights = _get(arrays, "weights")
    layer = HopfieldMemory(SymmetricDenseConnectivity(dtype=dtype), config["activation"], dtype=dtype, **options)
    layer.build((None, len(weights)))
    _assign(layer.connectivity.kernel, weights)
    _assign(layer.bias, _get(arrays, "bias"))
    return layer


def _kuramoto(arrays, config, edges, linear_name, dtype, **options):
    linear = config["interaction"] == "linear"
    _, size, dim = _get(arrays, "mu").shape
    frequency = NaturalFrequency(dim, dtype=dtype) if "omega" in arrays else None
    layer = KuramotoMemory(config["interaction"], edges, frequency, dtype=dtype, **options)
    layer.build((None, size, dim))
    _assign(layer.linear_weights, _get(arrays, linear_name if linear and linear_name in arrays else "A"))
    if not linear:
        _assign(layer.pair_weights, _get(arrays, "B"))
    if frequency is not None:
        # The authors multiply from the right, μ @ Ω, which is Ωᵀ μ.
        omega = _get(arrays, "omega")
        rows, columns = np.triu_indices(dim, 1)
        _assign(frequency.upper, 0.5 * (omega.T - omega)[rows, columns])
    return layer
