"""`cdam range`: how far recall reaches along a cycle, Sec. 3.1, A.8 and Fig. 1, with its analysis of variance."""

import dataclasses

import numpy as np

from training.cdam.experiment import StrengthOptions
from training.cdam.simulation import by_distance, correlations, random_memories, with_noise
from training.options import option


@dataclasses.dataclass(frozen=True)
class RangeOptions(StrengthOptions):
    """Options of the experiment.

    Attributes:
        neurons: n, the number of neurons.
        memories: p, the number of memories, and of the cycle's nodes.
        distances: How many distances count, from 0 on.
        draws: How often memories and noise are drawn.
    """

    neurons: int = option(1000, "number of neurons (default: %(default)s)", least=2)
    memories: int = option(30, "number of memories in the cycle (default: %(default)s)", least=3)
    distances: int = option(12, "how many distances count, from 0 on (default: %(default)s)", least=1)
    draws: int = option(10, "how often memories and noise are drawn (default: %(default)s)", least=1)

    def __post_init__(self):
        super().__post_init__()
        if len(self.a) < 2:
            raise ValueError("An analysis of variance compares at least two pairs of --a and --h. Received one.")
        if self.distances > self.memories // 2 + 1:
            raise ValueError(
                f"--distances must be at most {self.memories // 2 + 1} in a cycle of {self.memories} memories. "
                f"Received {self.distances}."
            )


def run(options, directory):
    """Compares the attractors of all triggers by their distance.

    What the paper's Fig. 1 shows as correlations of memories are, in its author's code, those between the attractors
    of two triggers, at the distances 0 to 11, of which the analysis of variance takes all. The correlations of
    attractors with memories are given beside them.

    Args:
        options: `RangeOptions`.
        directory: Where the plot goes.

    Returns:
        Dictionary of figures.
    """
    import networkx as nx
    from scipy.stats import f_oneway

    from keras_kuramoto.layers.cdam_recall import CDAMRecall

    kinds = ("attractors", "memories")
    values = {kind: [] for kind in kinds}
    for draw in range(options.draws):
        rng = np.random.default_rng((options.seed, draw))
        memories = random_memories(rng, options.memories, options.neurons)
        layer = CDAMRecall(memories, nx.cycle_graph(options.memories), beta=options.beta, eta=options.eta)
        triggers = with_noise(rng, memories, options.noise)
        states = [np.asarray(layer(triggers, a=a, h=h, num_steps=options.steps)) for a, h in options.strengths]
        values["attractors"].append([by_distance(correlations(x, x), options.distances) for x in states])
        values["memories"].append([by_distance(correlations(x, memories), options.distances) for x in states])
    # (draws, strengths, distances, triggers)
    values = {kind: np.array(value) for kind, value in values.items()}
    result = {"strengths": options.strengths}
    for kind in kinds:
        mean, spread = values[kind].mean((0, 3)), values[kind].std(3).mean(0)
        tests = [f_oneway(*[condition.ravel() for condition in draw]) for draw in values[kind]]
        statistics = [float(test.statistic) for test in tests]
        result[kind] = {
            "mean": mean.round(5).tolist(),
            "sd": spread.round(5).tolist(),
            "f": statistics,
            "p": [float(test.pvalue) for test in tests],
            "degrees_of_freedom": [len(options.a) - 1, values[kind][0].size - len(options.a)],
        }
        print(f"Attractors and {'each other' if kind == 'attractors' else kind}, mean correlation by distance:")
        print(f"{'a':>6}{'h':>6}" + "".join(f"{distance:7d}" for distance in range(options.distances)))
        for (a, h), row in zip(options.strengths, mean):
            print(f"{a:6}{h:6}" + "".join(f"{value:7.3f}" for value in row))
        between, within = result[kind]["degrees_of_freedom"]
        print(
            f"one-way ANOVA over {options.draws} draws: F({between}, {within}) = {np.mean(statistics):.2f} "
            f"({min(statistics):.2f}–{max(statistics):.2f}), median p = {np.median(result[kind]['p']):.2g}"
        )
    _plot(options, result, directory / "range.png")
    return result


def _plot(options, result, path):
    from training import plots

    figure, axes = plots.figure(1, 2, width=4.6, height=3.4, sharey=True)
    distances = np.arange(options.distances)
    for column, (kind, title) in enumerate((("attractors", "two attractors"), ("memories", "attractor and memory"))):
        for (a, h), mean, spread in zip(options.strengths, *(np.array(result[kind][key]) for key in ("mean", "sd"))):
            (line,) = axes[0, column].plot(distances, mean, label=f"a = {a}, h = {h}")
            axes[0, column].fill_between(distances, mean - spread, mean + spread, color=line.get_color(), alpha=0.2)
        f = np.mean(result[kind]["f"])
        axes[0, column].set(title=f"{title}: F = {f:.2f}", xlabel="distance in the graph")
    axes[0, 0].set_ylabel("correlation, mean ± SD")
    axes[0, 0].legend(frameon=False, fontsize=8)
    plots.save(figure, path)
