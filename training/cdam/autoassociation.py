"""`cdam autoassociation`: noisy images recalled with the help of similar ones, A.3 and Fig. 9."""

import dataclasses

import numpy as np

from training.cdam.experiment import StrengthOptions
from training.cdam.simulation import correlations, with_noise
from training.options import option


@dataclasses.dataclass(frozen=True)
class AutoassociationOptions(StrengthOptions):
    """Options of the experiment.

    Attributes:
        data: `"digits8"`, which needs no network, `"fashion_mnist"`, or another set of grey images of TensorFlow
            Datasets.
        data_dir: Where TensorFlow Datasets keeps its data; its own place if empty.
        sizes: Numbers of memories.
        trials: How often images and noise are drawn.
        steps: See `RecallOptions`.
        a: See `StrengthOptions`.
        h: See `StrengthOptions`.
    """

    data: str = option("digits8", "digits8, fashion_mnist, or other grey images of TFDS (default: %(default)s)")
    data_dir: str = option("", "where TensorFlow Datasets keeps its data (default: its own place)")
    sizes: tuple = option(
        (10, 20, 30, 40, 50, 75, 100, 150, 200, 500), "numbers of memories (default: %(default)s)", least=2
    )
    trials: int = option(5, "how often images and noise are drawn (default: %(default)s)", least=1)
    steps: int = option(100, "steps of recall (default: %(default)s)", least=1)
    a: tuple = option((1.0, 0.9, 0.5, 0.1, 2.0), "strengths of auto-association (default: %(default)s)")
    h: tuple = option((0.0, 0.1, 0.5, 0.9, -1.0), "strengths of hetero-association, as many (default: %(default)s)")


#: How a state is scored, and on which graph.
READINGS = {
    "text": "each memory linked to its nearest one; a state recalls the memory that it correlates with most",
    "code": "no links; of all states the one from the memory's own trigger correlates with it most",
}


def check(options):
    """The images.

    Args:
        options: `AutoassociationOptions`.

    Returns:
        float32 array `(count, pixels)`, from 0 to 1.

    Raises:
        ValueError: If the data set can't be read, or has too few images.
    """
    from training.datasets.images import load

    images = load(options.data, "train", options.data_dir or None).image
    if len(images) < max(options.sizes):
        raise ValueError(f"--sizes must be at most {len(images)}, the images there are. Received {options.sizes}.")
    return images.reshape(len(images), -1)


def run(options, directory, images):
    """Recalls from noisy images, and counts right answers as the paper's text has it and as its code has it.

    By the text of A.3 each memory is linked to the one closest to it, and the answer is the memory that the last state
    overlaps with most. The author's notebook has a graph without links, and asks for each memory which of the states
    correlates with it most. Since a trace of the trigger stays in a state that a small a leaves alone, this finds the
    right one where the state recalls nothing.

    Args:
        options: `AutoassociationOptions`.
        directory: Where the plot goes.
        images: What `check` returned.

    Returns:
        Dictionary of figures.
    """
    shares = {reading: np.zeros((len(options.sizes), len(options.a), options.trials)) for reading in READINGS}
    for number, size in enumerate(options.sizes):
        for trial in range(options.trials):
            rng = np.random.default_rng((options.seed, trial, size))
            memories = images[rng.choice(len(images), size, replace=False)]
            triggers = with_noise(rng, memories, options.noise)
            own = np.arange(size)
            recalled = _recall(options, memories, nearest_links(memories), triggers)
            shares["text"][number, :, trial] = (recalled.argmax(2) == own).mean(1)
            recalled = _recall(options, memories, np.zeros((size, size)), triggers)
            shares["code"][number, :, trial] = (recalled.argmax(1) == own).mean(1)
    result = {"sizes": options.sizes, "strengths": options.strengths, "readings": {}}
    for reading, text in READINGS.items():
        mean, spread = shares[reading].mean(2), shares[reading].std(2)
        result["readings"][reading] = {"what": text, "mean": mean.round(4).tolist(), "sd": spread.round(4).tolist()}
        print(f"{options.data}, right in % by the paper's {reading}: {text}")
        print(f"{'memories':>10}" + "".join(f"{f'a={a}, h={h}':>16}" for a, h in options.strengths))
        for size, row in zip(options.sizes, mean):
            print(f"{size:10d}" + "".join(f"{100 * share:16.1f}" for share in row))
    _plot(options, result, directory / "autoassociation.png")
    return result


def nearest_links(memories):
    """The adjacency matrix of the graph in which each memory is linked to the one closest to it.

    Args:
        memories: `(p, n)`.

    Returns:
        `(p, p)`, symmetric.

    Example:

    >>> nearest_links(np.array([[0.0], [1.0], [3.0]]))
    array([[0., 1., 0.],
           [1., 0., 1.],
           [0., 1., 0.]])
    """
    squares = (memories.astype("float64") ** 2).sum(1)
    distances = squares[:, None] + squares - 2 * memories.astype("float64") @ memories.T
    np.fill_diagonal(distances, np.inf)
    links = np.zeros_like(distances)
    links[np.arange(len(memories)), distances.argmin(1)] = 1
    return np.maximum(links, links.T)


def _recall(options, memories, graph, triggers):
    """Correlations `(strengths, triggers, memories)` of the last states, of all strengths in one batch."""
    from keras_kuramoto.layers.cdam_recall import CDAMRecall

    layer = CDAMRecall(memories, graph, beta=options.beta, eta=options.eta)
    a, h = (np.repeat(np.array(values, "float32"), len(memories)) for values in (options.a, options.h))
    states = np.asarray(layer(np.tile(triggers, (len(options.a), 1)), a=a, h=h, num_steps=options.steps))
    return correlations(states, memories).reshape(len(options.a), len(memories), len(memories))


def _plot(options, result, path):
    from training import plots

    figure, axes = plots.figure(1, len(READINGS), width=4.6, height=3.4, sharey=True)
    for column, (reading, values) in enumerate(result["readings"].items()):
        for number, (a, h) in enumerate(options.strengths):
            mean, spread = (100 * np.array(values[key])[:, number] for key in ("mean", "sd"))
            axes[0, column].errorbar(
                options.sizes, mean, spread, marker=".", capsize=2, linewidth=1, label=f"a = {a}, h = {h}"
            )
        axes[0, column].set(title=f"as the paper's {reading} has it", xlabel="memories", ylim=(-2, 102), xscale="log")
    axes[0, 0].set_ylabel("right, % (mean ± SD)")
    axes[0, -1].legend(frameon=False, fontsize=8)
    figure.suptitle(options.data, fontsize=9)
    plots.save(figure, path)
