"""The figures of the memory experiments."""

import numpy as np

from training import plots


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
    figure, ((axes,),) = plots.figure(1, 1, width=1.2 + 1.4 * len(accuracies), height=3.2)
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
    figure, ((axes,),) = plots.figure(1, 1, width=4.2, height=3.2)
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
    figure, (panels,) = plots.figure(1, len(grams), width=4, height=3.5)
    for axes, (title, gram) in zip(panels, grams.items()):
        image = plots.heat_map(axes, gram, title)
        axes.set_aspect("equal")
    figure.colorbar(image, ax=panels, label="μᵢ·μⱼ")
    return figure
