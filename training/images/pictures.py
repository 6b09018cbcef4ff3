"""Pictures of what is found in images: masks and features beside the truth, oscillators over time, reliability."""

import functools

import numpy as np

from training import plots
from training.images.clustering import check_images, principal_components

# Colours of objects; those of background and of pixels that are not evaluated are apart from them.
_BACKGROUND, _IGNORED = (0.16, 0.16, 0.18), (0.96, 0.96, 0.96)


def objects_figure(images, masks, features=None, truth=None):
    """Images in rows: the input, its true masks, the masks that were found, and the features as colours.

    A mask that was found has the colour of the true one with which it shares most pixels, no colour twice; clusters
    beyond the true ones have colours of their own. Features are shown by their first three principal components over
    the image, as red, green and blue, each from its smallest to its largest value.

    Args:
        images: `(images, height, width, channels)`, floats in [0, 1], of one or three channels.
        masks: Label maps that were found, integers `(images, height, width)`, or a dictionary of such by title.
        features: Features `(images, rows, columns, channels)`, or a dictionary of such by title; `None` for none.
        truth: True label maps, -1 for pixels that are not evaluated and 0 for background; `None` for none.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: If the images are not such, or there is another number of masks or of features, or masks are of
            another size.

    Example:

    >>> masks = np.zeros((2, 8, 8), int)
    >>> figure = objects_figure(np.zeros((2, 8, 8, 3)), masks, np.zeros((2, 4, 4, 6)))
    >>> [axes.get_title() for axes in figure.axes]
    ['input', 'masks', 'features', '', '', '']
    """
    images = check_images(images)
    if not len(images):
        raise ValueError("There must be at least one image to show.")
    masks, features = _named("masks", masks), _named("features", features)
    for title, values in (*masks.items(), *(() if truth is None else (("truth", truth),))):
        if np.shape(values) != images.shape[:3]:
            raise ValueError(
                f"Masks must be of the images' shape {images.shape[:3]}. Received {title} of shape {np.shape(values)}."
            )
    for title, values in features.items():
        if np.ndim(values) != 4 or len(values) != len(images):
            raise ValueError(
                f"Features must be an array ({len(images)}, rows, columns, channels). Received {title} of shape "
                f"{np.shape(values)}."
            )
    columns = {"input": [image[..., 0] if image.shape[-1] == 1 else image for image in images]}
    if truth is not None:
        columns["truth"] = [_colours(true) for true in truth]
    for title, maps in masks.items():
        found = maps if truth is None else [_as_in_truth(*pair) for pair in zip(truth, maps)]
        columns[title] = [_colours(labels, background=truth is not None) for labels in found]
    for title, maps in features.items():
        columns[title] = [_components_as_colours(points) for points in maps]
    figure, axes = plots.figure(len(images), len(columns), width=1.5, height=1.5)
    for column, (title, pictures) in zip(axes.T, columns.items()):
        column[0].set_title(title, fontsize=9)
        for panel, picture in zip(column, pictures):
            panel.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            panel.axis("off")
    return figure


def calibration_figure(curves):
    """Accuracy against confidence, as bars from the diagonal that a calibrated classifier is on: Fig. 9 of the paper.

    Args:
        curves: Dictionary from a title to a `curve()` of `keras_kuramoto.metrics.ExpectedCalibrationError`.

    Returns:
        A Matplotlib figure.

    Example:

    >>> figure = calibration_figure({"AKOrN": {"confidence": [0, 0.75], "accuracy": [0, 0.5], "share": [0, 1.0]}})
    >>> figure.axes[0].get_title()
    'AKOrN\\nECE 25.0 %'
    """
    figure, (panels,) = plots.figure(1, len(curves), width=2.4, height=2.7, sharey=True)
    for axes, (title, curve) in zip(panels, curves.items()):
        confidence, accuracy, share = (
            100 * np.asarray(curve[name], float) for name in ("confidence", "accuracy", "share")
        )
        full, width = share > 0, 100 / len(share)
        centres = width * (np.arange(len(share)) + 0.5)
        axes.bar(centres[full], accuracy[full], 0.9 * width, color="C0", label="accuracy")
        gaps = confidence[full] - accuracy[full]
        axes.bar(centres[full], gaps, 0.9 * width, accuracy[full], color="C3", alpha=0.35, label="gap")
        axes.plot([0, 100], [0, 100], color="0.5", linewidth=0.8, linestyle="--")
        error = (share * np.abs(confidence - accuracy)).sum() / 100
        axes.set_title(f"{title}\nECE {error:.1f} %", fontsize=9)
        axes.set(xlabel="confidence, %", xlim=(0, 100), ylim=(0, 100))
        axes.tick_params(labelsize=7)
    panels[0].set_ylabel("accuracy, %")
    panels[-1].legend(fontsize=7, loc="upper left")
    return figure


def trajectories(network, c, noise=None, num_steps=None):
    """The oscillators of a network at every step, and their energies.

    Args:
        network: `keras_kuramoto.layers.KuramotoNetwork`.
        c: Conditional stimuli of the first block, `(batch, *spatial, oscillators × N)`.
        noise: Initial oscillators, same shape as `c`; drawn by the network if `None`.
        num_steps: Number of steps of all blocks, their own if `None`.

    Returns:
        For each block `(states, energies)`: NumPy arrays `(batch, steps + 1, *spatial, oscillators × N)` and
        `(batch, steps + 1)`, from the block's first oscillators to its last ones.

    Example:

    >>> from keras_kuramoto.layers import (
    ...     ConvConnectivity, InitialOscillators, KuramotoBlock, KuramotoLayer, KuramotoNetwork, OscillatorReadout
    ... )
    >>> block = KuramotoBlock(KuramotoLayer(ConvConnectivity(3), 4, num_steps=5), OscillatorReadout(8, 4))
    >>> [(states, energies)] = trajectories(KuramotoNetwork([block], InitialOscillators(4)), np.ones((1, 6, 6, 8)))
    >>> states.shape, energies.shape
    ((1, 6, 6, 6, 8), (1, 6))
    """
    found, x = [], network.initial_oscillators(c, noise=noise)
    for block in network.blocks:
        layer = block.kuramoto
        steps = layer.num_steps if num_steps is None else num_steps
        states = layer.trajectory(x, c, num_steps=steps)
        # A step more, for the energy of the last state, before which energies end.
        _, energies = layer(x, c, num_steps=steps + 1, return_energy=True)
        found.append((np.asarray(states), np.asarray(energies)))
        x, c = block(x, c, num_steps=steps)
    return found


def oscillator_colours(states, oscillator_dim, channels=1):
    """Colours of oscillators, alike for directions that are alike.

    The phase of N = 2 is a hue, and the coordinates of N = 3 are red, green and blue. With more of them those are three
    directions at random, the same ones each time.

    Args:
        states: Oscillators `(…, rows, columns, oscillators × N)`.
        oscillator_dim: N.
        channels: How many oscillators of each position are shown, the first ones, side by side as maps.

    Returns:
        Array `(…, channels, rows, columns, 3)`, from 0 to 1.

    Raises:
        ValueError: If N does not divide the channels of the states, or there are fewer oscillators than are to be
            shown.

    Example:

    >>> oscillator_colours(np.array([[[1.0, 0.0], [-1.0, 0.0]]]), 2)[0].round(1).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]]

    Reference: Miyato et al., ICLR 2025, Fig. 1, 10 and 15: "similar colors indicate oscillators directing similar
    directions".
    """
    from matplotlib.colors import hsv_to_rgb

    states = np.asarray(states, float)
    there, rest = divmod(states.shape[-1], oscillator_dim)
    if rest or not 1 <= channels <= there:
        raise ValueError(
            f"{channels} oscillators of N = {oscillator_dim} are to be shown, and there are {states.shape[-1]} "
            "components at each position."
        )
    vectors = states[..., : channels * oscillator_dim].reshape(*states.shape[:-1], channels, oscillator_dim)
    vectors = np.moveaxis(vectors, -2, -4)
    if oscillator_dim == 2:
        hue = np.arctan2(vectors[..., 1], vectors[..., 0]) / (2 * np.pi) % 1
        return hsv_to_rgb(np.stack([hue, np.ones_like(hue), np.ones_like(hue)], -1))
    if oscillator_dim > 3:
        directions, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((oscillator_dim, 3)))
        # Unit vectors have coordinates of size 1 / √N: enlarged to those that three of them would have.
        vectors = vectors @ directions * np.sqrt(oscillator_dim / 3)
    return np.clip((vectors + 1) / 2, 0, 1)


def save_animation(path, states, energies, oscillator_dim, image=None, channels=4, frames_per_second=8):
    """Writes the oscillators of an image over time, as an animated GIF with the energy under them: Fig. 1 and 15.

    Args:
        path: Of the file, with the ending `.gif`.
        states: Oscillators at every step, `(steps + 1, rows, columns, oscillators × N)`, such as those of one image of
            `trajectories`.
        energies: `(steps + 1,)`.
        oscillator_dim: N.
        image: Shown beside them, `(height, width, channels)` with values in [0, 1]; `None` for none.
        channels: How many oscillators of each position are shown, fewer if there are fewer.
        frames_per_second: Steps that are shown in a second.

    Raises:
        ValueError: If there are not as many energies as states, the ending is another one, or N does not divide the
            channels.

    Example:

    >>> save_animation("oscillators.gif", np.ones((3, 8, 8, 4)), [0.0, -1.0, -2.0], 4)  # doctest: +SKIP
    """
    from matplotlib.animation import PillowWriter

    if np.ndim(states) != 4 or np.shape(energies) != (len(states),):
        raise ValueError(
            "States must be (steps + 1, rows, columns, channels), with an energy for each step. Received shapes "
            f"{np.shape(states)} and {np.shape(energies)}."
        )
    if not str(path).lower().endswith(".gif"):
        raise ValueError(f"An animation is written as GIF. Received the file name '{path}'.")
    channels = min(channels, states.shape[-1] // oscillator_dim)
    colours = oscillator_colours(states, oscillator_dim, channels)
    columns = channels + (image is not None)
    figure = plots.figure(1, 1, width=1.6 * max(columns, 2), height=2.9)[0]
    figure.clear()
    grid = figure.add_gridspec(2, columns, height_ratios=[2, 1])
    panels = [figure.add_subplot(grid[0, column]) for column in range(columns)]
    for panel in panels:
        panel.axis("off")
    if image is not None:
        picture = np.asarray(image)
        panels[0].imshow(picture[..., 0] if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
    maps = [panel.imshow(colour, interpolation="nearest") for panel, colour in zip(panels[-channels:], colours[0])]
    curve = figure.add_subplot(grid[1, :])
    curve.plot(energies, color="C0", linewidth=1)
    (point,) = curve.plot([0], [energies[0]], "o", color="C3", markersize=5)
    curve.set(xlabel="t", ylabel="energy")
    curve.tick_params(labelsize=7)
    writer = PillowWriter(fps=frames_per_second)
    with writer.saving(figure, str(path), dpi=90):
        for step, frame in enumerate(colours):
            for shown, colour in zip(maps, frame):
                shown.set_data(colour)
            point.set_data([step], [energies[step]])
            writer.grab_frame()


def films(model, image, seed, num_steps=None):
    """The animation of the last block's oscillators for one image, as `Experiment.report` has its figures.

    Args:
        model: An `ImageModel`.
        image: `(height, width, 3)`, float32 in [0, 1].
        seed: Seed of the initial oscillators.
        num_steps: Number of steps of all blocks, their own if `None`.

    Returns:
        Dictionary from `"oscillators.gif"` to a function that writes it at a path; empty for a model without
        oscillators.

    Example:

    >>> from keras_kuramoto.models import ObjectsModel
    >>> model = ObjectsModel.from_preset("objects_tetrominoes_small")
    >>> list(films(model, np.ones((32, 32, 3), "float32"), seed=0))
    ['oscillators.gif']
    """
    if not model.has_energy:
        return {}
    c = model.stimuli(image[None])
    noise = np.random.default_rng(seed).standard_normal(c.shape).astype("float32")
    states, energies = trajectories(model.network, c, noise, num_steps)[-1]
    dim = model.network.blocks[-1].kuramoto.oscillator_dim
    write = functools.partial(save_animation, states=states[0], energies=energies[0], oscillator_dim=dim, image=image)
    return {"oscillators.gif": write}


def _named(title, values):
    if values is None:
        return {}
    return values if isinstance(values, dict) else {title: values}


def _palette(count):
    """Colours that differ, the first ones most."""
    from matplotlib import colormaps

    colours = [*colormaps["tab10"].colors, *colormaps["Set3"].colors]
    return np.array([colours[index % len(colours)] for index in range(count)]).reshape(count, 3)


def _colours(labels, background=True):
    """Labels as colours `(height, width, 3)`; 0 is a colour as others are where there is no background."""
    labels = np.asarray(labels)
    first = 1 if background else 0
    table = _palette(max(int(labels.max()) - first + 1, 1))
    colours = table[np.maximum(labels - first, 0)]
    colours[labels < first] = _BACKGROUND
    colours[labels < 0] = _IGNORED
    return colours


def _as_in_truth(truth, labels):
    """Labels renamed to those of the true masks with which they share most pixels, further ones from there on."""
    from scipy.optimize import linear_sum_assignment

    labels = np.asarray(labels)
    names, found = np.unique(labels, return_inverse=True)
    objects = int(max(truth.max(), 0)) + 1
    seen = truth >= 0
    shared = np.zeros((len(names), objects))
    np.add.at(shared, (found.reshape(labels.shape)[seen], truth[seen]), 1)
    new = np.full(len(names), -1)
    for name, true in zip(*linear_sum_assignment(shared, maximize=True)):
        new[name] = true
    rest = new < 0
    new[rest] = objects + np.arange(rest.sum())
    return new[found].reshape(labels.shape)


def _components_as_colours(features):
    points = np.asarray(features, float).reshape(-1, np.shape(features)[-1])
    components = principal_components(points, 3)
    low, high = components.min(0), components.max(0)
    scaled = (components - low) / np.where(high > low, high - low, 1)
    colours = np.zeros((len(points), 3))
    colours[:, : scaled.shape[1]] = scaled
    return colours.reshape(*np.shape(features)[:2], 3)
