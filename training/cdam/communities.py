"""`cdam communities`: groups of a graph from the attractors of its memories, Sec. 3.2, A.9 and A.10."""

import dataclasses

import numpy as np

from training.cdam.experiment import StrengthOptions
from training.cdam.graphs import in_order, read_graph
from training.cdam.simulation import correlations, random_memories, with_noise
from training.options import option

#: Attractors that correlate by more than this are counted as one.
SAME = 0.9


@dataclasses.dataclass(frozen=True)
class CommunitiesOptions(StrengthOptions):
    """Options of the experiment.

    Attributes:
        neurons: n, the number of neurons.
        graph: `"karate"`, `"barbell"`, or the name of a graph's file.
        groups: Attribute of the file's nodes that says to which of two groups a node belongs, where it has one.
        draws: How often memories and noise are drawn.
    """

    neurons: int = option(1000, "number of neurons (default: %(default)s)", least=2)
    graph: str = option("karate", "karate, barbell, or a file: GraphML, GML, JSON, edge list (default: %(default)s)")
    groups: str = option("", "node attribute of a file's graph with the two groups to compare with")
    draws: int = option(10, "how often memories and noise are drawn (default: %(default)s)", least=1)


def check(options):
    """The graph, with its real groups as the node attribute `group` where they are known.

    Args:
        options: `CommunitiesOptions`.

    Returns:
        NetworkX graph.

    Raises:
        ValueError: If the graph can't be read, has a direction, a weight that is none, or fewer than three nodes, or
            its nodes are not in two groups.
    """
    import networkx as nx

    from keras_kuramoto.ops import memory_graph

    if options.graph == "karate":
        graph = nx.karate_club_graph()
        groups = {node: graph.nodes[node]["club"] for node in graph}
    elif options.graph == "barbell":
        # Two cliques of ten, and a path of ten nodes between them, which belong to neither.
        graph = nx.barbell_graph(10, 10)
        groups = {node: "left" if node < 10 else "right" for node in graph if not 10 <= node < 20}
    else:
        graph = read_graph(options.graph)
        if graph.is_directed():
            raise ValueError(f"The graph in '{options.graph}' has a direction. Communities are those of one without.")
        groups = {node: str(data[options.groups]) for node, data in graph.nodes(data=True) if options.groups in data}
        if options.groups and len(set(groups.values())) != 2:
            raise ValueError(
                f"The nodes in '{options.graph}' must be in two groups by their attribute '{options.groups}'. "
                f"Received {sorted(set(groups.values()))}."
            )
    if len(graph) < 3:
        raise ValueError(f"The graph must have at least three nodes. '{options.graph}' has {len(graph)}.")
    graph = in_order(graph)
    try:
        memory_graph(graph)
    except ValueError as error:
        raise ValueError(f"'{options.graph}': {error}") from None
    nx.set_node_attributes(graph, groups, "group")
    return graph


def run(options, directory, graph):
    """Splits the graph in two by the attractors, for each pair of strengths.

    Args:
        options: `CommunitiesOptions`.
        directory: Where the plot goes.
        graph: What `check` returned.

    Returns:
        Dictionary of figures.
    """
    from sklearn.metrics import adjusted_rand_score

    from keras_kuramoto.layers.cdam_recall import CDAMRecall

    groups = np.array([graph.nodes[node].get("group", "") for node in graph])
    # Nodes without a group are not scored.
    scored = groups != ""
    known = bool(scored.any())
    rows = [{"a": a, "h": h, "attractors": [], "rand": [], "misplaced": []} for a, h in options.strengths]
    shown = []
    for draw in range(options.draws):
        rng = np.random.default_rng((options.seed, draw))
        memories = random_memories(rng, len(graph), options.neurons)
        layer = CDAMRecall(memories, graph, beta=options.beta, eta=options.eta)
        triggers = with_noise(rng, memories, options.noise)
        for row in rows:
            states = np.asarray(layer(triggers, a=row["a"], h=row["h"], num_steps=options.steps))
            attractors = correlations(states, states)
            row["attractors"].append(count_attractors(attractors))
            side = split(attractors)
            if known:
                row["rand"].append(float(adjusted_rand_score(groups[scored], side[scored])))
                wrong = int((side == (groups == groups[scored][0]))[scored].sum())
                row["misplaced"].append(min(wrong, int(scored.sum()) - wrong))
            if draw == 0:
                row["split"] = [[str(node) for node, x in zip(graph, side) if x == half] for half in (True, False)]
                shown.append(attractors)
    print(f"{options.graph}: {len(graph)} memories, {options.draws} draws; means, and in brackets the range")
    print(f"{'a':>6}{'h':>6}{'distinct attractors':>24}" + f"{'adjusted Rand index':>26}{'misplaced':>18}" * known)
    for row in rows:
        columns = [f"{np.mean(row['attractors']):.1f} ({min(row['attractors'])}–{max(row['attractors'])})"]
        if known:
            columns += [
                f"{np.mean(row['rand']):.2f} ({min(row['rand']):.2f}–{max(row['rand']):.2f})",
                f"{np.mean(row['misplaced']):.1f} ({min(row['misplaced'])}–{max(row['misplaced'])})",
            ]
        widths = (24, 26, 18)
        print(f"{row['a']:6}{row['h']:6}" + "".join(f"{text:>{width}}" for text, width in zip(columns, widths)))
    _plot(graph, rows, shown, directory / "communities.png")
    return {"nodes": len(graph), "strengths": rows}


def split(attractors):
    """Two groups from the attractors' correlations: the signs of their leading eigenvector.

    Args:
        attractors: `(p, p)`, symmetric.

    Returns:
        Boolean array `(p,)`.

    Example:

    >>> split(np.array([[1.0, 0.9, -0.5], [0.9, 1.0, -0.4], [-0.5, -0.4, 1.0]])).tolist() in (
    ...     [True, True, False], [False, False, True])
    True
    """
    return np.linalg.eigh(attractors)[1][:, -1] > 0


def count_attractors(attractors, same=SAME):
    """How many attractors there are, where those that correlate by more than `same`, also by way of others, are one.

    Args:
        attractors: `(p, p)` correlations.
        same: The limit.

    Example:

    >>> count_attractors(np.array([[1.0, 0.95, 0.0], [0.95, 1.0, 0.1], [0.0, 0.1, 1.0]]))
    2
    """
    from scipy.sparse.csgraph import connected_components

    return int(connected_components(attractors > same, directed=False)[0])


def _plot(graph, rows, shown, path):
    import networkx as nx

    from training import plots

    positions = nx.kamada_kawai_layout(graph)
    figure, axes = plots.figure(2, len(rows), width=2.7)
    for column, (row, attractors) in enumerate(zip(rows, shown)):
        title = f"a = {row['a']}, h = {row['h']}"
        if row["rand"]:
            title += f"\nadjusted Rand index {row['rand'][0]:.2f}"
        image = plots.heat_map(
            axes[0, column], attractors, title=title, x="trigger", y="trigger" if column == 0 else None
        )
        plots.nodes(axes[1, column], graph, positions, attractors[0], trigger=0)
    figure.colorbar(image, ax=axes[:, -1], label="correlation of attractors", shrink=0.7)
    plots.save(figure, path)
