"""The AKOrN authors' PyTorch weights, as layers and models of this library.

Two things differ between the layouts. The authors put channels first and the head index fastest (channel = position ·
heads + head), this library puts channels last and heads slowest. The authors rotate consecutive pairs of channels,
this library pairs component p of a head with p + head_dim / 2.
"""

import keras
import numpy as np

from keras_kuramoto.layers import (
    GTA,
    AttentionConnectivity,
    ConvConnectivity,
    KuramotoLayer,
    NaturalFrequency,
    OscillatorReadout,
)
from keras_kuramoto.models.sudoku import AKOrNSudoku


def _get(weights, name):
    if name not in weights:
        raise ValueError(f"The weights have no entry '{name}'. Received {sorted(weights)}.")
    return np.asarray(weights[name])


def _kernel(weights, name):
    """A convolution kernel `(out, in, *size)` as `(*size, in, out)`; of size 1 as `(in, out)`."""
    kernel = _get(weights, name)
    kernel = np.moveaxis(kernel, (1, 0), (-2, -1))
    return kernel.reshape(kernel.shape[-2:]) if kernel[..., 0, 0].size == 1 else kernel


def _assign(variable, value):
    value = np.asarray(value)
    if tuple(variable.shape) != value.shape:
        raise ValueError(f"The weight {variable.path} has shape {tuple(variable.shape)}. Received {value.shape}.")
    variable.assign(value)


def _part(weights, prefix):
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}


def _channel_order(channels, heads):
    """For each of our attention channels, the authors' channel."""
    head_dim = channels // heads
    position = np.concatenate([np.arange(0, head_dim, 2), np.arange(1, head_dim, 2)])
    if head_dim % 2:
        position = np.arange(head_dim)
    return (position[None, :] * heads + np.arange(heads)[:, None]).reshape(-1)


def _assign_attention(layer, weights, channels, heads):
    order = _channel_order(channels, heads)
    qkv = np.concatenate([order, order + channels, order + 2 * channels])
    _assign(layer.qkv_kernel, _kernel(weights, "W_qkv.weight")[:, qkv])
    _assign(layer.qkv_bias, _get(weights, "W_qkv.bias")[qkv])
    _assign(layer.output_kernel, _kernel(weights, "W_o.weight")[order])
    _assign(layer.output_bias, _get(weights, "W_o.bias"))
    if layer.position_encoding is not None:
        tables = np.stack([_get(weights, f"mat_{name}") for name in "qkvo"], 1)  # (positions, 4, pairs, 2, 2)
        _assign(layer.position_encoding.matrices, np.moveaxis(tables, 2, -1))


def _assign_frequency(layer, parameter):
    """One ω for each pair of channels (or for all): the norm of the authors' 2-vectors."""
    omega = np.linalg.norm(np.asarray(parameter, "float64"), axis=-1)
    dim = layer.oscillator_dim
    rows, columns = np.triu_indices(dim, 1)
    planes = (rows % 2 == 0) & (columns == rows + 1)
    upper = np.zeros(layer.upper.shape)
    upper[..., planes] = omega if omega.ndim == 0 else omega.reshape(-1, dim // 2)
    _assign(layer.upper, upper)


def _make_kuramoto_layer(config, channels, num_steps, step_size, train_step_size=False):
    dim = config["n"]
    if dim % 2:
        raise ValueError(f"The authors' code needs an even `n`. Received {dim}.")
    heads = config.get("heads", 8)
    kind = config.get("J", "attn")
    if kind == "conv":
        connectivity = ConvConnectivity(config["ksize"])
    elif kind == "attn":
        connectivity = AttentionConnectivity(heads, GTA() if config.get("gta", True) else None)
    else:
        raise ValueError(f"`J` of the config must be 'conv' or 'attn'. Received {kind!r}.")
    norm = config.get("c_norm")
    if norm not in (None, "gn"):
        raise ValueError(f"`c_norm` of the config must be None or 'gn'. Received {norm!r}.")
    omega = config.get("use_omega", False)
    if not omega:
        # Without frequencies the released code adds x where Ωx would be: a shorter step, once normalised.
        step_size = step_size / (1 + step_size)
    return KuramotoLayer(
        connectivity,
        dim,
        natural_frequency=NaturalFrequency(dim, shared=config.get("global_omg", False)) if omega else None,
        num_steps=num_steps,
        step_size=float(step_size),
        train_step_size=train_step_size,
        stimuli_normalization=keras.layers.GroupNormalization(channels // dim, epsilon=1e-5) if norm else None,
        project=config.get("apply_proj", True),
    )


def _assign_kuramoto_layer(layer, weights, channels):
    coupling = _part(weights, "connectivity.")
    if isinstance(layer.connectivity, ConvConnectivity):
        _assign(layer.connectivity.kernel, np.moveaxis(_get(coupling, "weight"), (1, 0), (-2, -1)))
        _assign(layer.connectivity.bias, _get(coupling, "bias"))
    else:
        _assign_attention(layer.connectivity, coupling, channels, layer.connectivity.heads)
    if layer.natural_frequency is not None:
        _assign_frequency(layer.natural_frequency, _get(weights, "omg.omg_param"))
    if layer.stimuli_normalization is not None:
        _assign(layer.stimuli_normalization.gamma, _get(weights, "c_norm.weight"))
        _assign(layer.stimuli_normalization.beta, _get(weights, "c_norm.bias"))


def kuramoto_layer(weights, config):
    """The authors' `KLayer` as a built `KuramotoLayer`.

    Args:
        weights: Entries of the module's state dict, names → arrays in PyTorch's layouts.
        config: Dictionary with `n`, `ch`, `J` (`"conv"` with `ksize`, or `"attn"` with `heads` and `gta`), `c_norm`
            (`None` or `"gn"`), `use_omega`, `global_omg`, `apply_proj`, `T` and `gamma`; with `gta` the grid, `hw`.

    Returns:
        A layer that takes x and c, `(batch, height, width, ch)`, and reproduces the authors' states and energies.

    Raises:
        ValueError: If a weight is missing, has another shape than the config says, or the config asks for what the
            authors' code does not have.

    Example:

    >>> layer = kuramoto_layer(state_dict, {"n": 4, "ch": 16, "J": "conv", "ksize": 3, "c_norm": None, "T": 4,
    ...                                     "gamma": 1.0, "use_omega": True})  # doctest: +SKIP
    """
    channels = config["ch"]
    layer = _make_kuramoto_layer(config, channels, config["T"], config["gamma"])
    # Attention without position matrices fits any grid; the sizes below only say so to `build`.
    grid = tuple(config.get("hw", (4, 4) if config.get("J", "attn") == "attn" else (None, None)))
    layer.build((None, *grid, channels), (None, *grid, channels))
    _assign_kuramoto_layer(layer, weights, channels)
    return layer


def _assign_readout(layer, linear_kernel, linear_bias, bias):
    _assign(layer.linear.kernel, linear_kernel)
    _assign(layer.linear.bias, linear_bias)
    _assign(layer.bias, bias)


def oscillator_readout(weights, config):
    """The authors' `ReadOutConv` as a built `OscillatorReadout`.

    Args:
        weights: `bias`, `invconv.weight` and `invconv.bias`.
        config: Dictionary with `inch`, `outch`, `ro_N` and `kernel_size`.

    Returns:
        A layer from `(batch, height, width, inch)` to `(batch, height, width, outch)`.

    Raises:
        ValueError: If a weight is missing or has another shape than the config says.
    """
    size = config.get("kernel_size", 1)
    layer = OscillatorReadout(config["outch"], config["ro_N"], kernel_size=None if size == 1 else size)
    layer.build((None, None, None, config["inch"]))
    kernel = _kernel(weights, "invconv.weight")
    _assign_readout(layer, kernel, _get(weights, "invconv.bias"), _get(weights, "bias"))
    return layer


def sudoku_model(weights, config):
    """The authors' `SudokuAKOrN` as an `AKOrNSudoku` model.

    Args:
        weights: The model's state dict, names → arrays in PyTorch's layouts.
        config: Dictionary with `n`, `ch`, `T`, `heads`, `use_omega`, `global_omg`, and `L` if there is more than one
            block.

    Returns:
        A model that takes `{"board": (B, 9, 9) int32, "noise": (B, 9, 9, ch)}` and gives logits `(B, 9, 9, 9)`.

    Raises:
        ValueError: If a weight is missing or has another shape than the config says.
    """
    channels, dim = config["ch"], config["n"]
    gamma = float(np.asarray(_get(weights, "gamma")).reshape(()))
    prototype = _make_kuramoto_layer({**config, "J": "attn", "c_norm": None}, channels, config["T"], gamma)
    model = AKOrNSudoku(
        prototype.connectivity,
        prototype.natural_frequency,
        channels=channels,
        oscillator_dim=dim,
        num_steps=config["T"],
        blocks=config.get("L", 1),
        step_size=prototype.step_size,
    )
    _assign(model.digits.embeddings, _get(weights, "embedding.weight"))
    for index, block in enumerate(model.network.blocks):
        part = _part(weights, f"layers.{index}.")
        _assign_kuramoto_layer(block.kuramoto, _part(part, "0."), channels)
        _assign_readout(
            block.readout,
            _kernel(part, "1.0.invconv.weight"),
            _get(part, "1.0.invconv.bias"),
            _get(part, "1.0.bias"),
        )
        residual, _, stimuli = block.network.layers
        _, hidden, _, output = residual.layer.layers
        for layer, source in ((hidden, "1.1.fn.fn.0.fn.2"), (output, "1.1.fn.fn.1.fn.2"), (stimuli, "1.2.fn.2")):
            _assign(layer.kernel, _kernel(part, f"{source}.weight"))
            _assign(layer.bias, _get(part, f"{source}.bias"))
    _assign(model.head.kernel, _kernel(weights, "out.1.weight"))
    _assign(model.head.bias, _get(weights, "out.1.bias"))
    return model
