"""Models that find objects without labels: AKOrN and the baselines of its paper, with one interface."""

import functools

import keras
from keras import ops

from keras_kuramoto._checks import check_whole
from keras_kuramoto.layers import (
    GTA,
    AttentionConnectivity,
    ConvConnectivity,
    InitialOscillators,
    KuramotoBlock,
    KuramotoNetwork,
    OscillatorReadout,
    PositionEmbedding,
    TransformerBlock,
)
from keras_kuramoto.models.configured_model import add_presets, copied
from keras_kuramoto.models.image_model import (
    ImageModel,
    centred,
    fan_in_uniform,
    kuramoto_layers,
    last_features,
    no_energy,
    of_each_block,
)


class ObjectsModel(ImageModel):
    """Base class of the models for object discovery: features of the patches, and a projection of the whole image.

    The functional model takes images as `ImageModel` says, and gives the projection `(batch, projection_dim)`, by which
    it is trained: the largest value of each feature over the patches, through two dense layers.

    `run(image, noise=None, num_steps=None, return_energy=False, max_steps=None, training=False)` gives the projection,
    and `features(…)`, with the same arguments, the features `(batch, rows, columns, channels)` of the last block, which
    are to be clustered. With `return_energy=True` both give a pair with the energies of the last block,
    `(batch, steps)`; `num_steps` and `max_steps` are those of `KuramotoNetwork`, or of `TransformerBlock` for a model
    without oscillators.

    The image may be of another size than the model was made for, as far as its position encoding allows: any multiple
    of the patches' size for a convolution, and with `GTA` or a `PositionEmbedding` too, whose tables are interpolated.

    Args:
        arguments: As for `ImageModel`, with `patch_size` and `projection_dim`.
        **kwargs: As for `ConfiguredModel`.

    Attributes:
        projection_dim: Number of components of the projection.

    Raises:
        ValueError: As for `ImageModel`.

    Example:

    >>> model = ObjectsModel.from_preset("objects_tetrominoes_small", load_weights=False, num_steps=2)
    >>> model.run(ops.ones((1, 32, 32, 3))).shape, model.features(ops.ones((1, 32, 32, 3))).shape
    ((1, 64), (1, 8, 8, 64))
    """

    def __init__(self, arguments, **kwargs):
        projection_dim = arguments["projection_dim"]
        if projection_dim is not None:
            check_whole("projection_dim", projection_dim, 1)
        self.projection_dim = projection_dim or arguments["channels"]
        super().__init__(arguments, **kwargs)

    def features(self, *inputs, training=False, **options):
        """The features of the last block, for clustering; arguments as for `run`.

        Returns:
            `(batch, rows, columns, channels)`; with `return_energy=True` a pair with the energies.
        """
        return self.run(*inputs, training=training, head=False, **options)

    def stimuli(self, image):
        return self.position_embedding(self.patches(centred(image)))

    def compute_outputs(self, image, noise=None, num_steps=None, return_energy=False, max_steps=None, head=True):
        features, more = self.compute_features(
            self.stimuli(image), noise=noise, num_steps=num_steps, return_energy=return_energy, max_steps=max_steps
        )
        output = self.projection(self.hidden(ops.max(features, axis=(1, 2)))) if head else features
        return (output, *more) if more else output

    def compute_features(self, patches, **options):
        """The features of the last block, and what `of_blocks` gives, from linear features of the patches."""
        raise NotImplementedError


def _ends(channels, patch_size, position_embedding, projection_dim):
    """The layers before the blocks and after them."""
    identity = keras.layers.Identity(name="position_embedding")
    return {
        "patches": keras.layers.Conv2D(
            channels, patch_size, strides=patch_size, kernel_initializer=fan_in_uniform(), name="patches"
        ),
        "position_embedding": identity if position_embedding is None else copied(position_embedding),
        "hidden": keras.layers.Dense(4 * channels, activation="relu", name="hidden"),
        "projection": keras.layers.Dense(projection_dim or channels, dtype="float32", name="projection"),
    }


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class AKOrNObjects(ObjectsModel):
    """AKOrN for object discovery, Sec. 6.1 and C.1: patches → stimuli C, random oscillators X → L blocks → features.

    Each block is a Kuramoto layer and a readout, whose result is the next block's C; g is the identity.

    Args:
        connectivity: The coupling, a layer; each block gets a copy of its own (same configuration, other weights). Or a
            list with one for each block.
        natural_frequency: Layer for Ω x, copied likewise, or `None`.
        image_size: An integer, or height and width.
        patch_size: Height and width of a patch, in pixels.
        channels: Number of channels: oscillators × N.
        oscillator_dim: N.
        num_steps: T, steps of each block: an integer, or a list with one for each block.
        blocks: L, number of blocks.
        step_size: γ at the start. The authors' runs have γ = 1 and no natural frequencies, in whose place their code
            adds x: a step of ½, once normalised.
        train_step_size: Whether γ is trained.
        stimuli_normalization: Layer applied to the stimuli of each block, copied likewise, such as
            `keras.layers.GroupNormalization`, or `None`. The paper has one for models of several blocks.
        position_embedding: Layer that is applied to the patches, and a copy of it to the initial oscillators, such as
            `PositionEmbedding` (Table 13), or `None` where the connectivity knows of positions.
        readout: Layer that maps oscillators to features, copied likewise; by default an `OscillatorReadout`. The
            paper's ablations without m (Fig. 18) have a layer that is linear.
        project: As for `KuramotoLayer` (Table 5).
        normalize: As for `KuramotoLayer` (Table 6).
        projection_dim: Number of components of the projection, by default as many as there are channels.
        remat: As for `KuramotoLayer`.
        seed: Seed of the generator that draws initial oscillators which are not given.
        **kwargs: As for `keras.Model`.

    Raises:
        ValueError: If a size or a list does not fit, and whatever the layers reject.

    Example:

    >>> model = AKOrNObjects(ConvConnectivity(5), image_size=16, patch_size=4, channels=32, num_steps=4, step_size=0.5)
    >>> model(ops.ones((2, 16, 16, 3))).shape, model.features(ops.ones((2, 16, 16, 3))).shape
    ((2, 32), (2, 4, 4, 32))

    Reference: Miyato et al., ICLR 2025, Sec. 6.1 and C.1.
    """

    has_energy = True

    def __init__(
        self,
        connectivity,
        natural_frequency=None,
        image_size=128,
        patch_size=8,
        channels=256,
        oscillator_dim=4,
        num_steps=8,
        blocks=1,
        step_size=1.0,
        train_step_size=False,
        stimuli_normalization=None,
        position_embedding=None,
        readout=None,
        project=True,
        normalize=True,
        projection_dim=None,
        remat=False,
        seed=None,
        **kwargs,
    ):
        arguments = {
            "connectivity": connectivity,
            "natural_frequency": natural_frequency,
            "image_size": image_size,
            "patch_size": patch_size,
            "channels": channels,
            "oscillator_dim": oscillator_dim,
            "num_steps": num_steps,
            "blocks": blocks,
            "step_size": step_size,
            "train_step_size": train_step_size,
            "stimuli_normalization": stimuli_normalization,
            "position_embedding": position_embedding,
            "readout": readout,
            "project": project,
            "normalize": normalize,
            "projection_dim": projection_dim,
            "remat": remat,
            "seed": seed,
        }
        super().__init__(arguments, **kwargs)

    @staticmethod
    def make_layers(
        image_size,
        patch_size,
        channels,
        oscillator_dim,
        blocks,
        position_embedding,
        readout,
        projection_dim,
        seed,
        **kuramoto_arguments,
    ):
        check_whole("blocks", blocks, 1)
        if readout is None:
            readout = OscillatorReadout(channels, oscillator_dim, kernel_initializer=fan_in_uniform(), name="readout")
        layers = kuramoto_layers(blocks, oscillator_dim=oscillator_dim, **kuramoto_arguments)
        readouts = of_each_block("readout", readout, blocks)
        initial = InitialOscillators(
            oscillator_dim, seed=seed, noise_layer=copied(position_embedding), name="initial_oscillators"
        )
        made = [KuramotoBlock(*pair, name=f"block_{index}") for index, pair in enumerate(zip(layers, readouts))]
        return {
            **_ends(channels, patch_size, position_embedding, projection_dim),
            "network": KuramotoNetwork(made, initial, name="network"),
        }

    def compute_features(self, patches, **options):
        return last_features(self.network, patches, **options)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class IterativeObjects(ObjectsModel):
    """The paper's baselines for object discovery: iterative self-attention or convolution, and the ViT.

    In each block, x ← x + J(norm(x)) is repeated with the same weights; then comes x ← x + mlp(norm(x)). Iterative
    models have few blocks of as many steps as AKOrN, a ViT has many blocks of one step. Initial oscillators are
    accepted and not used.

    Args:
        connectivity: J, a layer; each block gets a copy of its own. Or a list with one for each block.
        normalization: The normalisation, a layer, of which copies are made too: the paper has
            `keras.layers.LayerNormalization` for attention and `keras.layers.GroupNormalization` for convolutions.
        position_embedding: Layer applied to the patches, such as `PositionEmbedding`, copied; or `None`.
        image_size: An integer, or height and width.
        patch_size: Height and width of a patch, in pixels.
        channels: Number of channels.
        num_steps: T, repetitions in each block.
        blocks: L, number of blocks.
        projection_dim: Number of components of the projection, by default as many as there are channels.
        **kwargs: As for `keras.Model`.

    Raises:
        ValueError: If a size or a list does not fit, and whatever the layers reject.

    Example:

    >>> normalization = keras.layers.LayerNormalization()
    >>> model = IterativeObjects(AttentionConnectivity(4), normalization, image_size=16, patch_size=4, channels=32)
    >>> model.features(ops.ones((2, 16, 16, 3))).shape
    (2, 4, 4, 32)

    Reference: Miyato et al., ICLR 2025, Sec. 6.1 and Fig. 11; that only J is repeated, and the last normalisation, are
    the authors' code.
    """

    def __init__(
        self,
        connectivity,
        normalization,
        position_embedding=None,
        image_size=128,
        patch_size=8,
        channels=256,
        num_steps=8,
        blocks=1,
        projection_dim=None,
        **kwargs,
    ):
        arguments = {
            "connectivity": connectivity,
            "normalization": normalization,
            "position_embedding": position_embedding,
            "image_size": image_size,
            "patch_size": patch_size,
            "channels": channels,
            "num_steps": num_steps,
            "blocks": blocks,
            "projection_dim": projection_dim,
        }
        super().__init__(arguments, **kwargs)

    @staticmethod
    def make_layers(
        connectivity,
        normalization,
        position_embedding,
        image_size,
        patch_size,
        channels,
        num_steps,
        blocks,
        projection_dim,
    ):
        check_whole("blocks", blocks, 1)
        each = zip(
            *(of_each_block(*named, blocks) for named in (("connectivity", connectivity), ("num_steps", num_steps)))
        )
        return {
            **_ends(channels, patch_size, position_embedding, projection_dim),
            **{
                f"block_{index}": TransformerBlock(
                    coupling, normalization=copied(normalization), num_steps=steps, name=f"block_{index}"
                )
                for index, (coupling, steps) in enumerate(each)
            },
            "norm": copied(normalization),
        }

    def compute_features(self, patches, noise, return_energy, **options):
        no_energy(return_energy)
        x = patches
        for name in self._layer_names:
            if name.startswith("block_"):
                x = getattr(self, name)(x, **options)
        return ops.cast(self.norm(x), "float32"), []


def _attention(encoding=None):
    return AttentionConnectivity(8, encoding, kernel_initializer=fan_in_uniform())


def _convolution(kernel_size):
    return ConvConnectivity(kernel_size, kernel_initializer=fan_in_uniform())


def _akorn(kernel_size, channels, blocks=1, **sizes):
    """Arguments of AKOrN, attentive if there is no size of a kernel."""
    normalization = keras.layers.GroupNormalization(channels // 4, epsilon=1e-5)
    return {
        "connectivity": _convolution(kernel_size) if kernel_size else _attention(GTA()),
        # γ = 1 of the authors' code, which adds x where Ωx would be.
        "step_size": 0.5,
        # A group for each oscillator.
        "stimuli_normalization": normalization if blocks > 1 else None,
        "channels": channels,
        "blocks": blocks,
        **sizes,
    }


def _iterative(kernel_size, **sizes):
    """Arguments of iterative self-attention, or of iterative convolution if there is a size of a kernel."""
    if kernel_size:
        return {
            "connectivity": _convolution(kernel_size),
            "normalization": keras.layers.GroupNormalization(8, epsilon=1e-5),
            **sizes,
        }
    return {
        "connectivity": _attention(),
        "normalization": keras.layers.LayerNormalization(epsilon=1e-5),
        "position_embedding": PositionEmbedding(),
        **sizes,
    }


def _vit(kernel_size, **sizes):
    """Arguments of the ViT: eight blocks of one step."""
    return _iterative(None, **{**sizes, "blocks": 8, "num_steps": 1})


# What Tables 9 to 11 say of each data set, and the size of the kernels in C.1 (not said of Shapes).
_TETROMINOES = {"image_size": 32, "patch_size": 4, "channels": 128, "num_steps": 8}
_CLEVRTEX = {"image_size": 128, "patch_size": 8, "channels": 256, "num_steps": 8, "blocks": 2}
_SHAPES = {"image_size": 40, "patch_size": 2, "channels": 256, "num_steps": 4, "blocks": 3}
_SETTINGS = {
    "tetrominoes": (_TETROMINOES, 5),
    "dsprites": ({**_TETROMINOES, "image_size": 64}, 7),
    # The authors' published command has kernels of 7.
    "clevr": ({**_CLEVRTEX, "blocks": 1}, 9),
    "shapes": (_SHAPES, 7),
    "clevrtex": (_CLEVRTEX, None),
    "clevrtex_large": ({**_CLEVRTEX, "channels": 512}, None),
    "imagenet": ({"image_size": 256, "patch_size": 16, "channels": 768, "num_steps": 4, "blocks": 3}, None),
    # These train on a CPU.
    "tetrominoes_small": ({**_TETROMINOES, "channels": 64}, None),
    "shapes_small": ({**_SHAPES, "patch_size": 4, "channels": 96}, None),
}


def _presets(arguments, ending, names, conv=False):
    """Presets by name, for data sets by name."""
    return {
        f"objects_{name}{ending}": functools.partial(
            arguments, _SETTINGS[name][1] if conv else None, **_SETTINGS[name][0]
        )
        for name in names
    }


_CONV = [name for name, (_, kernel_size) in _SETTINGS.items() if kernel_size]
_ITERATIVE = [name for name in _SETTINGS if name not in ("clevrtex_large", "imagenet")]
add_presets(AKOrNObjects, {**_presets(_akorn, "", _SETTINGS), **_presets(_akorn, "_conv", _CONV, conv=True)})
add_presets(
    IterativeObjects,
    {
        **_presets(_iterative, "_iterative", _ITERATIVE),
        **_presets(_iterative, "_iterative_conv", _CONV, conv=True),
        **_presets(_vit, "_vit", ["tetrominoes", "dsprites", "clevr", "clevrtex"]),
    },
)
