"""Data sets from .npz files of JPEG images."""

import re

import numpy as np
import pytest
import tensorflow as tf

from training.__main__ import main
from training.datasets.images import load, load_images


def jpegs(count, shape=(8, 6, 3)):
    """The arrays of a file of JPEG images, and the pixels that they decode to."""
    random = np.random.default_rng(count)
    images = [tf.io.encode_jpeg(random.integers(0, 256, shape).astype(np.uint8)).numpy() for _ in range(count)]
    arrays = {
        "jpeg": np.frombuffer(b"".join(images), np.uint8),
        "lengths": np.array([len(image) for image in images], np.int32),
        "labels": np.arange(count, dtype=np.int64) % 4,
    }
    return arrays, np.stack([tf.io.decode_jpeg(image).numpy() for image in images])


def command(folder, **changes):
    options = {"train": folder / "train.npz", "test": folder / "test.npz", "name": "few", "data-dir": folder / "data"}
    return ["prepare-images", *(str(w) for name, value in {**options, **changes}.items() for w in (f"--{name}", value))]


@pytest.fixture
def files(tmp_path):
    """Nine images to train and five to test."""
    pixels = {}
    for split, count in (("train", 9), ("test", 5)):
        arrays, pixels[split] = jpegs(count)
        np.savez(tmp_path / f"{split}.npz", **arrays)
    return pixels


def test_jpeg_images_become_a_data_set(files, tmp_path, capsys):
    assert main(command(tmp_path)) == 0
    assert str(tmp_path / "data" / "few") in capsys.readouterr().out
    for split, wanted in files.items():
        found = load_images("few", split, tmp_path / "data")
        assert (found.image.dtype, found.label.dtype, found.classes) == (np.uint8, np.int32, 4)
        # In any order, each with its label.
        rows = {image.tobytes(): label for image, label in zip(found.image, found.label)}
        assert rows == {image.tobytes(): index % 4 for index, image in enumerate(wanted)}
    assert main(command(tmp_path)) == 2
    assert "exists and is not written over" in capsys.readouterr().err
    with pytest.raises(ValueError, match="does not have grey images"):
        load("few", "train", tmp_path / "data")


def cut(arrays):
    """The last image is half of one."""
    lost = arrays["lengths"][-1] // 2
    lengths = [*arrays["lengths"][:-1], arrays["lengths"][-1] - lost]
    return {**arrays, "jpeg": arrays["jpeg"][:-lost], "lengths": np.array(lengths)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {"jpeg": a["jpeg"], "labels": a["labels"]}, "has no array 'lengths'"),
        (lambda a: {**a, "jpeg": a["jpeg"].astype(np.int32)}, "`jpeg` uint8, `lengths` and `labels` integers"),
        (lambda a: {**a, "labels": a["labels"][1:]}, "Received 8 labels and 9 lengths"),
        (lambda a: {**a, "labels": a["labels"] - 1}, "none negative"),
        (lambda a: {**a, "lengths": a["lengths"] + 1}, "the lengths must add up to"),
        (cut, "Image 8 of '.*train.npz' is no JPEG image, or a damaged one"),
        (lambda a: jpegs(2, (5, 5, 3))[0], r"have the shape \(5, 5, 3\), those of '.*test.npz' \(8, 6, 3\)"),
    ],
)
def test_files_that_are_none_such_are_one_line(files, tmp_path, capsys, change, message):
    np.savez(tmp_path / "train.npz", **change(jpegs(9)[0]))
    assert main(command(tmp_path)) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", [None, b"", b"nothing of NumPy's"])
def test_files_of_other_kinds_are_one_line(files, tmp_path, capsys, content):
    path = tmp_path / "train.npz"
    path.unlink() if content is None else path.write_bytes(content)
    assert main(command(tmp_path)) == 2
    error = capsys.readouterr().err
    assert f"'{path}' can't be read as an .npz file" in error
    assert error.count("\n") == 1


def test_images_of_floats_are_rounded(tmp_path):
    grey, rounded = load("digits8", "test", tmp_path), load_images("digits8", "test", tmp_path)
    assert rounded.image.shape == (360, 8, 8, 1)
    np.testing.assert_allclose(rounded.image[..., 0] / 255, grey.image, atol=0.51 / 255)
