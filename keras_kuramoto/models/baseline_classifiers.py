"""The baselines of the paper's classification of images."""

import keras
from keras import ops

from keras_kuramoto._checks import check_whole
from keras_kuramoto.layers import AttentionConnectivity, PositionEmbedding, Residual, TransformerBlock
from keras_kuramoto.models.classifier_parts import SMALL, batch_norm, conv, convolutions, group_norms, head, stride
from keras_kuramoto.models.configured_model import add_presets
from keras_kuramoto.models.image_classifier import ImageClassifier
from keras_kuramoto.models.image_model import no_energy, of_each_block


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

    >>> from keras_kuramoto.layers import ConvConnectivity
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
        layers = {"stem": conv(channels, "stem", use_bias=False)}
        for index, (steps, coupling, normalization) in enumerate(zip(*of_blocks.values())):
            if index:
                layers[f"down_{index}"] = conv(channels * 2**index, f"down_{index}", strides=stride(index))
            layers[f"block_{index}"] = TransformerBlock(
                coupling, normalization=normalization, num_steps=steps, name=f"block_{index}"
            )
        return {**layers, "head": head(num_classes)}

    def compute_features(self, stem, noise, num_steps, return_energy, max_steps):
        no_energy(return_energy)
        x, blocks = stem, [name for name in self._layer_names if name.startswith("block_")]
        for index, steps in enumerate(of_each_block("num_steps", num_steps, len(blocks))):
            if index:
                x = getattr(self, f"down_{index}")(x)
            x = getattr(self, f"block_{index}")(x, num_steps=steps, max_steps=max_steps)
        return x, []


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
        def normed(width, name, strides=1, **arguments):
            layer = conv(width, f"{name}_conv", strides=strides, initializer="he_normal", use_bias=False, **arguments)
            return [layer, batch_norm(f"{name}_norm")]

        def block(width, strides, new, name):
            first, second = normed(width, "first", strides), normed(width, "second")
            shortcut = keras.Sequential(normed(width, "shortcut", strides, kernel_size=1)) if new else None
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
            "stem": keras.Sequential([*normed(channels, "stem"), keras.layers.ReLU(name="relu")], name="stem"),
            "body": keras.Sequential(body, name="body"),
            "head": head(num_classes),
        }

    def compute_features(self, stem, return_energy, **options):
        no_energy(return_energy)
        return self.body(stem), []


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class ViTClassifier(ImageClassifier):
    """Vision transformer, a baseline of the paper: patches and their places, blocks of self-attention, their mean.

    Initial oscillators and numbers of steps are accepted and not used.

    Args:
        image_size: An integer, or height and width.
        patch_size: Height and width of a patch, in pixels.
        channels: Number of channels.
        heads: Number of heads of the self-attention.
        blocks: Number of blocks.
        expansion: Width of the hidden layer of each block's network, as a multiple of the channels.
        num_classes: Number of classes.
        **kwargs: As for `keras.Model`.

    Raises:
        ValueError: If a size is no such number, or the channels are no multiple of the heads.

    Example:

    >>> ViTClassifier(channels=8, heads=2, blocks=2)(ops.ones((2, 32, 32, 3))).shape
    (2, 10)

    Reference: Dosovitskiy et al., An Image is Worth 16x16 Words, 2021; Miyato et al., ICLR 2025, Table 4, which does
    not say of what size it is: the preset `"cifar10_vit"` is the usual small one, with patches of 4 × 4.
    """

    def __init__(
        self, image_size=32, patch_size=4, channels=384, heads=6, blocks=12, expansion=4, num_classes=10, **kwargs
    ):
        arguments = {
            "image_size": image_size,
            "patch_size": patch_size,
            "channels": channels,
            "heads": heads,
            "blocks": blocks,
            "expansion": expansion,
            "num_classes": num_classes,
        }
        self.blocks = check_whole("blocks", blocks, 1)
        super().__init__(arguments, **kwargs)

    @staticmethod
    def make_layers(image_size, patch_size, channels, heads, blocks, expansion, num_classes):
        def norm(name):
            return keras.layers.LayerNormalization(epsilon=1e-6, name=name)

        made = [
            TransformerBlock(
                AttentionConnectivity(heads, name="attention"), expansion, norm("norm"), name=f"block_{index}"
            )
            for index in range(blocks)
        ]
        return {
            "stem": keras.layers.Conv2D(channels, patch_size, strides=patch_size, name="stem"),
            "position_embedding": PositionEmbedding(name="position_embedding"),
            **{block.name: block for block in made},
            "norm": norm("norm"),
            "head": head(num_classes),
        }

    def compute_features(self, stem, return_energy, **options):
        no_energy(return_energy)
        x = self.position_embedding(stem)
        for index in range(self.blocks):
            x = getattr(self, f"block_{index}")(x)
        return ops.cast(self.norm(x), "float32"), []


add_presets(
    IterativeClassifier,
    {
        "cifar10_iterative_conv": lambda: {
            "connectivity": convolutions(9, 7, 5),
            "normalization": group_norms(64, 2),
        },
    },
)
add_presets(
    ResNetClassifier,
    {
        "cifar10_resnet18": dict,
        "cifar10_resnet_small": lambda: {"channels": SMALL},
    },
)
add_presets(ViTClassifier, {"cifar10_vit": dict})
