"""Figures: what they show of what they are given."""

import networkx as nx
import numpy as np
import pytest
from picture_helpers import check_picture, legend, matrices, titles

from training import plots
from training.memories.plots import accuracy_figure, energy_figure, gram_figure


def test_a_heat_map_goes_from_blue_to_red(tmp_path):
    figure, axes = plots.figure(2, 3)
    assert axes.shape == (2, 3)
    matrix = np.array([[-1.0, 0.0], [0.5, 1.0]])
    image = plots.heat_map(axes[1, 2], matrix, title="T", x="X", y="Y")
    np.testing.assert_array_equal(image.get_array(), matrix)
    assert (axes[1, 2].get_title(), axes[1, 2].get_xlabel(), axes[1, 2].get_ylabel()) == ("T", "X", "Y")
    low, middle, high = (image.to_rgba(value) for value in (-1.0, 0.0, 1.0))
    assert low[2] > low[0] + 0.2
    assert high[0] > high[2] + 0.2
    assert min(middle[:3]) > 0.9
    plots.save(figure, tmp_path / "x.png")
    check_picture(tmp_path / "x.png")


def test_a_graph_has_its_edges_its_values_and_a_ring():
    graph = nx.Graph([("b", "a"), ("a", "c")])
    positions = {"a": (0, 0), "b": (1, 0), "c": (0, 2)}
    _, axes = plots.figure(1, 1)
    plots.nodes(axes[0, 0], graph, positions, [0.1, 0.2, 0.3], trigger=1)
    lines, dots, ring = axes[0, 0].collections
    np.testing.assert_array_equal(lines.get_segments(), [[(1, 0), (0, 0)], [(0, 0), (0, 2)]])
    np.testing.assert_array_equal(dots.get_offsets(), [(1, 0), (0, 0), (0, 2)])
    np.testing.assert_array_equal(dots.get_array(), [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(ring.get_offsets(), [(0, 0)])


def test_accuracies_are_bars_in_per_cent(tmp_path):
    figure = accuracy_figure({"swap": [0.76, 0.97], "two_words": [0.5, 1.0]}, ["before", "after"])
    (axes,) = figure.axes
    assert legend(axes) == ["before", "after"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["swap", "two\nwords"]
    assert [[bar.get_height() for bar in bars] for bars in axes.containers] == [[76, 50], [97, 100]]
    assert [text.get_text() for text in axes.texts] == ["76.0", "50.0", "97.0", "100.0"]
    plots.save(figure, tmp_path / "x.png")
    check_picture(tmp_path / "x.png")


def test_energies_are_differences_to_the_last_ones(tmp_path):
    figure = energy_figure([0, 1], {"first": [[2.0, 1.0], [5.0, 2.0]], "second": [[3.0, 3.0]]})
    (axes,) = figure.axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1, 0], [3, 0], [0, 0]]
    assert legend(axes) == ["first", "second"]
    assert axes.get_legend() is not None
    assert energy_figure([0, 1], {"": [[2.0, 1.0]]}).axes[0].get_legend() is None
    plots.save(figure, tmp_path / "x.png")
    check_picture(tmp_path / "x.png")


def test_gram_matrices_stand_side_by_side(tmp_path):
    first, second = np.eye(3), np.full((3, 3), -0.5)
    figure = gram_figure({"t = 0": first, "t = 1": second})
    assert titles(figure) == ["t = 0", "t = 1"]
    shown = matrices(figure)
    np.testing.assert_array_equal(shown[0], first)
    np.testing.assert_array_equal(shown[1], second)
    plots.save(figure, tmp_path / "x.png")
    check_picture(tmp_path / "x.png")


def draw_nothing(axes):
    pass


def draw_letters(axes):
    axes.set(xlabel="only letters", ylabel="and axes", title="without anything between")


@pytest.mark.parametrize("draw", [draw_nothing, draw_letters])
def test_empty_axes_are_no_picture(tmp_path, draw):
    figure, axes = plots.figure(1, 1)
    draw(axes[0, 0])
    plots.save(figure, tmp_path / "x.png")
    with pytest.raises(AssertionError):
        check_picture(tmp_path / "x.png")
