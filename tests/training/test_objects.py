"""Generated scenes: what they show, and that the data sets are what they are said to be."""

import numpy as np
import pytest

from training.datasets.objects import load
from training.datasets.objects.builder import GENERATED, MultiDsprites, Shapes, Tetrominoes
from training.datasets.objects.generator import generate_scenes, place_objects
from training.datasets.objects.shapes import OUTLINES, draw_shapes
from training.datasets.objects.sprites import draw_sprites
from training.datasets.objects.tetrominoes import VARIANTS, draw_cropped_tetrominoes, draw_tetrominoes

COLORS = {(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255)}


def drawn(draw, count=300, seed=0):
    return draw(np.random.default_rng(seed), count)


def objects(image, mask):
    """Of each object of a scene its pixels, cut out, and its colour."""
    for number in range(1, mask.max() + 1):
        where = mask == number
        rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
        (color,) = np.unique(image[where], axis=0)
        yield where[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], tuple(color.tolist())


def cut_out(stencil):
    return stencil[np.ix_(stencil.any(axis=1), stencil.any(axis=0))]


def test_tetrominoes_are_three_whole_pieces_of_17_shapes_in_six_colours():
    known = {cut_out(stencil).tobytes() for stencil in VARIANTS}
    assert len(known) == 17
    images, masks = drawn(draw_tetrominoes)
    assert (images.shape, images.dtype) == ((300, 35, 35, 3), np.uint8)
    assert (masks.shape, masks.dtype) == ((300, 35, 35), np.uint8)
    pieces, colors = [], []
    for image, mask in zip(images, masks):
        found = list(objects(image, mask))
        assert len(found) == 3
        assert np.count_nonzero(mask) == 300
        pieces += [piece.tobytes() for piece, _ in found]
        colors += [color for _, color in found]
        assert not image[mask == 0].any()
    assert set(pieces) == known
    assert set(colors) == COLORS
    # Equally often, whatever room they take: 900 pieces of 17 kinds and 6 colours.
    assert max(map(pieces.count, known)) < 53 + 4 * 53**0.5
    assert max(map(colors.count, COLORS)) < 150 + 4 * 150**0.5
    # Everywhere.
    assert masks.any(axis=0).all()


def test_the_crop_of_tetrominoes_is_their_inner_part():
    whole, cropped = drawn(draw_tetrominoes, 20), drawn(draw_cropped_tetrominoes, 20)
    for one, part in zip(whole, cropped):
        np.testing.assert_array_equal(one[:, 1:33, 1:33], part)


def test_shapes_are_white_outlines_that_are_seen():
    outlines = {cut_out(stencil).tobytes() for stencil in OUTLINES}
    images, masks = drawn(draw_shapes)
    assert images.shape == (300, 40, 40, 3)
    np.testing.assert_array_equal(images, np.repeat(255 * (masks > 0)[..., None], 3, axis=-1))
    assert np.bincount(masks.max(axis=(1, 2)), minlength=5)[2:].min() > 75
    least = min(stencil.sum() for stencil in OUTLINES)
    last = set()
    for image, mask in zip(images, masks):
        found = [piece for piece, _ in objects(image, mask)]
        assert all(np.count_nonzero(piece) >= least / 2 for piece in found)
        # The last one is whole.
        last.add(found[-1].tobytes())
    assert last == outlines
    # They are hollow.
    assert not OUTLINES[:, 8, 8].any()


def test_sprites_have_any_colour_on_any_grey():
    images, masks = drawn(draw_sprites)
    assert images.shape == (300, 64, 64, 3)
    assert np.bincount(masks.max(axis=(1, 2)), minlength=6)[2:].min() > 50
    greys, colors, areas = [], [], []
    for image, mask in zip(images, masks):
        (grey,) = np.unique(image[mask == 0], axis=0)
        assert len(set(grey.tolist())) == 1
        greys.append(grey[0])
        found = list(objects(image, mask))
        colors += [color for _, color in found]
        areas.append(np.count_nonzero(found[-1][0]))
    assert min(greys) < 10
    assert max(greys) > 245
    spread = np.ptp(np.array(colors), axis=1)
    assert spread.min() < 20
    assert spread.max() > 235
    # From half of the scale to all of it.
    assert min(areas) < 90
    assert max(areas) > 350


def test_objects_are_placed_until_enough_is_seen():
    stencils = np.ones((50, 3, 4, 2), bool)
    stencils[:, 2] = False
    stencils[::2, :, 0] = False
    for visible, most in ((1.0, 8), (0.5, 8)):
        mask, corners = place_objects(np.random.default_rng(0), stencils, 6, visible)
        counts = np.stack([(mask == number).sum(axis=(1, 2)) for number in range(4)], axis=1)
        np.testing.assert_array_equal(counts[:, 2], [6, most] * 25)
        assert (counts[:, 1] >= visible * counts[:, 2]).all()
        assert (counts[:, 1] < counts[:, 2]).any() == (visible < 1)
        assert not counts[:, 3].any()
        # Where the second one is, which covers the first.
        for one, stencil, (row, column) in zip(mask, stencils[:, 1], corners[:, 1]):
            assert {(row + y, column + x) for y, x in np.argwhere(stencil)} == {*map(tuple, np.argwhere(one == 2))}
    # The empty row of a stencil may be outside.
    assert mask[::2, 0].any()
    assert mask[::2, -1].any()


def test_a_seed_decides_and_no_image_is_on_both_sides():
    def scenes(side, seed, count=600):
        return list(generate_scenes(draw_shapes, count, side, seed, progress=False))

    first = scenes("train", 0)
    for one, again in zip(first, scenes("train", 0)):
        np.testing.assert_array_equal(one[0], again[0])
        np.testing.assert_array_equal(one[1], again[1])
    assert (first[0][0] != scenes("train", 1, 1)[0][0]).any()

    # Few images, so that there would be many on both.
    def draw(random, count):
        values = random.integers(0, 200, (count, 1, 1, 1), np.uint8)
        return np.repeat(values, 3, axis=-1), values[..., 0]

    sides = {(side, seed): set() for side, count in (("train", 150), ("test", 15)) for seed in (0, 1)}
    for (side, seed), found in sides.items():
        count = 150 if side == "train" else 15
        found.update(image.tobytes() for image, _ in generate_scenes(draw, count, side, seed, progress=False))
        # None twice.
        assert len(found) == count
    assert not (sides["train", 0] | sides["train", 1]) & (sides["test", 0] | sides["test", 1])


def test_data_sets_have_the_sizes_of_the_paper():
    sizes = {f"{name}/{c.name}": (c.size, c.examples) for name, b in GENERATED.items() for c in b.BUILDER_CONFIGS}
    assert sizes == {
        "tetrominoes/32x32": (32, {"train": 60_000, "test": 320}),
        "tetrominoes/35x35": (35, {"train": 60_000, "test": 320}),
        "multi_dsprites/64x64": (64, {"train": 60_000, "test": 320}),
        "shapes/40x40": (40, {"train": 40_000, "test": 1_000}),
    }


@pytest.mark.parametrize(
    ("name", "builder", "config", "size"),
    [
        ("tetrominoes/32x32_seed3_train7_test2", Tetrominoes, "32x32_seed3_train7_test2", 32),
        ("tetrominoes/35x35_train7_test2", Tetrominoes, "35x35_train7_test2", 35),
        ("shapes/40x40_train7_test2", Shapes, "40x40_train7_test2", 40),
        ("multi_dsprites/64x64_train7_test2", MultiDsprites, "64x64_train7_test2", 64),
    ],
)
def test_a_data_set_is_prepared_once_and_read_back(tmp_path, capfd, name, builder, config, size):
    assert "Generating" not in capfd.readouterr().err
    for split, count in (("train", 7), ("test", 2)):
        data = load(name, split, tmp_path)
        assert ("Generating" in capfd.readouterr().err) == (split == "train")
        assert {key: (value.shape, value.dtype) for key, value in data.items()} == {
            "image": ((count, size, size, 3), np.uint8),
            "mask": ((count, size, size), np.uint8),
        }
        known = builder.builder_configs[config.split("_")[0]]
        seed = 3 if "seed3" in name else 0
        wanted = generate_scenes(known.draw, count, split, seed, progress=False)
        assert {(i.tobytes(), m.tobytes()) for i, m in zip(data["image"], data["mask"])} == {
            (i.tobytes(), m.tobytes()) for i, m in wanted
        }
    assert (tmp_path / builder.name / config).is_dir()


def test_variants_tell_what_differs():
    config = Tetrominoes.builder_configs["32x32"]
    assert config.variant() is config
    assert config.variant(seed=0, examples={"train": 60_000}) is config
    assert config.variant(1, {"test": 5}).name == "32x32_seed1_test5"
    for arguments in ({"examples": {"valid": 5}}, {"examples": {"train": 0}}, {"seed": -1}):
        with pytest.raises(ValueError, match="A variant of '32x32' must have a seed of at least 0 and at least one"):
            config.variant(**arguments)


def test_unknown_data_sets_and_splits_are_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"Unknown data set of scenes 'tetris'. Known: tetrominoes, multi_dsprites, sh"
    ):
        load("tetris", "train", tmp_path)
    with pytest.raises(ValueError, match=r"'tetrominoes' has no configuration '30x30'. Known: 32x32, 35x35, and"):
        load("tetrominoes/30x30", "train", tmp_path)
    with pytest.raises(ValueError, match="A variant of '40x40'"):
        load("shapes/40x40_valid5", "train", tmp_path)
    with pytest.raises(ValueError, match=r"'shapes/40x40_train5' has no split 'valid'. It has train, test"):
        load("shapes/40x40_train5", "valid", tmp_path)
    assert not list(tmp_path.iterdir())
