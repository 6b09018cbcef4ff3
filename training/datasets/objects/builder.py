"""TFDS builders of scenes that are generated here, no download."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import tensorflow_datasets as tfds

from training.datasets.objects.generator import generate_scenes
from training.datasets.objects.shapes import draw_shapes
from training.datasets.objects.sprites import draw_sprites
from training.datasets.objects.tetrominoes import draw_cropped_tetrominoes, draw_tetrominoes

_KABRA = """
@misc{kabra2019multiobject,
  title={Multi-Object Datasets},
  author={Kabra, Rishabh and Burgess, Chris and Matthey, Loic and Kaufman, Raphael Lopez and Greff, Klaus and
    Reynolds, Malcolm and Lerchner, Alexander},
  howpublished={https://github.com/deepmind/multi-object-datasets/},
  year={2019}
}
"""

_MIYATO = """
@inproceedings{miyato2025artificial,
  title={Artificial {K}uramoto Oscillatory Neurons},
  author={Miyato, Takeru and L{\\"o}we, Sindy and Geiger, Andreas and Welling, Max},
  booktitle={International Conference on Learning Representations},
  year={2025}
}
"""

_VERSION = tfds.core.Version("1.0.0")
_NOTES = {"1.0.0": "First release."}


@dataclasses.dataclass(eq=False, kw_only=True)
class ScenesConfig(tfds.core.BuilderConfig):
    """Configuration of one generated data set.

    Attributes:
        draw: Function that draws scenes; see `generate_scenes`.
        size: Height and width of the images.
        examples: Number of scenes of each split, such as `{"train": 60000, "test": 320}`.
        seed: Non-negative integer from which all scenes follow.
    """

    draw: Callable
    size: int
    examples: dict[str, int]
    seed: int = 0

    def variant(self, seed=None, examples=None):
        """The same kind of scenes from another seed, or another number of them.

        The name of the variant tells what differs, so that it gets a directory of its own on disk.

        Args:
            seed: Non-negative integer; unchanged by default.
            examples: Dictionary from names of splits to numbers of scenes; unchanged by default, and for those that are
                not named.

        Returns:
            `ScenesConfig`.

        Raises:
            ValueError: If `examples` names a split that this configuration doesn't have, or a number is negative.

        Example:

        >>> Tetrominoes.builder_configs["32x32"].variant(seed=7, examples={"train": 512, "test": 64}).name
        '32x32_seed7_train512_test64'
        """
        seed = self.seed if seed is None else seed
        examples = self.examples | (examples or {})
        if set(examples) != set(self.examples) or min(examples.values()) < 1 or seed < 0:
            raise ValueError(
                f"A variant of '{self.name}' must have a seed of at least 0 and at least one example in each of its "
                f"splits, {', '.join(self.examples)}. Received {seed} and {examples}."
            )
        name = self.name + (f"_seed{seed}" if seed != self.seed else "")
        name += "".join(f"_{split}{count}" for split, count in examples.items() if count != self.examples[split])
        return self if name == self.name else dataclasses.replace(self, name=name, seed=seed, examples=examples)


class _Scenes(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """What the builders of generated scenes share."""

    def _info(self):
        size = self.builder_config.size
        return self.dataset_info_from_configs(
            description=self.__doc__,
            citation=self.CITATION,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
                    "mask": tfds.features.Image(shape=(size, size, 1), encoding_format="png"),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {split: self._generate_examples(split) for split in self.builder_config.examples}

    def _generate_examples(self, split):
        config = self.builder_config
        scenes = generate_scenes(config.draw, config.examples[split], split, config.seed)
        for index, (image, mask) in enumerate(scenes):
            yield index, {"image": image, "mask": mask[..., None]}


class Tetrominoes(_Scenes):
    """Three tetrominoes in one of six colours each, on black, that do not overlap; `draw_tetrominoes` says how.

    | config  | splits                 | images                                            |
    | ------- | ---------------------- | ------------------------------------------------- |
    | `32x32` | 60,000 train, 320 test | the inner 32×32 pixels, the default               |
    | `35x35` | 60,000 train, 320 test | whole                                             |

    `mask`, `(size, size, 1)`, is 0 for the background and 1 to 3 for the pieces. The sizes of the splits
    are those of the AKOrN paper, Table 9.

    Example:

    >>> builder = Tetrominoes(config="32x32", data_dir=data_dir)
    >>> builder.download_and_prepare()
    >>> dataset = builder.as_dataset(split="train")
    """

    VERSION = _VERSION
    RELEASE_NOTES: ClassVar = _NOTES
    CITATION = _KABRA
    BUILDER_CONFIGS: ClassVar = [
        ScenesConfig(
            name=f"{size}x{size}",
            description=description,
            draw=draw,
            size=size,
            examples={"train": 60_000, "test": 320},
        )
        for size, draw, description in (
            (32, draw_cropped_tetrominoes, "The inner 32×32 pixels."),
            (35, draw_tetrominoes, "Whole images."),
        )
    ]


class MultiDsprites(_Scenes):
    """Two to five ellipses, hearts or squares of any colour on grey, that cover each other; `draw_sprites` says how.

    | config  | splits                 |
    | ------- | ---------------------- |
    | `64x64` | 60,000 train, 320 test |

    `mask`, `(64, 64, 1)`, is 0 for the background and 1 to 5 for the sprites. The sizes of the splits are those of the
    AKOrN paper, Table 9.

    Example:

    >>> builder = MultiDsprites(data_dir=data_dir)
    >>> builder.download_and_prepare()
    >>> dataset = builder.as_dataset(split="train")
    """

    VERSION = _VERSION
    RELEASE_NOTES: ClassVar = _NOTES
    CITATION = _KABRA
    BUILDER_CONFIGS: ClassVar = [
        ScenesConfig(
            name="64x64",
            description="Coloured sprites on grey.",
            draw=draw_sprites,
            size=64,
            examples={"train": 60_000, "test": 320},
        )
    ]


class Shapes(_Scenes):
    """Outlines of two to four triangles, squares, circles or diamonds, white on black; `draw_shapes` says how.

    | config  | splits                   |
    | ------- | ------------------------ |
    | `40x40` | 40,000 train, 1,000 test |

    `mask`, `(40, 40, 1)`, is 0 for the background and 1 to 4 for the outlines; what they enclose is background. The
    sizes of the splits are those of the AKOrN paper, Table 9.

    Example:

    >>> builder = Shapes(data_dir=data_dir)
    >>> builder.download_and_prepare()
    >>> dataset = builder.as_dataset(split="train")
    """

    VERSION = _VERSION
    RELEASE_NOTES: ClassVar = _NOTES
    CITATION = _MIYATO
    BUILDER_CONFIGS: ClassVar = [
        ScenesConfig(
            name="40x40",
            description="White outlines on black.",
            draw=draw_shapes,
            size=40,
            examples={"train": 40_000, "test": 1_000},
        )
    ]


GENERATED = {builder.name: builder for builder in (Tetrominoes, MultiDsprites, Shapes)}
