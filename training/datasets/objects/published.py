"""TFDS builders of scenes that others publish, from the files that they provide."""

import dataclasses
import itertools
import pathlib
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from training.datasets.manual import manual_files
from training.datasets.objects.multi_object import read_scenes
from training.datasets.pictures import middle

# What masks have where no one knows what a pixel belongs to.
IGNORED = 255


class _Published(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """What the builders of published scenes share."""

    def _features(self, size, *masks):
        return tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
                **{name: tfds.features.Image(shape=(size, size, 1), encoding_format="png") for name in masks},
            }
        )


# --- DeepMind's multi-object data sets ------------------------------------------------------------------------------


@dataclasses.dataclass(eq=False, kw_only=True)
class MultiObjectConfig(tfds.core.BuilderConfig):
    """Configuration of one of DeepMind's multi-object data sets.

    Attributes:
        file: Name of the file.
        shape: Height and width of its images, number of masks.
        entities_last: Whether masks have the entities on the last axis.
        rows: First row and row after the last of what is taken of an image.
        columns: The same of its columns.
        size: Height and width of the images here, to which they are resized by nearest neighbour.
        most: Largest number of an object that an image may have, else it is left out.
        splits: First scene and scene after the last of each split, among those that are not left out.
    """

    file: str
    shape: tuple[int, int, int]
    entities_last: bool = False
    rows: tuple[int, int]
    columns: tuple[int, int]
    size: int
    most: int
    splits: dict[str, tuple[int, int]]


class MultiObject(_Published):
    """Tetrominoes, multi-dSprites and CLEVR with masks, as DeepMind publishes them.

    | config           | splits                     | images                                                         |
    | ---------------- | -------------------------- | -------------------------------------------------------------- |
    | `tetrominoes`    | 60,000 train, 320 test     | rows and columns 1 to 33 of 35×35                              |
    | `multi_dsprites` | 60,000 train, 320 test     | 64×64, "coloured on greyscale"                                 |
    | `clevr`          | about 50,000 train, 320 test | rows 29 to 221 and columns 64 to 256 of 240×320, as 128×128, |
    |                  |                            | with at most 6 objects                                         |

    Splits, cuts and sizes are those of AKOrN's authors: the test split are the scenes from the 65th on, the train split
    those after 10,000 more. `mask` is 0 for the background, else the number of the object.

    The files, such as `tetrominoes_train.tfrecords`, belong into `downloads/manual` of the data directory.

    Example:

    >>> builder = MultiObject(config="tetrominoes", data_dir=data_dir)  # doctest: +SKIP
    >>> builder.download_and_prepare()  # doctest: +SKIP
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = "The TFRecord files of github.com/google-deepmind/multi_object_datasets."
    BUILDER_CONFIGS: ClassVar = [
        MultiObjectConfig(
            name="tetrominoes",
            description="Tetrominoes.",
            file="tetrominoes_train.tfrecords",
            shape=(35, 35, 4),
            rows=(1, 33),
            columns=(1, 33),
            size=32,
            most=3,
            splits={"train": (10_384, 70_384), "test": (64, 384)},
        ),
        MultiObjectConfig(
            name="multi_dsprites",
            description="Multi-dSprites, coloured on greyscale.",
            file="multi_dsprites_colored_on_grayscale.tfrecords",
            shape=(64, 64, 6),
            entities_last=True,
            rows=(0, 64),
            columns=(0, 64),
            size=64,
            most=5,
            splits={"train": (10_384, 70_384), "test": (64, 384)},
        ),
        MultiObjectConfig(
            name="clevr",
            description="CLEVR with masks, at most 6 objects.",
            file="clevr_with_masks_train.tfrecords",
            shape=(240, 320, 11),
            rows=(29, 221),
            columns=(64, 256),
            size=128,
            most=6,
            splits={"train": (10_384, 80_384), "test": (64, 384)},
        ),
    ]

    def _info(self):
        return self.dataset_info_from_configs(
            description=MultiObject.__doc__,
            homepage="https://github.com/google-deepmind/multi_object_datasets",
            citation="""
            @misc{kabra2019multiobject,
              title={Multi-Object Datasets},
              author={Kabra, Rishabh and Burgess, Chris and Matthey, Loic and Kaufman, Raphael Lopez and Greff, Klaus
                and Reynolds, Malcolm and Lerchner, Alexander},
              howpublished={https://github.com/deepmind/multi-object-datasets/},
              year={2019}
            }
            """,
            features=self._features(self.builder_config.size, "mask"),
        )

    def _split_generators(self, dl_manager):
        source = "it from the bucket gs://multi-object-datasets, see github.com/google-deepmind/multi_object_datasets"
        (path,) = manual_files(dl_manager, [self.builder_config.file], source)
        return {split: self._generate_examples(path, split) for split in self.builder_config.splits}

    def _generate_examples(self, path, split):
        config = self.builder_config
        # Of each pixel of the result the middle, in pixels of what is taken.
        rows, columns = (
            first + np.floor((np.arange(config.size) + 0.5) * (last - first) / config.size).astype(int)
            for first, last in (config.rows, config.columns)
        )
        scenes = (
            (image[rows[:, None], columns], mask[rows[:, None], columns])
            for image, mask in read_scenes(path, *config.shape, config.entities_last)
        )
        kept = (scene for scene in scenes if scene[1].max() <= config.most)
        index, (first, last) = None, config.splits[split]
        for index, (image, mask) in enumerate(itertools.islice(kept, first, last)):
            yield index, {"image": image, "mask": mask[..., None]}
        if index is None:
            raise ValueError(f"'{path}' has no scenes for the split '{split}', which begins after {first:,}.")


# --- CLEVRTex -------------------------------------------------------------------------------------------------------


class Clevrtex(_Published):
    """CLEVRTex and its variants: the middle of the images, 128×128.

    | config | splits                                            | what it has                                        |
    | ------ | ------------------------------------------------- | -------------------------------------------------- |
    | `full` | 40,000 train, 5,000 validation, 5,000 test        | 3 to 10 textured objects on textured ground        |
    | `outd` | 10,000 test                                       | other shapes and materials                         |
    | `camo` | 16,000 train, 2,000 validation, 2,000 test        | objects of the ground's material                   |

    As the publishers' own reader does, the middle square of 0.8 of the height is taken and resized, and the first tenth
    of the scenes are the test split, the second the validation split. `mask` is 0 for the ground, else the number of
    the object.

    The unpacked folders, such as `clevrtex_full`, belong into `downloads/manual` of the data directory.

    Example:

    >>> builder = Clevrtex(config="outd", data_dir=data_dir)  # doctest: +SKIP
    >>> builder.download_and_prepare()  # doctest: +SKIP
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = "The unpacked archives of www.robots.ox.ac.uk/~vgg/data/clevrtex."
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="full", description="Textured objects on textured ground."),
        tfds.core.BuilderConfig(name="outd", description="Other shapes and materials."),
        tfds.core.BuilderConfig(name="camo", description="Objects of the ground's material."),
    ]
    SIZE = 128
    _SHARES: ClassVar = {"train": (0.2, 1.0), "validation": (0.1, 0.2), "test": (0.0, 0.1)}

    def _info(self):
        return self.dataset_info_from_configs(
            description=Clevrtex.__doc__,
            homepage="https://www.robots.ox.ac.uk/~vgg/data/clevrtex/",
            citation="""
            @inproceedings{karazija2021clevrtex,
              title={{ClevrTex}: A Texture-Rich Benchmark for Unsupervised Multi-Object Segmentation},
              author={Karazija, Laurynas and Laina, Iro and Rupprecht, Christian},
              booktitle={Conference on Neural Information Processing Systems, Datasets and Benchmarks},
              year={2021}
            }
            """,
            features=self._features(self.SIZE, "mask"),
        )

    def _split_generators(self, dl_manager):
        name = self.builder_config.name
        source = "the archives from www.robots.ox.ac.uk/~vgg/data/clevrtex, unpack them"
        (folder,) = manual_files(dl_manager, [f"clevrtex_{name}"], source)
        prefix = f"CLEVRTEX_{name}_"
        images = {path.stem[len(prefix) :]: path for path in folder.rglob(f"{prefix}??????.png")}
        wanted = [f"{number:06}" for number in range(max(map(int, images), default=0) + 1)]
        missing = [f"{prefix}{number}.png" for number in wanted if number not in images]
        missing += [path.name for path in map(_flat, images.values()) if not path.exists()]
        if missing:
            raise ValueError(
                f"In '{folder}' there is no {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''} "
                f"({len(missing):,} missing). Get {source}."
            )
        shares = {"test": (0.0, 1.0)} if name == "outd" else self._SHARES
        return {
            split: self._generate_examples(images, wanted[int(first * len(wanted)) : int(last * len(wanted))])
            for split, (first, last) in shares.items()
        }

    def _generate_examples(self, images, numbers):
        from PIL import Image

        for number in numbers:
            with Image.open(images[number]) as file:
                image = file.convert("RGB")
            with Image.open(_flat(images[number])) as mask:
                if mask.mode not in ("P", "L") or mask.size != image.size:
                    raise ValueError(
                        f"'{mask.filename}' must have the number of an object for each pixel of the image. Received "
                        f"mode {mask.mode} and {mask.width}×{mask.height} pixels, of {image.width}×{image.height}."
                    )
                side = int(0.8 * min(image.size))
                left, top = (image.width - side) // 2, (image.height - side) // 2
                box = (left, top, left + side, top + side)
                size = (self.SIZE, self.SIZE)
                yield (
                    number,
                    {
                        "image": np.asarray(image.crop(box).resize(size, Image.Resampling.BILINEAR)),
                        "mask": np.asarray(mask.crop(box).resize(size, Image.Resampling.NEAREST))[..., None],
                    },
                )


def _flat(image):
    return image.with_name(f"{image.stem}_flat.png")


# --- Pascal VOC and COCO --------------------------------------------------------------------------------------------


class VocObjects(_Published):
    """Pascal VOC 2012's segmented images, 256×256: 1,464 train, 1,449 test, which the publishers call validation.

    The images are resized so that the shorter side has 256 pixels, and their middle is taken. `mask` tells instances,
    `classes` classes 1 to 20; both are 0 for the background and 255 on borders, where nothing is annotated. (The
    builder `voc` of TensorFlow Datasets has boxes, but no masks.)

    The folder `VOCdevkit` belongs into `downloads/manual` of the data directory.

    Example:

    >>> builder = VocObjects(data_dir=data_dir)  # doctest: +SKIP
    >>> builder.download_and_prepare()  # doctest: +SKIP
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = "VOCtrainval_11-May-2012.tar of host.robots.ox.ac.uk/pascal/VOC/voc2012, unpacked."
    SIZE = 256

    def _info(self):
        return self.dataset_info_from_configs(
            description=VocObjects.__doc__,
            homepage="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
            features=self._features(self.SIZE, "mask", "classes"),
        )

    def _split_generators(self, dl_manager):
        folder = pathlib.Path("VOCdevkit", "VOC2012")
        names = ["JPEGImages", "SegmentationObject", "SegmentationClass"]
        lists = [f"ImageSets/Segmentation/{split}.txt" for split in ("train", "val")]
        source = "VOCtrainval_11-May-2012.tar from host.robots.ox.ac.uk/pascal/VOC/voc2012, unpack it"
        paths = manual_files(dl_manager, [str(folder / name) for name in names + lists], source)
        return {
            split: self._generate_examples(*paths[:3], path.read_text().split())
            for split, path in zip(("train", "test"), paths[3:])
        }

    def _generate_examples(self, images, instances, classes, names):
        from PIL import Image

        for name in names:
            example = {}
            for key, path in (
                ("image", images / f"{name}.jpg"),
                ("mask", instances / f"{name}.png"),
                ("classes", classes / f"{name}.png"),
            ):
                with Image.open(path) as picture:
                    example[key] = middle(picture.convert("RGB") if key == "image" else picture, self.SIZE)
            yield name, example


class CocoObjects(_Published):
    """COCO 2017's instances, 256×256, from `coco/2017_panoptic` of TensorFlow Datasets, which is downloaded.

    118,287 train, 5,000 test, which the publishers call validation. The images are resized so that the shorter side has
    256 pixels, and their middle is taken. `mask` tells instances of things, `classes` their classes, 1 to 80; both are
    0 for stuff, as for the background, and 255 for crowds.

    Example:

    >>> builder = CocoObjects(data_dir=data_dir)  # doctest: +SKIP
    >>> builder.download_and_prepare()  # doctest: +SKIP
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    SIZE = 256

    def _info(self):
        return self.dataset_info_from_configs(
            description=CocoObjects.__doc__,
            homepage="https://cocodataset.org",
            features=self._features(self.SIZE, "mask", "classes"),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        source = tfds.builder("coco/2017_panoptic", data_dir=self.data_dir_root)
        source.download_and_prepare()
        return {
            split: self._generate_examples(source, original)
            for split, original in (("train", "train"), ("test", "validation"))
        }

    def _generate_examples(self, source, split):
        from PIL import Image

        for example in tfds.as_numpy(source.as_dataset(split=split)):
            mask, classes = coco_masks(example["panoptic_image"], example["panoptic_objects"])
            yield (
                int(example["image/id"]),
                {
                    "image": middle(Image.fromarray(example["image"]), self.SIZE),
                    "mask": middle(Image.fromarray(mask), self.SIZE),
                    "classes": middle(Image.fromarray(classes), self.SIZE),
                },
            )


def coco_masks(panoptic, objects):
    """Masks of the instances of things, and of their classes, from a panoptic annotation of COCO.

    Args:
        panoptic: `(height, width, 3)` uint8: red + 256 green + 256² blue is the identity of a segment.
        objects: Dictionary of arrays, with a row for each segment: `id`; `label`, below 80 for things; `is_crowd`.

    Returns:
        `(mask, classes)`, `(height, width)` uint8: 0 for stuff, and where nothing is annotated; 255 for crowds.
    """
    identity = panoptic.astype(np.int64) @ np.array([1, 256, 256**2])
    mask, classes = np.zeros((2, *identity.shape), np.uint8)
    number = 0
    for segment, label, crowd in zip(objects["id"], objects["label"], objects["is_crowd"]):
        if label < 80:
            number += not crowd
            where = identity == segment
            mask[where], classes[where] = (IGNORED, IGNORED) if crowd else (number, label + 1)
    return mask, classes


PUBLISHED = {"multi_object": MultiObject, "clevrtex": Clevrtex, "voc": VocObjects, "coco": CocoObjects}
