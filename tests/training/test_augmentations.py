"""Random changes of images: what they do, that a seed decides them, and that each image has its own."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from training.datasets.augmentations import (
    AugMix,
    ClassifierAugmentation,
    ColorJitter,
    RandomResizedCrop,
    RandomSignedNoise,
    SimCLRViews,
)


def pictures(count=6, size=12):
    """Smooth pictures in uint8: noise that was enlarged."""
    noise = np.random.default_rng(0).uniform(0, 255, (count, 4, 4, 3))
    return tf.image.resize(noise, (size, size), "bicubic").numpy().clip(0, 255).astype(np.uint8)


def floats(*arguments):
    return pictures(*arguments).astype(np.float32) / 255


CHANGES = {
    "views": (lambda: SimCLRViews(8), pictures),
    "classifier": (lambda: ClassifierAugmentation(8), pictures),
    "crop": (lambda: RandomResizedCrop(8, flip=True), pictures),
    "jitter": (lambda: ColorJitter(0.4, 0.1), floats),
    "augmix": (AugMix, floats),
    "noise": (lambda: RandomSignedNoise(0.2), floats),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_seed_decides_and_each_image_has_its_own_draws(name):
    make, images = CHANGES[name]
    change, image = make(), images()[:1]
    same = np.repeat(image, 12, axis=0)
    result = change(same, tf.constant([3, 4], tf.int64)).numpy()
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1
    assert len({one.tobytes() for one in result}) == 12
    np.testing.assert_array_equal(make()(same, (3, 4)), result)
    for other in ((3, 5), (4, 4)):
        assert (change(same, other).numpy() != result).any(axis=(1, 2, 3)).all()

    # In a pipeline, where the length of the batch is unknown.
    dataset = tf.data.Dataset.from_tensor_slices(same).batch(12).map(lambda batch: change(batch, (3, 4)))
    assert dataset.element_spec.shape.as_list() == [None, *result.shape[1:]]
    np.testing.assert_allclose(next(iter(dataset)), result, atol=1e-6)


@pytest.mark.parametrize("size", [5, 8, 24])
def test_whole_images_are_resized_as_tensorflow_does(size):
    # No crop of the whole area fits, unless its sides are those of the image.
    images = pictures()
    wanted = tf.image.resize(images, (size, size), antialias=True) / 255
    np.testing.assert_allclose(RandomResizedCrop(size, scale=(1, 1))(images, (0, 0)), wanted, atol=1e-5)


def test_crops_have_the_areas_ratios_and_places_that_are_asked_for():
    # Red tells the column, green the row; enlarged, both are exact between the outermost pixels.
    size = 100
    row, column = np.mgrid[:size, :size]
    image = np.stack([column, row, np.zeros_like(row)], axis=-1).astype(np.uint8)
    crops = RandomResizedCrop(size, scale=(0.2, 0.8))(np.repeat(image[None], 500, axis=0), (1, 2)).numpy() * 255
    width = (crops[:, 0, 80, 0] - crops[:, 0, 20, 0]) / 60 * size
    height = (crops[:, 80, 0, 1] - crops[:, 20, 0, 1]) / 60 * size
    for sides in (width, height):
        np.testing.assert_allclose(sides, np.round(sides), atol=1e-2)
    area, ratio = width * height / size**2, np.log(width / height) / np.log(4 / 3)
    assert 0.19 < area.min() < 0.22
    assert 0.75 < area.max() < 0.81
    assert -1.05 < ratio.min() < -0.9
    assert 0.9 < ratio.max() < 1.05
    middle = (crops[:, 0, 20, 0] + crops[:, 0, 80, 0]) / 2
    # Crops that could lie elsewhere reach the left and the right as often.
    share = (middle - width / 2) / np.maximum(size - width, 1)
    assert abs(share[width < 90].mean() - 0.5) < 0.05
    assert abs(share[width < 90].std() - np.sqrt(1 / 12)) < 0.05


def test_every_second_crop_is_mirrored():
    image = np.zeros((200, 8, 8, 1), np.uint8)
    image[:, :, 4:] = 255
    crops = RandomResizedCrop(8, scale=(1, 1), flip=True)(image, (0, 0)).numpy()
    mirrored = crops[:, 0, 0, 0] > crops[:, 0, -1, 0]
    assert 0.4 < mirrored.mean() < 0.6


def test_changes_of_colour_are_as_large_as_they_may_be():
    images = floats(400)
    unchanged = ColorJitter(0, 0)(images, (0, 0))
    np.testing.assert_allclose(unchanged, images, atol=1e-5)
    np.testing.assert_array_equal(ColorJitter(0.4, 0.1, apply=0)(images, (0, 0)), images)
    applied = (np.abs(ColorJitter(0.4, 0.1, apply=0.8)(images, (0, 0)) - images) > 1e-6).any(axis=(1, 2, 3))
    assert 0.72 < applied.mean() < 0.88

    # Of even grey only the brightness can change.
    grey = ColorJitter(0.4, 0.1)(np.full((400, 2, 2, 3), 0.5, np.float32), (0, 0)).numpy()
    np.testing.assert_allclose(np.ptp(grey, axis=(1, 2, 3)), 0, atol=1e-6)
    factors = grey[:, 0, 0, 0] / 0.5
    assert 0.6 <= factors.min() < 0.65
    assert 1.35 < factors.max() <= 1.4

    # Only the hue.
    hue = tf.image.rgb_to_hsv(images)[..., 0].numpy()
    turned = tf.image.rgb_to_hsv(ColorJitter(0, 0.1)(images, (0, 0)))[..., 0].numpy()
    turn = np.median((turned - hue + 0.5) % 1 - 0.5, axis=(1, 2))
    assert -0.1 <= turn.min() < -0.09
    assert 0.09 < turn.max() <= 0.1

    levels = images @ np.array([0.299, 0.587, 0.114], np.float32)
    made_grey = ColorJitter(0, 0, grey=1)(images, (0, 0)).numpy()
    np.testing.assert_allclose(made_grey, np.repeat(levels[..., None], 3, axis=-1), atol=1e-5)


def test_contrast_and_saturation_keep_the_means():
    images = 0.3 + 0.4 * floats(50)
    for seed in range(3):
        changed = ColorJitter(0.2, 0.0)(images, (0, seed)).numpy()
        # One factor for the image's mean, the brightness.
        luma = np.array([0.299, 0.587, 0.114], np.float32)
        ratio = (changed @ luma).mean(axis=(1, 2)) / (images @ luma).mean(axis=(1, 2))
        assert ((ratio > 0.79) & (ratio < 1.21)).all()
        spread = (changed @ luma).std(axis=(1, 2)) / ((images @ luma).std(axis=(1, 2)) * ratio)
        assert 0.79 < spread.min() < 0.9
        assert 1.1 < spread.max() < 1.21


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        (0, ImageOps.autocontrast),
        (1, ImageOps.equalize),
        (2, lambda image: ImageOps.posterize(image, 3)),
        (3, lambda image: ImageOps.solarize(image, 256 - 102)),
        (4, lambda image: image.rotate(12, Image.Resampling.BILINEAR)),
        (5, lambda image: image.transform(image.size, Image.AFFINE, (1, 0.12, 0, 0, 1, 0), Image.BILINEAR)),
        (6, lambda image: image.transform(image.size, Image.AFFINE, (1, 0, 0, 0.12, 1, 0), Image.BILINEAR)),
        (7, lambda image: image.transform(image.size, Image.AFFINE, (1, 0, 1, 0, 1, 0), Image.BILINEAR)),
        (8, lambda image: image.transform(image.size, Image.AFFINE, (1, 0, 0, 0, 1, 1), Image.BILINEAR)),
        (9, lambda image: image),
    ],
)
def test_operations_of_augmix_are_those_of_pillow(operation, wanted):
    images = pictures(4)
    images[0, ..., 1] = 77  # A channel that is even.
    changed = AugMix()._apply(
        tf.constant(images, tf.float32), tf.fill((4,), operation), tf.fill((4,), 0.4), tf.ones((4,))
    )
    for before, after in zip(images, changed.numpy()):
        expected = np.asarray(wanted(Image.fromarray(before)), np.float32)
        # Pillow rounds, and makes black what is nearer than half a pixel to the border.
        inner = slice(3, -3) if 4 <= operation <= 6 else slice(None)
        np.testing.assert_allclose(after[inner, inner], expected[inner, inner], atol=1.01)


def test_augmix_gives_images_between_the_image_and_its_changes():
    # What is black stays black, but for what turns it over.
    images = np.concatenate([np.zeros((40, 6, 6, 3), np.float32), np.ones((40, 6, 6, 3), np.float32)])
    mixed = AugMix()(images, (0, 0)).numpy()
    assert mixed[:40].max() == 0
    assert mixed[40:].min() >= 0
    assert len(np.unique(mixed[40:])) > 40
    different = [np.abs(AugMix(severity)(floats(40), (0, 0)) - floats(40)).mean() for severity in (1, 10)]
    assert different[0] < different[1]


def test_signed_noise_has_one_size_in_an_image_and_none_above_the_largest():
    noise = RandomSignedNoise(64 / 255)(np.full((300, 6, 6, 3), 0.5, np.float32), (0, 0)).numpy() - 0.5
    size = np.abs(noise).max(axis=(1, 2, 3))
    np.testing.assert_allclose(np.abs(noise), np.broadcast_to(size[:, None, None, None], noise.shape), atol=1e-6)
    assert 0.24 < size.max() <= 64 / 255
    assert size.min() < 0.01
    assert abs((noise > 0).mean() - 0.5) < 0.02


def test_views_of_simclr_are_grey_in_a_fifth_of_the_cases_and_may_be_mirrored():
    views = SimCLRViews(6)(pictures(500), (0, 0)).numpy()
    assert 0.15 < (np.ptp(views, axis=-1).max(axis=(1, 2)) < 1e-6).mean() < 0.25
    straight, flipped = (SimCLRViews(6, flip=flip)(pictures(100), (0, 0)).numpy() for flip in (False, True))
    mirrored = np.isclose(flipped, straight[:, :, ::-1], atol=1e-5).all(axis=(1, 2, 3))
    assert 0.3 < mirrored.mean() < 0.7
    assert np.isclose(flipped, straight, atol=1e-5).all(axis=(1, 2, 3))[~mirrored].all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SimCLRViews(32, strength=2), "`strength` must be between 0 and 1. Received 2"),
        (lambda: SimCLRViews(0), "`size` must be at least 1"),
        (lambda: RandomResizedCrop(8, scale=(0.5, 0.2)), r"the lesser first. Received \(0.5, 0.2\)"),
        (lambda: ColorJitter(0.4, 0.6), "`hue` must be between 0 and 0.5"),
        (lambda: RandomSignedNoise(64), "`most` must be between 0 and 1"),
        (lambda: AugMix(severity=11), "`severity` must be above 0.1 and at most 10"),
        (lambda: SimCLRViews(8)(floats(), (0, 0)), r"must be uint8 of shape .* Received float32 of shape \(6, 12"),
        (lambda: SimCLRViews(8)(pictures(), (0, 0, 0)), r"must be two integers. Received int32 of shape \(3,\)"),
        (lambda: AugMix()(floats(), (0.5, 1)), "must be two integers. Received float32"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
