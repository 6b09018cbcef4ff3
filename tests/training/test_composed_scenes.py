"""Scenes composed of pictures that are cut out."""

import numpy as np
import pytest
from PIL import Image

from training.__main__ import main
from training.datasets.objects import load
from training.datasets.objects.composed import ComposedScenes, draw_textures, read_pictures

COLORS = {"disc": (255, 0, 0), "square": (0, 255, 0), "bar": (0, 0, 255)}


@pytest.fixture
def folder(tmp_path):
    """A disc, a square and a bar of one colour each, another colour where nothing is seen; and what is no object."""
    y, x = np.mgrid[:60, :60] - 30
    shapes = {
        "disc": np.hypot(x, y) < 20,
        "square": np.maximum(abs(x), abs(y)) < 12,
        "bar": (abs(x) < 25) & (abs(y) < 8),
    }
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for name, shape in shapes.items():
        pixels = np.where(shape[..., None], (*COLORS[name], 255), (255, 255, 255, 0)).astype(np.uint8)
        options = {"lossless": True} if name == "bar" else {}
        path = folder / "below" / "bar.WEBP" if name == "bar" else folder / f"{name}.png"
        Image.fromarray(pixels).save(path, **options)
    Image.fromarray(np.full((9, 9, 3), 7, np.uint8)).save(folder / "opaque.png")
    Image.fromarray(np.full((9, 9, 4), 255, np.uint8)).save(folder / "opaque_too.png")
    Image.fromarray(np.zeros((9, 9, 4), np.uint8)).save(folder / "nothing.png")
    (folder / "readme.txt").write_text("no picture")
    return folder


def test_pictures_are_those_that_are_cut_out_without_what_is_around_them(folder):
    pictures = read_pictures([folder], 30)
    assert [picture.size for picture in pictures] == [(30, 9), (30, 30), (23, 23)]
    assert {picture.mode for picture in pictures} == {"RGBa"}


def test_scenes_show_whole_objects_where_their_masks_are(folder):
    draw = ComposedScenes([folder], size=64, objects=(1, 4))
    images, masks = draw(np.random.default_rng(0), 60)
    assert (images.shape, images.dtype) == ((60, 64, 64, 3), np.uint8)
    assert (masks.shape, masks.dtype) == ((60, 64, 64), np.uint8)
    assert set(masks.max(axis=(1, 2)).tolist()) == {1, 2, 3, 4}
    seen = set()
    for image, mask in zip(images, masks):
        for number in range(1, mask.max() + 1):
            inside = mask == number
            # Pixels that have only such around them.
            inner = inside.copy()
            for axis in (0, 1):
                inner &= np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
            inner = inner[1:-1, 1:-1]
            colors = image[1:-1, 1:-1][inner]
            (color,) = np.unique(np.round(colors / 255).astype(int), axis=0)
            assert tuple(255 * color) in COLORS.values()
            seen.add(tuple(color))
            assert np.abs(np.median(colors, axis=0) - 255 * color).max() < 3
    assert len(seen) == 3
    # What is transparent has no colour of its own: nothing white around the objects.
    assert (images.min(axis=-1) > 250).mean() < 0.01


def test_objects_have_all_sizes_and_angles(folder):
    draw = ComposedScenes([folder / "below"], size=64, objects=(1, 1))
    _, masks = draw(np.random.default_rng(0), 200)
    lengths, angles = [], []
    for mask in masks:
        place = np.argwhere(mask).astype(float)
        place -= place.mean(axis=0)
        values, vectors = np.linalg.eigh(place.T @ place / len(place))
        lengths.append(np.sqrt(12 * values[1]))
        angles.append(np.arctan2(*vectors[:, 1]) % np.pi)
    assert 11 < min(lengths) < 15
    assert 30 < max(lengths) < 34
    assert np.histogram(angles, 4, (0, np.pi))[0].min() > 30


def test_textures_have_many_colours_and_fill_the_range():
    textures = draw_textures(np.random.default_rng(0), 40, 32)
    assert textures.shape == (40, 32, 32, 3)
    assert textures.dtype == np.float32
    assert textures.min() >= 0
    assert textures.max() <= 1
    assert textures.std(axis=(1, 2)).mean() > 0.05
    assert np.ptp(textures.mean(axis=(1, 2)), axis=0).min() > 0.5


def command(folder, data_dir, **changes):
    options = {"pictures": folder, "name": "things", "size": 32, "train": 5, "test": 2, "data-dir": data_dir, **changes}
    return ["prepare-scenes", *(str(word) for name, value in options.items() for word in (f"--{name}", value))]


def test_scenes_become_a_data_set(folder, tmp_path, capsys):
    assert main([*command(folder, tmp_path / "data", seed=3), "--objects", "2", "3"]) == 0
    assert str(tmp_path / "data" / "things") in capsys.readouterr().out
    for split, count in (("train", 5), ("test", 2)):
        data = load("things", split, tmp_path / "data")
        assert data["image"].shape == (count, 32, 32, 3)
        assert data["mask"].shape == (count, 32, 32)
        assert set(data["mask"].max(axis=(1, 2))) <= {2, 3}
    # The same scenes again.
    assert main([*command(folder, tmp_path / "again", seed=3), "--objects", "2", "3"]) == 0
    for name, values in load("things", "test", tmp_path / "again").items():
        np.testing.assert_array_equal(values, data[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pictures": "nowhere"}, "'nowhere' is not a folder with pictures"),
        ({"size": 4}, "`size` must be at least 8. Received 4"),
        ({"train": 0}, "`train` must be at least 1. Received 0"),
        ({"name": "Things"}, "must be lower-case letters"),
        ({"name": "tetrominoes"}, "is a data set of its own already"),
    ],
)
def test_bad_arguments_are_one_line(folder, tmp_path, capsys, changes, message):
    assert main(command(folder, tmp_path / "data", **changes)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_folders_without_objects_and_files_that_are_no_pictures_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match=r"`objects` must be two numbers from 1 to 255, the lesser first. .* \(3, 2\)"):
        ComposedScenes([folder], objects=(3, 2))
    for path in (folder / "disc.png", folder / "square.png", folder / "below" / "bar.WEBP"):
        path.unlink()
    with pytest.raises(ValueError, match=r"Of 3 .png and .webp files none is one"):
        read_pictures([folder], 30)
    (folder / "broken.png").write_bytes((folder / "nothing.png").read_bytes()[:40])
    with pytest.raises(ValueError, match=r"broken.png' can't be read as a picture"):
        read_pictures([folder], 30)
