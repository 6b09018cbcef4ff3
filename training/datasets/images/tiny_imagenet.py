"""The TFDS builder `tiny_imagenet`: 64×64 images of 200 classes, from the folder that its publishers provide."""

import io
from typing import ClassVar

import tensorflow_datasets as tfds

from training.datasets.manual import manual_files


class TinyImagenet(tfds.core.GeneratorBasedBuilder):
    """Tiny ImageNet: 100,000 images of 64×64 pixels to train and 10,000 to test, of 200 classes.

    The test split is what the publishers call validation: the labels of their own test split are secret. The folder
    `tiny-imagenet-200` belongs into `downloads/manual` of the data directory.

    Example:

    >>> builder = TinyImagenet(data_dir=data_dir)  # doctest: +SKIP
    >>> builder.download_and_prepare()  # doctest: +SKIP
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = "tiny-imagenet-200.zip of cs231n.stanford.edu, unpacked."
    CLASSES = 200

    def _info(self):
        return self.dataset_info_from_configs(
            description="Tiny ImageNet: 64×64 images of 200 classes.",
            homepage="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(64, 64, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(num_classes=self.CLASSES),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        names = [
            f"tiny-imagenet-200/{name}" for name in ("wnids.txt", "train", "val/images", "val/val_annotations.txt")
        ]
        source = "tiny-imagenet-200.zip from cs231n.stanford.edu, unpack it"
        classes, train, validation, annotations = manual_files(dl_manager, names, source)
        labels = {name: label for label, name in enumerate(classes.read_text().split())}
        if len(labels) != self.CLASSES:
            raise ValueError(f"'{classes}' must have {self.CLASSES} names of classes. It has {len(labels)}.")
        pairs = [line.split()[:2] for line in annotations.read_text().splitlines() if line]
        return {
            "train": self._generate_examples(
                (path, labels[name]) for name in labels for path in sorted((train / name / "images").iterdir())
            ),
            "test": self._generate_examples((validation / path, labels[name]) for path, name in pairs),
        }

    def _generate_examples(self, images):
        for path, label in images:
            yield path.name, {"image": io.BytesIO(path.read_bytes()), "label": label}
