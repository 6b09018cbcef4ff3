"""`cdam miyashita`: correlations of neural activity in a monkey's temporal cortex, A.7, Table 1 and Fig. 14.

The paper fits them with R² = 0.997 at a = -2.45, h = 3.45, and does not say which correlations it takes when. This
experiment runs what it may have been.
"""

import dataclasses

import numpy as np

from training.cdam.experiment import RecallOptions
from training.cdam.simulation import by_distance, correlations, random_memories, trajectory, with_noise
from training.options import option

#: Table 1: correlations between the responses to stimuli at the distances 0 to 6, and their standard errors.
MEAN = np.array([1, 0.33810, 0.19700, 0.11940, 0.08806, 0.07015, 0.06493])
STANDARD_ERROR = np.array([0, 0.03731, 0.03582, 0.02985, 0.02388, 0.02015, 0.02239])
#: The paper's fit.
PAPER_A, PAPER_R2 = -2.45, 0.997


@dataclasses.dataclass(frozen=True)
class MiyashitaOptions(RecallOptions):
    """Options of the experiment.

    Attributes:
        neurons: n, the number of neurons.
        memories: p, the number of memories, and of the cycle's nodes.
        a: Strengths of auto-association to try besides -2.45; h is 1 - a.
        draws: How often memories and noise are drawn.
    """

    neurons: int = option(1000, "number of neurons (default: %(default)s)", least=2)
    memories: int = option(30, "number of memories in the cycle (default: %(default)s)", least=len(MEAN))
    a: tuple = option(
        (0.5, 0.0, -0.5, -1.0, -1.5, -2.0, -2.15, -2.3, -2.6, -3.0),
        "strengths of auto-association to try besides -2.45; h is 1 - a (default: %(default)s)",
    )
    draws: int = option(10, "how often memories and noise are drawn (default: %(default)s)", least=1)


def run(options, directory):
    """Runs each protocol, and compares its correlations with Table 1.

    Args:
        options: `MiyashitaOptions`.
        directory: Where the plot goes.

    Returns:
        Dictionary of figures.
    """
    strengths = sorted({PAPER_A, *options.a}, reverse=True)
    curves = {}
    for draw in range(options.draws):
        rng = np.random.default_rng((options.seed, draw))
        for name, curve in _protocols(options, rng, np.array(strengths, "float32")):
            curves.setdefault(name, []).append(curve)
    paper = strengths.index(PAPER_A)
    rows = []
    print(
        f"R² with Table 1 over {options.draws} draws, at the paper's a = {PAPER_A}, h = {1 - PAPER_A} and where best:"
    )
    print(
        f"{'protocol':58}{'mean ± SD':>15}{'largest':>9}{'≥ 0.997':>9}{'no d = 0':>10}{'rms error':>11}{'best a':>8}"
        f"{'R²':>7}"
    )
    for name, values in curves.items():
        values = np.array(values)  # (draws, strengths, distances)
        fits, rest = fit(values), fit(values, first=1)
        best = int(np.argmax(fits.mean(0)))
        row = {
            "protocol": name,
            "r2": float(fits[:, paper].mean()),
            "sd": float(fits[:, paper].std()),
            "largest": float(fits[:, paper].max()),
            # As it is printed: to three digits.
            "share_as_good": float((fits[:, paper].round(3) >= PAPER_R2).mean()),
            "r2_without_distance_0": float(rest[:, paper].mean()),
            "rms_error": float(np.sqrt(((values[:, paper] - MEAN) ** 2).mean())),
            "best_a": strengths[best],
            "best_r2": float(fits[:, best].mean()),
            "mean": values[:, paper].mean(0).round(5).tolist(),
            "standard_error": (values[:, paper].std(0) / np.sqrt(len(values))).round(5).tolist(),
            "r2_by_a": dict(zip(map(str, strengths), fits.mean(0).round(4).tolist())),
        }
        rows.append(row)
        print(
            f"{name:58}{row['r2']:8.3f} ± {row['sd']:.3f}{row['largest']:9.3f}{row['share_as_good']:9.0%}"
            f"{row['r2_without_distance_0']:10.3f}{row['rms_error']:11.3f}{row['best_a']:8}{row['best_r2']:7.3f}"
        )
    good = [row["protocol"] for row in rows if round(row["r2"], 3) >= PAPER_R2]
    print(f"At the paper's strengths these give its R² = {PAPER_R2}: {'; '.join(good) or 'none'}.")
    _plot(options, rows, strengths, directory / "miyashita.png")
    return {"strengths": strengths, "protocols": rows, "as_good_as_the_paper": good}


def fit(curves, first=0):
    """R² with Table 1, the squared correlation of the means, as the paper has it: a scale and a shift are free.

    Args:
        curves: `(..., 7)`: mean correlations at the distances 0 to 6.
        first: The smallest distance that counts.

    Returns:
        `(...)`.

    Example:

    >>> round(float(fit(0.5 * MEAN + 0.1)), 6)
    1.0
    """
    return correlations(np.asarray(curves)[..., first:], MEAN[None, first:])[..., 0] ** 2


def _protocols(options, rng, strengths):
    """Pairs of a protocol's name and its mean correlations `(strengths, distances)`."""
    import networkx as nx

    p = options.memories
    cycle, last = nx.cycle_graph(p), options.steps

    def states(graph, **changes):
        """The memories, and the states `(steps + 1, strengths, p, n)`."""
        changes = {"beta": options.beta, "noise": options.noise, "mean_scale": 1.0, **changes}
        return _simulate(options, rng, strengths, graph, **changes)

    memories, path = states(cycle)
    yield f"two attractors, {last} steps (the author's code for Fig. 1)", between(path[-1])
    yield f"attractor and memory, {last} steps", _mean_by_distance(correlations(path[-1], memories))
    yield "two attractors, rank correlation", between(_ranks(path[-1]))
    yield "each neuron over the triggers, mean of all neurons", over_triggers(path[-1])
    yield "two mean states of all the steps", between(path[1:].mean(0))
    yield "each neuron's mean over the steps, over the triggers", over_triggers(path[1:].mean(0))
    for steps in (1, 2, 3, 5, 11, 26, 51):
        if steps < last:
            yield f"two states after {steps} step{'s' if steps > 1 else ''}", between(path[steps])
    yield "two attractors, no noise", between(states(cycle, noise=0.0)[1][-1])
    yield (
        "two attractors, mean memory / n subtracted, as printed",
        between(states(cycle, mean_scale=1 / options.neurons)[1][-1]),
    )
    yield "two attractors, directed cycle", between(states(nx.cycle_graph(p, create_using=nx.DiGraph))[1][-1])
    yield "two attractors, 97 memories, as the monkey's", between(states(nx.cycle_graph(97))[1][-1])
    for beta in (0.1, 0.01):
        yield f"two attractors, β = {beta}", between(states(cycle, beta=beta)[1][-1])


def between(states):
    """Mean correlation of the states of two triggers, by their distance.

    Args:
        states: `(..., p, n)`.

    Returns:
        `(..., 7)`.
    """
    return _mean_by_distance(correlations(states, states))


def over_triggers(states):
    """Mean over the neurons of each one's autocorrelation along the cycle, as a physiologist takes it.

    Args:
        states: `(..., p, n)`.

    Returns:
        `(..., 7)`.
    """
    deviation = states - states.mean(-2, keepdims=True)
    scale = np.maximum((deviation**2).mean(-2, keepdims=True), 1e-30)
    return np.stack([(deviation * np.roll(deviation, d, -2) / scale).mean((-1, -2)) for d in range(len(MEAN))], -1)


def _mean_by_distance(matrix):
    return by_distance(matrix, len(MEAN)).mean(-1)


def _ranks(states):
    from scipy.stats import rankdata

    return rankdata(states, axis=-1)


def _simulate(options, rng, strengths, graph, beta, noise, mean_scale):
    from keras_kuramoto.layers.cdam_recall import CDAMRecall

    memories = random_memories(rng, len(graph), options.neurons)
    layer = CDAMRecall(memories, graph, beta=beta, eta=options.eta, mean_scale=mean_scale)
    # All strengths at once, as one batch.
    triggers = np.tile(with_noise(rng, memories, noise), (len(strengths), 1))
    a = np.repeat(strengths, len(graph))
    path = trajectory(layer, triggers, options.steps, a=a, h=1 - a)
    return memories, path.reshape(len(path), len(strengths), len(graph), -1)


def _plot(options, rows, strengths, path):
    from training import plots

    figure, axes = plots.figure(1, 2, width=5.2, height=3.8)
    left, right = axes[0]
    distances = np.arange(len(MEAN))
    left.errorbar(distances, MEAN, STANDARD_ERROR, color="black", marker="s", capsize=3, label="Miyashita (1988)")
    chosen = [row for row in rows if row["protocol"].startswith(("two attractors, ", "attractor and", "two states"))]
    chosen = [*sorted(chosen, key=lambda row: -row["r2"])[:3], *rows[:2]]
    for row in {row["protocol"]: row for row in chosen}.values():
        label = f"{row['protocol'].split(' (')[0]}: R² = {row['r2']:.3f}"
        left.errorbar(distances, row["mean"], row["standard_error"], marker=".", capsize=2, label=label)
    left.set(xlabel="distance of the stimuli", ylabel="correlation", title=f"a = {PAPER_A}, h = {1 - PAPER_A}")
    left.legend(frameon=False, fontsize=7)
    fits = np.array([[row["r2_by_a"][str(a)] for a in strengths] for row in rows])
    image = right.imshow(fits, cmap="viridis", vmin=0.5, vmax=1, aspect="auto")
    right.set(xlabel="a = 1 - h", title="R² with Table 1, mean of all draws")
    right.set_xticks(range(len(strengths)), strengths, fontsize=7, rotation=60)
    right.set_yticks(range(len(rows)), [row["protocol"].split(" (")[0] for row in rows], fontsize=6.5)
    figure.set_size_inches(14, 4.6)
    figure.colorbar(image, ax=right)
    plots.save(figure, path)
