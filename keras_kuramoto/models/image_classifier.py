"""Classifiers of images: AKOrN and the baselines of its paper, with one interface."""

import functools

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.random import standard_normal
from keras_kuramoto._checks import check_whole
from keras_kuramoto.layers import (
    GTA,
    AttentionConnectivity,
    ConvConnectivity,
    InitialOscillators,
    KuramotoBlock,
    KuramotoNetwork,
    NaturalFrequency,
    OscillatorReadout,
    Residual,
    SharedTransition,
    TransformerBlock,
)
from keras_kuramoto.models.configured_model import add_presets
from keras_kuramoto.models.image_model import (
    ImageModel,
    centred,
    fan_in_uniform,
    kuramoto_layers,
    last_features,
    no_energy,
    of_each_block,
)
from keras_kuramoto.models.readout_network import readout_network


class ImageClassifier(ImageModel):
    """Base class of the classifiers of images: a functional model from images to logits, and `run` with more options.

    The functional model takes images as `ImageModel` says, and gives logits `(batch, num_classes)` in float32.

    `run(image, noise=None, num_steps=None, return_energy=False, max_steps=None, training=False)` gives logits, and with
    `return_energy=True` a pair with the energies of the last block, `(batch, steps)`; `num_steps` and `max_steps` are
    those of `KuramotoNetwork`, or of `TransformerBlock` for an iterative model without oscillators.

    Args:
        arguments: As for `ImageModel`, with `num_classes`.
        **kwargs: As for `ConfiguredModel`.

    Attributes:
        num_classes: Number of classes.

    Raises:
        ValueError: As for `ImageModel`.

    Example:

    >>> model = ImageClassifier.from_preset("cifar10_resnet_small", load_weights=False, channels=4)
    >>> model.run(ops.ones((2, 32, 32, 3))).shape, model.probabilities(ops.ones((2, 32, 32, 3)), members=3).shape
    ((2, 10), (2, 10))
    """

    def __init__(self, arguments, **kwargs):
        self.num_classes = check_whole("num_classes", arguments["num_classes"], 2)
        super().__init__(arguments, **kwargs)

    def probabilities(self, image, members=1, seed=None, **options):
        """The classes' probabilities, averaged over initial oscillators.

        Args:
            image: As for a call.
            members: Size of the ensemble: how many initial oscillators are drawn for each image. A model without
                oscillators has one answer, whatever the number.
            seed: Integer from which the initial oscillators are drawn; `None` for the model's own generator.
            **options: As for `run`, but for `noise` and `return_energy`.

        Returns:
            `(batch, num_classes)`.

        Raises:
            ValueError: If `members` is no positive integer.
        """
        members = check_whole("members", members, 1)
        if not self.has_energy:
            members = 1
        image = ops.convert_to_tensor(image)
        seeds = [None] * members if seed is None else np.random.SeedSequence(seed).generate_state(members).tolist()
        total = 0.0
        for member in seeds:
            noise = None
            if member is not None and self.has_energy:
                shape = self.noise_shape(*image.shape[1:3])
                noise = standard_normal((ops.shape(image)[0], *shape), member, "float32")
            total = total + ops.softmax(self.run(image, noise, **options))
        return total / members

    def compute_outputs(self, image, noise=None, num_steps=None, return_energy=False, max_steps=None):
        features, energies = self.compute_features(
            self.stem(centred(image)),
            noise=noise,
            num_steps=num_steps,
            return_energy=return_energy,
            max_steps=max_steps,
        )
        logits = self.head(ops.mean(features, axis=(1, 2)))
        return (logits, energies) if return_energy else logits

    def compute_features(self, stem, **options):
        """The features of the last block and the energies, or `None`, from linear features of the image."""
        raise NotImplementedError


def _conv(channels, name, kernel_size=3, strides=1, initializer=None, **arguments):
    """A convolution with zeros of half the kernel on every side, as PyTorch has them at a stride of 2 too."""
    convolution = keras.layers.Conv2D(
        channels,
        kernel_size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        kernel_initializer=initializer or fan_in_uniform(),
        name=name if strides == 1 else "convolution",
        **arguments,
    )
    if strides == 1:
        return convolution
    return keras.Sequential([keras.layers.ZeroPadding2D(kernel_size // 2, name="zeros"), convolution], name=name)


def _head(num_classes):
    return keras.layers.Dense(num_classes, dtype="float32", name="head")


def _batch_norm(name=None):
    # As PyTorch's.
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def _stride(index):
    """Of the convolution before a block."""
    return 2 if index in (1, 2) else 1


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class AKOrNClassifier(ImageClassifier):
    """AKOrN for classification, Sec. 6.3 and C.3: image → stimuli C, random oscillators X → L blocks → logits.

    A block is a Kuramoto layer, a readout by 3 × 3 convolution and g: a residual unit of two normalisations, ReLUs and
    3 × 3 convolutions, and a third one of these. From a block to the next, one 3 × 3 convolution is applied to
    oscillators and features alike; it doubles the channels, and before the second and the third block halves the
    resolution. The last features are averaged over the image.

    Args:
        connectivity: The coupling, a layer; each block gets a copy of its own (same configuration, other weights). Or a
            list with one for each block.
        natural_frequency: Layer for Ω x, copied likewise, or a list, or `None`.
        image_size: An integer, or height and width.
        channels: Number of channels of the first block: oscillators × N.
        oscillator_dim: N, or a list with one for each block.
        num_steps: T, steps of each block: an integer, or a list with one for each block.
        blocks: L, number of blocks.
        num_classes: Number of classes.
        step_size: γ at the start.
        train_step_size: Whether γ is trained.
        stimuli_normalization: Layer applied to the stimuli of each block, copied likewise, or a list, or `None`.
        normalization: What normalises in g, a layer, of which copies are made; by default a `BatchNormalization` with
            PyTorch's numbers.
        readout: List with a layer for each block that maps oscillators to features, by default an `OscillatorReadout`
            of 3 × 3. The paper's ablation without m (Fig. 18) has convolutions.
        project: As for `KuramotoLayer` (Table 5).
        normalize: As for `KuramotoLayer` (Table 6).
        remat: As for `KuramotoLayer`.
        seed: Seed of the generator that draws initial oscillators which are not given.
        **kwargs: As for `keras.Model`.

    Raises:
        ValueError: If a size or a list does not fit, and whatever the layers reject.

    Example:

    >>> couplings = [ConvConnectivity(5), ConvConnectivity(3)]
    >>> model = AKOrNClassifier(couplings, NaturalFrequency(2), image_size=8, channels=8, num_steps=[3, 2], blocks=2)
    >>> model(ops.ones((2, 8, 8, 3))).shape
    (2, 10)

    Reference: Miyato et al., ICLR 2025, Sec. 6.3 and C.3. The residual unit in g is the authors' code; the paper
    mentions the last normalisation, ReLU and convolution.
    """

    has_energy = True

    def __init__(
        self,
        connectivity,
        natural_frequency=None,
        image_size=32,
        channels=64,
        oscillator_dim=2,
        num_steps=3,
        blocks=3,
        num_classes=10,
        step_size=1.0,
        train_step_size=False,
        stimuli_normalization=None,
        normalization=None,
        readout=None,
        project=True,
        normalize=True,
        remat=False,
        seed=None,
        **kwargs,
    ):
        arguments = {
            "connectivity": connectivity,
            "natural_frequency": natural_frequency,
            "image_size": image_size,
            "channels": channels,
            "oscillator_dim": oscillator_dim,
            "num_steps": num_steps,
            "blocks": blocks,
            "num_classes": num_classes,
            "step_size": step_size,
            "train_step_size": train_step_size,
            "stimuli_normalization": stimuli_normalization,
            "normalization": normalization,
            "readout": readout,
            "project": project,
            "normalize": normalize,
            "remat": remat,
            "seed": seed,
        }
        super().__init__(arguments, **kwargs)

    @staticmethod
    def make_layers(
        image_size, channels, oscillator_dim, blocks, num_classes, normalization, readout, seed, **kuramoto_arguments
    ):
        check_whole("blocks", blocks, 1)
        dims = of_each_block("oscillator_dim", oscillator_dim, blocks)
        widths = [channels * 2**index for index in range(blocks)]
        if readout is None:
            readout = [
                OscillatorReadout(width, dim, kernel_size=3, kernel_initializer=fan_in_uniform(), name="readout")
                for width, dim in zip(widths, dims)
            ]
        parts = {
            "kuramoto": kuramoto_layers(blocks, oscillator_dim=dims, **kuramoto_arguments),
            "readout": of_each_block("readout", readout, blocks),
            "network": [
                readout_network(functools.partial(_conv, width), normalization or _batch_norm()) for width in widths
            ],
            "transition": [
                SharedTransition(_conv(widths[index], "convolution", strides=_stride(index)), name="transition")
                for index in range(1, blocks)
            ]
            + [None],
        }
        made = [
            KuramotoBlock(*(part[index] for part in parts.values()), name=f"block_{index}") for index in range(blocks)
        ]
        initial = InitialOscillators(dims[0], seed=seed, name="initial_oscillators")
        return {
            "stem": _conv(channels, "stem", use_bias=False),
            "network": KuramotoNetwork(made, initial, name="network"),
            "head": _head(num_classes),
        }

    def compute_features(self, stem, **options):
        return last_features(self.network, stem, **options)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class IterativeClassifier(ImageClassifier):
    """The paper's baseline by iterated convolution (Itr Conv): AKOrN's blocks replaced by those of Fig. 11 (a).

    In each block, x ← x + J(norm(x)) is repeated with the same weights; then comes x ← x + mlp(norm(x)). The
    convolutions between the blocks are those of `AKOrNClassifier`. Initial oscillators are accepted and not used.

    Args:
        connectivity: J, a layer; each block gets a copy of its own. Or a list with one for each block.
        normalization: The normalisation, a layer, of which copies are made, or a list; such as
            `keras.layers.GroupNormalization`.
        image_size: An integer, or height and width.
        channels: Number of channels of the first block.
        num_steps: T, repetitions in each block: an integer, or a list with one for each block.
        blocks: L, number of blocks.
        num_classes: Number of classes.
        **kwargs: As for `keras.Model`.

    Raises:
        ValueError: If a size or a list does not fit, and whatever the layers reject.

    Example:

    >>> model = IterativeClassifier(ConvConnectivity(3), keras.layers.GroupNormalization(4), channels=8, blocks=2)
    >>> model(ops.ones((2, 8, 8, 3))).shape
    (2, 10)

    Reference: Miyato et al., ICLR 2025, C.3 and Fig. 11 (a).
    """

    def __init__(
        self,
        connectivity,
        normalization,
        image_size=32,
        channels=64,
        num_steps=3,
        blocks=3,
        num_classes=10,
        **kwargs,
    ):
        arguments = {
            "connectivity": connectivity,
            "normalization": normalization,
            "image_size": image_size,
            "channels": channels,
            "num_steps": num_steps,
            "blocks": blocks,
            "num_classes": num_classes,
        }
        super().__init__(arguments, **kwargs)

    @staticmethod
    def make_layers(image_size, channels, num_steps, blocks, num_classes, **of_blocks):
        check_whole("blocks", blocks, 1)
        of_blocks = {
            name: of_each_block(name, value, blocks) for name, value in {"num_steps": num_steps, **of_blocks}.items()
        }
        layers = {"stem": _conv(channels, "stem", use_bias=False)}
        for index, (steps, coupling, normalization) in enumerate(zip(*of_blocks.values())):
            if index:
                layers[f"down_{index}"] = _conv(channels * 2**index, f"down_{index}", strides=_stride(index))
            layers[f"block_{index}"] = TransformerBlock(
                coupling, normalization=normalization, num_steps=steps, name=f"block_{index}"
            )
        return {**layers, "head": _head(num_classes)}

    def compute_features(self, stem, noise, num_steps, return_energy, max_steps):
        no_energy(return_energy)
        x, blocks = stem, [name for name in self._layer_names if name.startswith("block_")]
        for index, steps in enumerate(of_each_block("num_steps", num_steps, len(blocks))):
            if index:
                x = getattr(self, f"down_{index}")(x)
            x = getattr(self, f"block_{index}")(x, num_steps=steps, max_steps=max_steps)
        return x, None


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class ResNetClassifier(ImageClassifier):
    """ResNet for images of 32 × 32, a baseline of the paper: a 3 × 3 convolution, four stages of two basic blocks each.

    From a stage to the next, the resolution is halved and the channels are doubled. Initial oscillators and numbers of
    steps are accepted and not used.

    Args:
        image_size: An integer, or height and width.
        channels: Number of channels of the first stage; 64 for the usual ResNets.
        stages: Number of basic blocks of each stage: (2, 2, 2, 2) for ResNet-18.
        num_classes: Number of classes.
        **kwargs: As for `keras.Model`.

    Raises:
        ValueError: If a size is no such number.

    Example:

    >>> ResNetClassifier(channels=4, stages=(1, 1))(ops.ones((2, 32, 32, 3))).shape
    (2, 10)

    Reference: He et al., Deep Residual Learning, 2016; Miyato et al., ICLR 2025, Table 4.
    """

    def __init__(self, image_size=32, channels=64, stages=(2, 2, 2, 2), num_classes=10, **kwargs):
        arguments = {
            "image_size": image_size,
            "channels": channels,
            "stages": list(stages),
            "num_classes": num_classes,
        }
        super().__init__(arguments, **kwargs)

    @staticmethod
    def make_layers(image_size, channels, stages, num_classes):
        def conv(width, name, strides=1, **arguments):
            layer = _conv(width, f"{name}_conv", strides=strides, initializer="he_normal", use_bias=False, **arguments)
            return [layer, _batch_norm(f"{name}_norm")]

        def block(width, strides, new, name):
            first, second = conv(width, "first", strides), conv(width, "second")
            shortcut = keras.Sequential(conv(width, "shortcut", strides, kernel_size=1)) if new else None
            unit = keras.Sequential([*first, keras.layers.ReLU(name="relu"), *second], name="unit")
            return keras.Sequential(
                [Residual(unit, shortcut, name="residual"), keras.layers.ReLU(name="out")], name=name
            )

        if not stages:
            raise ValueError("`stages` must have a number of blocks for each stage. Received none.")
        body = []
        for stage, count in enumerate(stages):
            for index in range(check_whole("stages", count, 1)):
                # A stage's first block has another shape at its output, but for the very first one.
                new = index == 0 and stage > 0
                body.append(block(channels * 2**stage, 2 if new else 1, new, f"block_{stage}_{index}"))
        return {
            "stem": keras.Sequential([*conv(channels, "stem"), keras.layers.ReLU(name="relu")], name="stem"),
            "body": keras.Sequential(body, name="body"),
            "head": _head(num_classes),
        }

    def compute_features(self, stem, return_energy, **options):
        no_energy(return_energy)
        return self.body(stem), None


def _attention():
    return AttentionConnectivity(8, GTA(), kernel_initializer=fan_in_uniform())


def _convolutions(*sizes):
    return [ConvConnectivity(size, kernel_initializer=fan_in_uniform()) for size in sizes]


def _group_norms(channels, per_group):
    return [keras.layers.GroupNormalization(channels * 2**i // per_group, epsilon=1e-5) for i in range(3)]


def _akorn(couplings, oscillator_dim=2, channels=64, num_steps=3):
    return lambda: {
        "connectivity": couplings(),
        "natural_frequency": NaturalFrequency(oscillator_dim),
        "channels": channels,
        "oscillator_dim": oscillator_dim,
        "num_steps": num_steps,
        # A group for each oscillator.
        "stimuli_normalization": _group_norms(channels, oscillator_dim),
    }


def _mixed():
    return [*_convolutions(9, 7), _attention()]


_SMALL, _MIXED_STEPS = 16, [6, 4, 2]
add_presets(
    AKOrNClassifier,
    {
        # The networks of Tables 4 and 20.
        "cifar10_akorn": _akorn(lambda: _convolutions(9, 7, 5)),
        "cifar10_akorn_n4": _akorn(lambda: _convolutions(9, 7, 5), oscillator_dim=4),
        "cifar10_akorn_attention": _akorn(_mixed, num_steps=_MIXED_STEPS),
        "cifar10_akorn_attention_n4": _akorn(_mixed, oscillator_dim=4, num_steps=_MIXED_STEPS),
        # Trains on a CPU.
        "cifar10_akorn_small": _akorn(lambda: _convolutions(5, 3, 3), channels=_SMALL),
    },
)
add_presets(
    IterativeClassifier,
    {
        "cifar10_iterative_conv": lambda: {
            "connectivity": _convolutions(9, 7, 5),
            "normalization": _group_norms(64, 2),
        },
    },
)
add_presets(
    ResNetClassifier,
    {
        "cifar10_resnet18": dict,
        "cifar10_resnet_small": lambda: {"channels": _SMALL},
    },
)
