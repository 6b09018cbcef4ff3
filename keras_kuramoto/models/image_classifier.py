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
    InitialOscillators,
    KuramotoBlock,
    KuramotoNetwork,
    NaturalFrequency,
    OscillatorReadout,
    SharedTransition,
)
from keras_kuramoto.models.classifier_parts import SMALL, batch_norm, conv, convolutions, group_norms, head, stride
from keras_kuramoto.models.configured_model import add_presets
from keras_kuramoto.models.image_model import (
    ImageModel,
    centred,
    fan_in_uniform,
    kuramoto_layers,
    last_features,
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

    def stimuli(self, image):
        return self.stem(centred(image))

    def compute_outputs(self, image, noise=None, num_steps=None, return_energy=False, max_steps=None):
        features, more = self.compute_features(
            self.stimuli(image),
            noise=noise,
            num_steps=num_steps,
            return_energy=return_energy,
            max_steps=max_steps,
        )
        logits = self.head(ops.mean(features, axis=(1, 2)))
        return (logits, *more) if more else logits

    def compute_features(self, stem, **options):
        """The features of the last block, and what `of_blocks` gives, from linear features of the image."""
        raise NotImplementedError


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

    >>> from keras_kuramoto.layers import ConvConnectivity
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
                readout_network(functools.partial(conv, width), normalization or batch_norm()) for width in widths
            ],
            "transition": [
                SharedTransition(conv(widths[index], "convolution", strides=stride(index)), name="transition")
                for index in range(1, blocks)
            ]
            + [None],
        }
        made = [
            KuramotoBlock(*(part[index] for part in parts.values()), name=f"block_{index}") for index in range(blocks)
        ]
        initial = InitialOscillators(dims[0], seed=seed, name="initial_oscillators")
        return {
            "stem": conv(channels, "stem", use_bias=False),
            "network": KuramotoNetwork(made, initial, name="network"),
            "head": head(num_classes),
        }

    def compute_features(self, stem, **options):
        return last_features(self.network, stem, **options)


def _attention():
    return AttentionConnectivity(8, GTA(), kernel_initializer=fan_in_uniform())


def _akorn(couplings, oscillator_dim=2, channels=64, num_steps=3):
    return lambda: {
        "connectivity": couplings(),
        "natural_frequency": NaturalFrequency(oscillator_dim),
        "channels": channels,
        "oscillator_dim": oscillator_dim,
        "num_steps": num_steps,
        # A group for each oscillator.
        "stimuli_normalization": group_norms(channels, oscillator_dim),
    }


def _mixed():
    return [*convolutions(9, 7), _attention()]


_MIXED_STEPS = [6, 4, 2]
add_presets(
    AKOrNClassifier,
    {
        # The networks of Tables 4 and 20.
        "cifar10_akorn": _akorn(lambda: convolutions(9, 7, 5)),
        "cifar10_akorn_n4": _akorn(lambda: convolutions(9, 7, 5), oscillator_dim=4),
        "cifar10_akorn_attention": _akorn(_mixed, num_steps=_MIXED_STEPS),
        "cifar10_akorn_attention_n4": _akorn(_mixed, oscillator_dim=4, num_steps=_MIXED_STEPS),
        # Trains on a CPU.
        "cifar10_akorn_small": _akorn(lambda: convolutions(5, 3, 3), channels=SMALL),
    },
)
