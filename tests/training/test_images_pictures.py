"""Pictures of objects, of oscillators over time, of calibration: what they show of what they are given."""

import itertools

import keras
import numpy as np
import pytest
from picture_helpers import check_picture, legend, matrices, titles
from PIL import Image

from keras_kuramoto.layers import (
    ConvConnectivity,
    InitialOscillators,
    KuramotoBlock,
    KuramotoLayer,
    KuramotoNetwork,
    OscillatorReadout,
    StimuliTransition,
)
from training import plots
from training.images.pictures import (
    calibration_figure,
    objects_figure,
    oscillator_colours,
    save_animation,
    trajectories,
)


def example():
    images = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    truth = np.zeros((2, 8, 8), int)
    truth[:, 1:5, 1:4], truth[:, 4:7, 5:8], truth[:, 0] = 1, 2, -1
    return images, truth


def test_objects_have_the_colours_of_the_truth(tmp_path):
    images, truth = example()
    # Other names, and one object in two parts.
    masks = np.choose(truth + 1, [7, 7, 3, 5])
    masks[:, 4, 1:4] = 9
    features = np.random.default_rng(1).standard_normal((2, 4, 4, 5))
    figure = objects_figure(images, {"found": masks}, {"PCA": features}, truth)
    assert titles(figure) == ["input", "truth", "found", "PCA"]
    image, true, found, components = matrices(figure)[:4]
    np.testing.assert_allclose(image, images[0])
    same = (truth[0] >= 0) & (masks[0] != 9)
    np.testing.assert_array_equal(found[same], true[same])
    # The part, the background and what is not evaluated have colours of their own.
    assert len(np.unique(true.reshape(-1, 3), axis=0)) == 4
    assert len({tuple(found[4, 1]), *map(tuple, true.reshape(-1, 3))}) == 5
    assert components.shape == (4, 4, 3)
    np.testing.assert_allclose(components.min((0, 1)), 0, atol=1e-9)
    np.testing.assert_allclose(components.max((0, 1)), 1)
    plots.save(figure, tmp_path / "x.png")
    check_picture(tmp_path / "x.png")


def test_objects_are_shown_of_what_there_is(tmp_path):
    images, truth = example()
    figure = objects_figure(images[:1, ..., :1], truth[:1] + 1)
    assert titles(figure) == ["input", "masks"]
    grey, masks = matrices(figure)
    np.testing.assert_allclose(grey, images[0, ..., 0])
    # No cluster is the background's where that is not known.
    assert len(np.unique(masks.reshape(-1, 3), axis=0)) == 4
    # One label, one colour, fewer channels than colours: a picture all the same.
    flat = objects_figure(np.zeros((1, 8, 8, 3)), np.zeros((1, 8, 8), int), np.ones((1, 4, 4, 2)), truth[:1] * 0)
    plots.save(flat, tmp_path / "x.png")
    for arguments, message in (
        ((images, truth[:1]), r"shape \(2, 8, 8\). Received masks of shape \(1, 8, 8\)"),
        ((images, truth, None, truth[:, :4]), r"Received truth of shape \(2, 4, 8\)"),
        ((images, truth, np.zeros((1, 4, 4, 3))), r"Received features of shape \(1, 4, 4, 3\)"),
        ((images[:0], truth[:0]), "at least one image"),
        ((images * 255, truth), r"floats in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            objects_figure(*arguments)


def test_calibration_is_bars_and_their_gaps(tmp_path):
    curve = {"confidence": [0, 0.4, 0.9], "accuracy": [0, 0.5, 0.6], "share": [0, 0.25, 0.75]}
    figure = calibration_figure({"one": curve, "two": curve})
    assert titles(figure) == ["one\nECE 25.0 %", "two\nECE 25.0 %"]
    bars, gaps = figure.axes[0].containers
    assert [bar.get_height() for bar in bars] == pytest.approx([50, 60])
    assert [bar.get_height() for bar in gaps] == pytest.approx([-10, 30])
    assert set(legend(figure.axes[1])) >= {"accuracy", "gap"}
    plots.save(figure, tmp_path / "x.png")
    check_picture(tmp_path / "x.png")


def network():
    keras.utils.set_random_seed(0)

    def block(steps, transition=None):
        layer = KuramotoLayer(ConvConnectivity(3), 4, num_steps=steps, step_size=0.5)
        return KuramotoBlock(layer, OscillatorReadout(8, 4), transition=transition)

    return KuramotoNetwork(
        [block(3, StimuliTransition(keras.layers.Dense(8))), block(2)], InitialOscillators(4, seed=0)
    )


def test_trajectories_are_those_of_the_network():
    net, rng = network(), np.random.default_rng(0)
    c, noise = (rng.standard_normal((2, 5, 6, 8)).astype("float32") for _ in range(2))
    (first, first_energy), (second, second_energy) = trajectories(net, c, noise)
    assert (first.shape, second.shape) == ((2, 4, 5, 6, 8), (2, 3, 5, 6, 8))
    _, x, energies = net(c, noise=noise, return_energy=True)
    np.testing.assert_allclose(second[:, -1], x, atol=1e-6)
    np.testing.assert_allclose(first[:, -1], second[:, 0], atol=1e-6)
    # The energies of the network, and of the last state too.
    np.testing.assert_allclose(first_energy[:, :-1], energies[0], rtol=1e-5)
    np.testing.assert_allclose(second_energy[:, :-1], energies[1], rtol=1e-5)
    longer = trajectories(net, c, noise, num_steps=4)[0]
    np.testing.assert_allclose(longer[0][:, :4], first, atol=1e-6)
    np.testing.assert_allclose(longer[1][:, :4], first_energy, rtol=1e-5)


@pytest.mark.parametrize("dim", [2, 3, 4, 7])
def test_colours_of_oscillators_are_alike_for_like_directions(dim):
    rng = np.random.default_rng(dim)
    vectors = rng.standard_normal((9, 9, 2, dim))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    states = vectors.reshape(9, 9, 2 * dim)
    colours = oscillator_colours(states, dim, channels=2)
    assert colours.shape == (2, 9, 9, 3)
    assert colours.min() >= 0
    assert colours.max() <= 1
    assert colours.std() > 0.1
    np.testing.assert_array_equal(colours[:1], oscillator_colours(states, dim))
    np.testing.assert_array_equal(colours[1:], oscillator_colours(states[..., dim:], dim))
    np.testing.assert_allclose(oscillator_colours(states + 1e-7, dim, 2), colours, atol=1e-5)
    # With the time in front, and the oscillators' maps behind it.
    assert oscillator_colours(np.stack([states] * 3), dim, 2).shape == (3, 2, 9, 9, 3)


def test_colours_of_opposite_phases_are_opposite():
    colours = oscillator_colours(np.array([[[1.0, 0, 0], [-1, 0, 0], [0, 0, 1]]]), 3)[0, 0]
    np.testing.assert_allclose(colours, [[1, 0.5, 0.5], [0, 0.5, 0.5], [0.5, 0.5, 1]])
    for dim, channels in ((4, 1), (3, 2), (3, 0)):
        with pytest.raises(ValueError, match="oscillators of N = "):
            oscillator_colours(np.ones((2, 2, 3)), dim, channels)


def test_an_animation_has_a_frame_for_each_state(tmp_path):
    image, _ = example()
    (states, energies), _ = trajectories(network(), np.ones((1, 8, 8, 8), "float32"))
    path = tmp_path / "x.gif"
    save_animation(path, states[0], energies[0], 4, image[0], channels=3)
    with Image.open(path) as film:
        assert film.n_frames == 4
        frames = []
        for number in range(4):
            film.seek(number)
            film.convert("RGB").save(tmp_path / "x.png")
            check_picture(tmp_path / "x.png")
            frames.append(np.asarray(film.convert("RGB")).astype(int))
    assert all(np.abs(a - b).max() > 50 for a, b in itertools.pairwise(frames))
    for arguments, message in (
        ((path, states[0], energies[0, :-1], 4), r"shapes \(4, 8, 8, 8\) and \(3,\)"),
        ((path, states, energies[0], 4), "an energy for each step"),
        ((tmp_path / "x.mp4", states[0], energies[0], 4), "written as GIF"),
    ):
        with pytest.raises(ValueError, match=message):
            save_animation(*arguments)
