"""Images that publishers provide in folders, and such that do not fit into memory."""

import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from training import failures
from training.datasets.images import ImageStream, load_images
from training.images.objects import PRESETS, ObjectsExperiment


def write_tiny_imagenet(folder, train=2, validation=3):
    """Even images, whose grey tells the class; the last of each class has one channel, as some have."""
    names = [f"n{number:08}" for number in range(200)]
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(names))

    def write(path, label, channels=3):
        pixels = np.full((64, 64, channels), label, np.uint8)
        path.write_bytes(tf.io.encode_jpeg(pixels, "grayscale" if channels == 1 else "rgb").numpy())

    for label, name in enumerate(names):
        (folder / "train" / name / "images").mkdir(parents=True)
        for number in range(train):
            write(folder / "train" / name / "images" / f"{name}_{number}.JPEG", label, 1 if number else 3)
    lines = []
    for number in range(validation):
        write(folder / "val" / "images" / f"val_{number}.JPEG", 7 * number)
        lines.append(f"val_{number}.JPEG\t{names[7 * number]}\t0\t0\t62\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))


def test_tiny_imagenet_is_read(tmp_path):
    folder = tmp_path / "downloads" / "manual" / "tiny-imagenet-200"
    with pytest.raises(
        ValueError, match=r"Missing: tiny-imagenet-200/wnids.txt, .*Get tiny-imagenet-200.zip from cs231n"
    ):
        load_images("tiny_imagenet", "train", tmp_path)
    write_tiny_imagenet(folder)
    for split, count in (("train", 400), ("test", 3)):
        images = load_images("tiny_imagenet", split, tmp_path)
        assert images.image.shape == (count, 64, 64, 3)
        assert images.classes == 200
        assert np.abs(images.image.astype(int) - images.label[:, None, None, None]).max() < 3
    other = tmp_path / "other" / "downloads" / "manual"
    other.mkdir(parents=True)
    folder.rename(other / folder.name)
    (other / folder.name / "wnids.txt").write_text("n1\nn2\n")
    with pytest.raises(ValueError, match=r"wnids.txt' must have 200 names of classes. It has 2"):
        load_images("tiny_imagenet", "train", tmp_path / "other")


class Sizes(tfds.core.GeneratorBasedBuilder):
    """Images of various sizes, whose red tells their label."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(encoding_format="png"),
            "label": tfds.features.ClassLabel(num_classes=9),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for label in range(9):
            image = np.zeros((10 + label, 20, 3), np.uint8)
            image[..., 0] = 20 * label
            yield label, {"image": image, "label": label}


def test_images_of_various_sizes_are_read_by_their_rows(tmp_path):
    stream = ImageStream("sizes", "train", size=6, data_dir=tmp_path)
    assert len(stream) == stream.classes == 9
    rows = tf.data.Dataset.from_tensor_slices([[0, 3], [3, 8]])
    dataset = rows.map(stream.read)
    assert dataset.element_spec["image"].shape == (2, 6, 6, 3)
    (first, second) = dataset.as_numpy_iterator()
    for batch in (first, second):
        assert (batch["image"].dtype, batch["label"].dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(batch["image"][..., 0], np.broadcast_to(20 * batch["label"], (6, 6, 2)).T)
    np.testing.assert_array_equal(first["image"][1], second["image"][0])
    everything = stream.read(tf.range(9))
    assert sorted(everything["label"].numpy()) == list(range(9))

    with pytest.raises(ValueError, match="Images of various sizes are read by an `ImageStream`"):
        load_images("sizes", "train", tmp_path)
    with pytest.raises(ValueError, match=r"'sizes' has no split 'test'. It has train"):
        ImageStream("sizes", "test", 6, tmp_path)
    with pytest.raises(ValueError, match="Unknown image data set 'sizes9'"):
        ImageStream("sizes9", "train", 6, tmp_path)


def stream_experiment(data_dir):
    options = dataclasses.replace(
        PRESETS["objects_tetrominoes_small"],
        data="images/sizes",
        test_data="tetrominoes/32x32_train8_test4",
        batch_size=4,
    )
    return ObjectsExperiment(options, data_dir)


def test_views_are_made_of_images_that_are_read_while_training(tmp_path, monkeypatch):
    experiment, read = stream_experiment(tmp_path), []
    monkeypatch.setattr(
        ImageStream, "_read", lambda self, rows, of=ImageStream._read: read.append(len(rows)) or of(self, rows)
    )
    whole, _ = next(iter(experiment.batches(3).take(1)))
    assert whole["first"].shape == (4, 32, 32, 3)
    assert len(experiment.rows(3)) == 4
    assert set(read) == {4}
    read.clear()
    shares = [next(iter(experiment.shares(3, worker, 2).take(1)))[0] for worker in range(2)]
    assert set(read) == {2}
    for name, value in whole.items():
        np.testing.assert_array_equal(np.concatenate([share[name] for share in shares]), value)


def test_records_that_change_while_training_are_named(tmp_path):
    batches = iter(stream_experiment(tmp_path).batches(0))
    next(batches)
    (records,) = (tmp_path / "sizes").rglob("*.array_record*")
    records.write_bytes(b"")
    stop = None
    # Without `pytest.raises`, which would keep the error, and so the iterator, in a cycle: collected by the thread that
    # reads for it, it would wait for this thread's end.
    try:
        for _ in range(20):
            next(batches)
    except tf.errors.OpError as error:
        stop = failures.of_operation(error, workers=1)
    assert stop.exit_code == 4
    assert re.match(rf"The training data is damaged: .*'{records.parent}'\. Delete the data set", str(stop))
