"""The figures of the memory experiments. They are drawn without a display."""

import numpy as np
from matplotlib.figure import Figure


def accuracy_figure(accuracies, labels):
    """Bars of accuracies by task.

    Args:
        accuracies: Dictionary from a task to a list of accuracies in [0, 1].
        labels: What the entries of each list are.

    Returns:
        A Matplotlib figure.

    Example:

    >>> accuracy_figure({"swap": [0.76, 0.97]}, ["before", "after"]).savefig("accuracy.png")  # doctest: +SKIP
    """
    figure = Figure(figsize=(2 + 1.4 * len(accuracies), 3.5))
    axes = figure.subplots()
    width = 0.8 / len(labels)
    for index, label in enumerate(labels):
        places = np.arange(len(accuracies)) + (index - (len(labels) - 1) / 2) * width
        bars = axes.bar(places, [100 * values[index] for values in accuracies.values()], width, label=label)
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set_xticks(range(len(accuracies)), [name.replace("_", "\n") for name in accuracies])
    axes.set_ylim(0, 110)
    axes.set_ylabel("test accuracy, %")
    axes.legend(loc="lower right")
    return figure


def energy_figure(times, energies):
    """The energies of some examples along their trajectories, each as its difference to the last value.

    Args:
        times: `(times,)`.
        energies: Dictionary from a label to energies `(examples, times)`.

    Returns:
        A Matplotlib figure.

    Example:

    >>> energy_figure([0, 1], {"": [[2.0, 1.0]]}).savefig("energy.png")  # doctest: +SKIP
    """
    figure = Figure(figsize=(5, 3.5))
    axes = figure.subplots()
    for index, (label, values) in enumerate(energies.items()):
        values = np.asarray(values)
        lines = axes.plot(times, (values - values[:, -1:]).T, color=f"C{index}", linewidth=0.8, alpha=0.7)
        lines[0].set_label(label or None)
    axes.set_xlabel("t")
    axes.set_ylabel("E(t) - E(1)")
    if any(energies):
        axes.legend()
    return figure


def gram_figure(grams):
    """Gram matrices of oscillators side by side.

    Args:
        grams: Dictionary from a title to a matrix `(N, N)` with entries from -1 to 1.

    Returns:
        A Matplotlib figure.

    Example:

    >>> gram_figure({"t = 0": np.eye(5)}).savefig("gram.png")  # doctest: +SKIP
    """
    figure = Figure(figsize=(4 * len(grams) + 0.5, 3.8), layout="constrained")
    panels = figure.subplots(1, len(grams), squeeze=False)[0]
    for axes, (title, gram) in zip(panels, grams.items()):
        image = axes.imshow(gram, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
        axes.set_title(title)
    figure.colorbar(image, ax=panels, label="μᵢ·μⱼ")
    return figure
