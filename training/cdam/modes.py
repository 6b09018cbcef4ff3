"""`cdam modes`: the four dynamical modes on three graphs, Appendix A.4 and Fig. 10 to 12."""

import dataclasses

import numpy as np

from training.cdam.experiment import RecallOptions
from training.cdam.graphs import in_order
from training.cdam.simulation import correlations, random_memories, trajectory, with_noise
from training.options import option

#: The modes' strengths a and h.
MODES = {
    "auto-association": (1.0, 0.0),
    "narrow hetero-association": (0.5, 0.5),
    "wide hetero-association": (-0.5, 1.5),
    "neutral quiescence": (-2.5, 1.0),
}
#: The graphs' names: those of Fig. 10, 11 and 12.
GRAPHS = ("cycle30", "tutte", "random3regular")
#: A correlation above this counts as recall: three standard deviations of chance at n = 1,000.
RECALLED = 0.1


@dataclasses.dataclass(frozen=True)
class ModesOptions(RecallOptions):
    """Options of the experiment.

    Attributes:
        neurons: n, the number of neurons.
        graphs: Names of the graphs.
    """

    neurons: int = option(1000, "number of neurons (default: %(default)s)", least=2)
    graphs: tuple = option(GRAPHS, "which graphs (default: %(default)s)", choices=GRAPHS)


def run(options, directory):
    """Recalls from each memory as the trigger, in each mode, on each graph.

    Args:
        options: `ModesOptions`.
        directory: Where the plots go.

    Returns:
        Dictionary of graph to mode to figures.
    """
    import networkx as nx

    from keras_kuramoto.layers.cdam_recall import CDAMRecall

    graphs = {
        "cycle30": nx.cycle_graph(30),
        "tutte": nx.tutte_graph(),
        "random3regular": nx.random_regular_graph(3, 46, seed=options.seed),
    }
    rng = np.random.default_rng(options.seed)
    results = {}
    print("Mean and spread of the activity at the end, and memories that correlate with it by more than", RECALLED)
    for name in options.graphs:
        graph = in_order(graphs[name])
        memories = random_memories(rng, len(graph), options.neurons)
        triggers = with_noise(rng, memories, options.noise)
        layer = CDAMRecall(memories, graph, beta=options.beta, eta=options.eta)
        distances = _distances(graph)
        results[name], runs = {}, {}
        for mode, (a, h) in MODES.items():
            states = trajectory(layer, triggers, options.steps, a=a, h=h)
            recalled = correlations(states, memories)
            runs[mode] = (states.mean((1, 2)), states.std(2).mean(1), recalled)
            results[name][mode] = _figures(a, h, states, recalled, distances)
            print(
                f"{name:>15} {mode:26} a = {a:4}, h = {h:3}: mean {results[name][mode]['mean']:6.3f}, "
                f"spread {results[name][mode]['spread']:.3f}, {results[name][mode]['recalled']:5.1f} memories, "
                f"up to {results[name][mode]['distance']:.1f} edges away"
            )
        _plot(graph, runs, directory / f"modes-{name}.png")
    return results


def _distances(graph):
    import networkx as nx

    lengths = dict(nx.all_pairs_shortest_path_length(graph))
    return np.array([[lengths[source].get(target, np.inf) for target in graph] for source in graph])


def _figures(a, h, states, recalled, distances):
    last = recalled[-1]
    above = last > RECALLED
    reach = np.where(above, distances, 0).max(1)
    return {
        "a": a,
        "h": h,
        "mean": float(states[-1].mean()),
        "spread": float(states[-1].std(-1).mean()),
        # Of the trigger itself, and of its neighbours.
        "correlation_with_trigger": float(np.diagonal(last).mean()),
        "correlation_with_neighbours": float(last[distances == 1].mean()),
        "recalled": float(above.sum(1).mean()),
        "distance": float(reach.mean()),
        "last_move": float(np.abs(states[-1] - states[-2]).max()),
    }


def _plot(graph, runs, path):
    import networkx as nx

    from training import plots

    cycle = all(degree == 2 for _, degree in graph.degree)
    positions = nx.circular_layout(graph) if cycle else nx.kamada_kawai_layout(graph)
    num_steps = len(next(iter(runs.values()))[2]) - 1
    snapshots = [step for step in (1, 11, 26, 101) if step <= num_steps] or [num_steps]
    figure, axes = plots.figure(len(snapshots) + 2, len(runs))
    for column, (mode, (mean, spread, recalled)) in enumerate(runs.items()):
        a, h = MODES[mode]
        for row, step in enumerate(snapshots):
            image = plots.heat_map(
                axes[row, column],
                recalled[step],
                title=f"{mode}\na = {a}, h = {h}" if row == 0 else None,
                x="memory" if row == len(snapshots) - 1 else None,
                y=f"trigger (step {step})" if column == 0 else None,
            )
        plots.nodes(axes[-2, column], graph, positions, recalled[-1, 0], trigger=0)
        last = axes[-1, column]
        times = np.arange(num_steps + 1)
        last.axhline(0, color="green", linestyle=":", linewidth=1)
        last.plot(times, mean, color="black")
        last.fill_between(times, mean - spread, mean + spread, color="0.8")
        last.set(xlabel="step", ylabel="activity, mean ± SD" if column == 0 else None)
        last.tick_params(labelsize=7)
    figure.colorbar(image, ax=axes[:-1, -1], label="correlation", shrink=0.5)
    plots.save(figure, path)
