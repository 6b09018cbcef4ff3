"""The AKOrN authors' PyTorch weights, as layers and models of this library.

Two things differ between the layouts. The authors put channels first and the head index fastest (channel = position ·
heads + head), this library puts channels last and heads slowest. The authors rotate consecutive pairs of channels,
this library pairs component p of a head with p + head_dim / 2.
"""

from collections.abc import Mapping

import keras
import numpy as np

from keras_kuramoto._checks import unknown
from keras_kuramoto.layers import (
    GTA,
    AttentionConnectivity,
    ConvConnectivity,
    KuramotoLayer,
    NaturalFrequency,
    OscillatorReadout,
    PositionEmbedding,
)
from keras_kuramoto.models.image_classifier import AKOrNClassifier
from keras_kuramoto.models.objects import AKOrNObjects
from keras_kuramoto.models.sudoku import AKOrNSudoku


def _get(weights, name):
    if name not in weights:
        raise ValueError(
            f"The weights have no entry '{getattr(weights, 'prefix', '')}{name}'. Received {sorted(weights)}."
        )
    return np.asarray(weights[name])


def _conv_kernel(weights, name):
    """A convolution kernel `(out, in, *size)` as `(*size, in, out)`."""
    return np.moveaxis(_get(weights, name), (1, 0), (-2, -1))


def _kernel(weights, name):
    """A linear map `(out, in)`, or a convolution kernel of size 1, as `(in, out)`; another kernel as it is here."""
    kernel = _conv_kernel(weights, name)
    return kernel.reshape(kernel.shape[-2:]) if kernel[..., 0, 0].size == 1 else kernel


def _assign(variable, value):
    value = np.asarray(value)
    if tuple(variable.shape) != value.shape:
        raise ValueError(f"The weight {variable.path} has shape {tuple(variable.shape)}. Received {value.shape}.")
    variable.assign(value)


class _Part(Mapping):
    """The weights whose names begin with a prefix, without it."""

    def __init__(self, weights, prefix):
        self._weights, self._prefix = weights, prefix
        self.prefix = getattr(weights, "prefix", "") + prefix

    def __getitem__(self, name):
        return self._weights[self._prefix + name]

    def __contains__(self, name):
        return self._prefix + name in self._weights

    def __iter__(self):
        return (name[len(self._prefix) :] for name in self._weights if name.startswith(self._prefix))

    def __len__(self):
        return sum(1 for _ in self)


def _read(config, needed, defaults):
    """A config with the authors' defaults for what it does not say."""
    missing = [name for name in needed if name not in config]
    if missing:
        raise ValueError(f"The config has no '{missing[0]}'. Received {sorted(config)}.")
    for name in config:
        if name not in needed and name not in defaults:
            raise ValueError(unknown("entry of the config,", name, [*needed, *defaults]))
    return {**defaults, **config}


def _only(config, name, value):
    """Raises a `ValueError` for an entry of the config that this library's models have no other value for."""
    if config[name] != value:
        raise ValueError(f"`{name}` of the config must be {value!r}. Received {config[name]!r}.")


def _of_blocks(config, name, blocks):
    """An entry of the config for each block, as the authors spread it: a list of another length counts by its first."""
    value = config[name]
    if not isinstance(value, (list, tuple)):
        return [value] * blocks
    return list(value) if len(value) == blocks else [value[0]] * blocks


def _gamma(weights):
    return float(np.asarray(_get(weights, "gamma")).reshape(()))


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
    if norm not in (None, "none", "gn"):
        raise ValueError(f"`c_norm` of the config must be None, 'none' or 'gn'. Received {norm!r}.")
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
        stimuli_normalization=keras.layers.GroupNormalization(channels // dim, epsilon=1e-5) if norm == "gn" else None,
        project=config.get("apply_proj", True),
    )


def _assign_kuramoto_layer(layer, weights, channels):
    coupling = _Part(weights, "connectivity.")
    if isinstance(layer.connectivity, ConvConnectivity):
        _assign(layer.connectivity.kernel, _conv_kernel(coupling, "weight"))
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
    prototype = _make_kuramoto_layer({**config, "J": "attn", "c_norm": None}, channels, config["T"], _gamma(weights))
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
        part = _Part(weights, f"layers.{index}.")
        _assign_kuramoto_layer(block.kuramoto, _Part(part, "0."), channels)
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


_LAYER = {
    "J": "attn",
    "heads": 8,
    "gta": True,
    "c_norm": "gn",
    "gamma": None,
    "use_omega": False,
    "init_omg": None,
    "learn_omg": True,
    "global_omg": False,
}


def _kuramoto_arguments(layers):
    """The models' arguments for what differs from block to block, of Kuramoto layers that are like theirs."""
    names = ("connectivity", "natural_frequency", "oscillator_dim", "num_steps", "stimuli_normalization")
    arguments = {name: [getattr(layer, name) for layer in layers] for name in names}
    return {**arguments, "step_size": layers[0].step_size, "project": layers[0].project, "blocks": len(layers)}


def object_model(weights, config):
    """The authors' `AKOrN` for object discovery as an `AKOrNObjects` model.

    Args:
        weights: The model's state dict, names → arrays in PyTorch's layouts.
        config: Dictionary of the authors' arguments: `n`, `ch`, `psize` and `imsize`; and, where they differ from the
            authors' defaults, `L`, `T` (a number or one for each block), `J` (likewise), `ksize` of convolutions, `gta`
            and `heads` of attention, `c_norm` (`"gn"` or `None`), `use_omega`, `global_omg`, `project` and `no_ro`.

    Returns:
        A model that takes `{"image": (B, imsize, imsize, 3), "noise": (B, rows, columns, ch)}`; its `run` gives the
        projection, its `features` the last block's.

    Raises:
        ValueError: If an entry of the config is missing, unknown, or asks for what the model does not have; if a weight
            is missing or has another shape than the config says.
    """
    defaults = {**_LAYER, "L": 1, "T": 8, "ksize": 1, "project": True, "no_ro": False}
    fixed = {"maxpool": True, "use_ro_x": False}
    config = _read(config, ("n", "ch", "psize", "imsize"), {**defaults, **fixed, "autorescale": True})
    for name, value in fixed.items():
        _only(config, name, value)
    channels, dim, blocks = config["ch"], config["n"], config["L"]
    layers = [
        _make_kuramoto_layer(
            {**config, "J": coupling, "apply_proj": config["project"]}, channels, steps, _gamma(weights)
        )
        for coupling, steps in zip(_of_blocks(config, "J", blocks), _of_blocks(config, "T", blocks))
    ]
    model = AKOrNObjects(
        **{**_kuramoto_arguments(layers), "oscillator_dim": dim},
        image_size=config["imsize"],
        patch_size=config["psize"],
        channels=channels,
        position_embedding=None if config["gta"] else PositionEmbedding(),
        readout=keras.layers.Identity() if config["no_ro"] else None,
    )
    _assign_conv(model.patches, weights, "patchfy.1")
    if not config["gta"]:
        embeddings = (model.position_embedding, "pemb_c"), (model.network.initial_oscillators.noise_layer, "pemb_x")
        for layer, name in embeddings:
            table = np.moveaxis(_get(weights, name), 0, -1)
            _assign(layer.vectors, table.reshape(-1, table.shape[-1]))
    for index, block in enumerate(model.network.blocks):
        part = _Part(weights, f"layers.{index}.")
        _assign_kuramoto_layer(block.kuramoto, _Part(part, "0."), channels)
        if not config["no_ro"]:
            _assign_readout_conv(block.readout, _Part(part, "1."))
    for layer, name in ((model.hidden, "out.3"), (model.projection, "out.5")):
        _assign_linear(layer, weights, name)
    return model


def _assign_conv(layer, weights, name):
    _assign(layer.kernel, _conv_kernel(weights, f"{name}.weight"))
    _assign(layer.bias, _get(weights, f"{name}.bias"))


def _assign_linear(layer, weights, name):
    _assign(layer.kernel, _kernel(weights, f"{name}.weight"))
    _assign(layer.bias, _get(weights, f"{name}.bias"))


def _assign_readout_conv(layer, weights):
    _assign_readout(layer, _kernel(weights, "invconv.weight"), _get(weights, "invconv.bias"), _get(weights, "bias"))


def _assign_norm(layer, weights):
    if isinstance(layer, keras.layers.Identity):
        return
    _assign(layer.gamma, _get(weights, "weight"))
    _assign(layer.beta, _get(weights, "bias"))
    if isinstance(layer, keras.layers.BatchNormalization):
        _assign(layer.moving_mean, _get(weights, "running_mean"))
        _assign(layer.moving_variance, _get(weights, "running_var"))


def _normalization(name):
    """The authors' `norm` of the readouts, a layer."""
    layers = {
        "bn": lambda: keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        "gn": lambda: keras.layers.GroupNormalization(8, epsilon=1e-5),
        None: keras.layers.Identity,
    }
    if name not in layers:
        raise ValueError(f"`norm` of the config must be 'bn', 'gn' or None. Received {name!r}.")
    return layers[name]()


def classifier(weights, config):
    """The authors' `AKOrN` for classification as an `AKOrNClassifier` model.

    Args:
        weights: The model's state dict, names → arrays in PyTorch's layouts.
        config: Dictionary of the authors' arguments: `n` and `ch`; and, where they differ from the authors' defaults,
            `L`, `T`, `J`, `ksizes` and `n` (a number or one for each block), `ro_N`, `norm` (`"bn"`, `"gn"` or `None`),
            `c_norm` (`"gn"` or `None`), `use_omega`, `global_omg`, and `heads` and `gta` of attention.

    Returns:
        A model that takes `{"image": (B, 32, 32, 3), "noise": (B, 32, 32, ch)}` and gives logits.

    Raises:
        ValueError: If an entry of the config is missing, unknown, or asks for what the model does not have; if a weight
            is missing or has another shape than the config says.
    """
    own = {"L": 3, "T": 3, "J": "conv", "ksizes": [9, 7, 5], "ro_N": 2, "norm": "bn", "out_classes": 10, "ensemble": 1}
    frequencies = {"use_omega": True, "global_omg": True, "gta": False}
    config = _read(config, ("n", "ch"), {**_LAYER, **own, **frequencies, "ro_ksize": 3})
    _only(config, "ro_ksize", 3)
    blocks = config["L"]
    widths = [config["ch"] * 2**index for index in range(blocks)]
    each = {name: _of_blocks(config, name, blocks) for name in ("n", "J", "T", "ksizes", "ro_N")}
    layers = [
        _make_kuramoto_layer({**config, "n": dim, "J": coupling, "ksize": size}, width, steps, _gamma(weights))
        for width, dim, coupling, steps, size, _ in zip(widths, *each.values())
    ]
    model = AKOrNClassifier(
        **_kuramoto_arguments(layers),
        channels=config["ch"],
        num_classes=config["out_classes"],
        normalization=_normalization(config["norm"]),
        readout=[OscillatorReadout(width, dim, kernel_size=3) for width, dim in zip(widths, each["ro_N"])],
    )
    _assign(model.stem.kernel, _conv_kernel(weights, "conv0.weight"))
    for index, (block, width) in enumerate(zip(model.network.blocks, widths)):
        part = _Part(weights, f"layers.{index}.")
        _assign_kuramoto_layer(block.kuramoto, _Part(part, "2."), width)
        _assign_readout_conv(block.readout, _Part(part, "3.0."))
        residual, *last = block.network.layers
        units = residual.layer.layers
        for (norm, _, conv), name in ((units[:3], "1.fn.fn.0"), (units[3:], "1.fn.fn.1"), (last, "2")):
            _assign_norm(norm, _Part(part, f"3.{name}.fn.0."))
            _assign_conv(conv, part, f"3.{name}.fn.2")
        if index:
            transition = model.network.blocks[index - 1].transition.layer
            conv = transition.layers[-1] if isinstance(transition, keras.Sequential) else transition
            _assign_conv(conv, part, "0.0")
            for kind in ("weight", "bias"):
                if not np.array_equal(_get(part, f"0.0.{kind}"), _get(part, f"0.1.{kind}")):
                    raise ValueError(
                        f"'layers.{index}.0.0.{kind}' and 'layers.{index}.0.1.{kind}' differ: this model has one "
                        "convolution for stimuli and oscillators."
                    )
    _assign_linear(model.head, weights, "out")
    return model
