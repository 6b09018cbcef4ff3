"""Plots: figures without a display, graphs with coloured nodes, heat maps of correlations."""

import numpy as np


def figure(rows, columns, width=2.4, height=2.4, **kwargs):
    """A figure and its axes, an array `(rows, columns)`.

    Args:
        rows: Number of rows.
        columns: Number of columns.
        width: Of one column, in inches.
        height: Of one row, in inches.
        **kwargs: As for Matplotlib's `Figure.subplots`.
    """
    # Matplotlib loads slowly, and `pyplot` would look for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns + 0.8, height * rows + 0.3), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def save(figure, path):
    """Writes a figure as PNG, or calls with the path what is no figure but a function that writes a file."""
    if callable(figure):
        figure(path)
    else:
        figure.savefig(path, dpi=110)


def heat_map(axes, matrix, title=None, x=None, y=None, limit=1.0):
    """Draws a matrix of correlations, blue for -limit to red for limit.

    Returns:
        The image, for a colour bar.
    """
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest", aspect="auto")
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.title.set_fontsize(9)
    axes.tick_params(labelsize=7)
    return image


def nodes(axes, graph, positions, values, trigger=None, limit=1.0):
    """Draws a graph with its nodes coloured by a value, as the heat maps are.

    Args:
        axes: Where.
        graph: NetworkX graph.
        positions: Dictionary of node to `(x, y)`.
        values: One number for each node, in the graph's order.
        trigger: Index of a node to draw a ring around.
        limit: The value that is red.
    """
    from matplotlib.collections import LineCollection

    points = np.array([positions[node] for node in graph])
    lines = [(positions[source], positions[target]) for source, target in graph.edges()]
    axes.add_collection(LineCollection(lines, colors="0.7", linewidths=0.7, zorder=1))
    axes.scatter(
        *points.T,
        c=values,
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        s=26,
        edgecolors="0.3",
        linewidths=0.4,
        zorder=2,
        clip_on=False,
    )
    if trigger is not None:
        axes.scatter(
            *points[trigger], s=80, facecolors="none", edgecolors="black", linewidths=1.2, zorder=3, clip_on=False
        )
    axes.margins(0.12)
    axes.set_aspect("equal", adjustable="datalim")
    axes.axis("off")
