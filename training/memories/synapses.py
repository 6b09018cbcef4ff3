"""`synapses`: memories that follow what they are shown, Appendix B of Lotito, 2025, and the Hebbian limit (25)."""

import dataclasses

import numpy as np

from training.cdam.experiment import CommandOptions
from training.cdam.experiment import add_command as add_experiment
from training.options import option


@dataclasses.dataclass(frozen=True)
class SynapsesOptions(CommandOptions):
    """Options of the experiment: Appendix B's, where the paper gives them.

    Attributes:
        neurons: N_v, the number of visible neurons.
        memories: N_h, the number of memories.
        tau: Time scales τ of the memories, in steps.
        steps: Steps for the first of them; a slower memory is shown patterns for as many times τ.
        beta: β > 0.
        sigma: Standard deviation of the noise that makes a new version of a memory.
        order: `"turn"`: the patterns are shown in turn, as by the author; `"random"`: each step draws one.
    """

    neurons: int = option(50, "number of visible neurons (default: %(default)s)")
    memories: int = option(4, "number of memories (default: %(default)s)", least=1)
    tau: tuple = option((250.0, 500.0, 1000.0), "time scales of the memories, in steps (default: %(default)s)", least=1)
    steps: int = option(
        2000, "steps for the first time scale, and as many times others (default: %(default)s)", least=1
    )
    beta: float = option(2.0, "selectivity of the synapses (default: %(default)s)", above=0)
    sigma: float = option(0.4, "noise in the new versions of the memories (default: %(default)s)", above=0)
    order: str = option(
        "turn", "turn or random: how patterns are chosen (default: %(default)s)", choices=("turn", "random")
    )

    def __post_init__(self):
        super().__post_init__()
        if self.memories > self.neurons:
            raise ValueError(
                "There can't be more orthogonal memories than neurons. "
                f"Received --memories {self.memories} and --neurons {self.neurons}."
            )


def run(options, directory):
    """Shows new versions of its memories to a layer, and compares it with the closed forms.

    Eq. 40 takes all norms as equal, which those of noisy patterns are not; the cosine of the memories of Eq. 34 does
    without. Both are compared. The Hebbian limit is reached by what is left of e^(-t/τ_μ).

    Args:
        options: `SynapsesOptions`.
        directory: Where the plot goes.

    Returns:
        Dictionary of figures.
    """
    import tensorflow as tf

    from keras_kuramoto.layers.synaptic_memory import SynapticMemory
    from keras_kuramoto.learning_rules import (
        cosine_similarity,
        expected_memories,
        expected_similarity,
        hebbian_coupling,
    )

    rng = np.random.default_rng(options.seed)
    memories = orthogonal_memories(rng, options.memories, options.neurons)
    targets = memories + options.sigma * rng.standard_normal(memories.shape).astype("float32")
    hebbian = np.asarray(hebbian_coupling(targets))
    # The memories after so many steps are there at once, and of all the steps some hundreds are drawn.
    part = max(1, 20_000_000 // memories.size)
    rows, curves = [], []
    print(f"{'tau':>8}{'steps':>8}{'from Eq. 40':>13}{'from Eq. 34':>13}{'from Hebb, %':>14}{'by Eq. 34, %':>14}")
    for tau in options.tau:
        steps = max(1, round(options.steps * tau / options.tau[0]))
        shown = np.arange(steps) % len(targets)
        if options.order == "random":
            shown = rng.integers(0, len(targets), steps)
        every = max(1, steps // 400)
        # Thousands of small steps: compiled.
        learn = tf.function(SynapticMemory(memories, tau=tau, beta=options.beta).learn)
        similarity, coupling = [], []
        alpha = cosine_similarity(memories, targets)
        worst = 0.0
        for start in range(0, steps, part):
            times = np.arange(start + 1, min(start + part, steps) + 1)
            states = np.asarray(learn(tf.constant(targets[shown[start : start + part]]), return_trajectory=True))
            similarity.append(np.asarray(cosine_similarity(states, targets)))
            expected = expected_memories(memories, targets, times, tau)
            worst = max(worst, float(np.abs(similarity[-1] - np.asarray(cosine_similarity(expected, targets))).max()))
            coupling += [_distance(states[time - start - 1], hebbian) for time in times[times % every == 0]]
        times, similarity = np.arange(1, steps + 1), np.concatenate(similarity)
        theory = np.asarray(expected_similarity(alpha, times, tau))
        row = {
            "tau": tau,
            "steps": steps,
            "from_eq_40": float(np.abs(similarity - theory).max()),
            "from_eq_34": worst,
            "from_hebbian_limit": _distance(states[-1], hebbian),
            "expected_from_hebbian_limit": _distance(np.asarray(expected[-1]), hebbian),
        }
        rows.append(row)
        curves.append((times, similarity, theory, coupling, every))
        print(
            f"{tau:8g}{steps:8d}{row['from_eq_40']:13.2e}{row['from_eq_34']:13.2e}"
            f"{100 * row['from_hebbian_limit']:14.2f}{100 * row['expected_from_hebbian_limit']:14.2f}"
        )
    # Eq. 25: ten times the memories' own time scale, of which e^-10 is left.
    steps = round(10 * options.memories * options.tau[0])
    learn = tf.function(SynapticMemory(memories, tau=options.tau[0], beta=options.beta).learn)
    limit = _distance(np.asarray(learn(tf.constant(targets[np.arange(steps) % len(targets)]))), hebbian)
    print(f"From the Hebbian coupling of the new versions (Eq. 25) after {steps} steps: {100 * limit:.2g} %")
    _plot(options, rows, curves, directory / "synapses.png")
    return {
        "hebbian_limit": {"tau": options.tau[0], "steps": steps, "distance": limit},
        "similarity_at_the_start": np.asarray(alpha).tolist(),
        "time_scales": rows,
    }


def orthogonal_memories(rng, count, neurons):
    """Memories that are orthogonal to each other, of norm √N_v (Eq. 42).

    Args:
        rng: NumPy generator.
        count: N_h.
        neurons: N_v ≥ N_h.

    Returns:
        float32 array `(N_h, N_v)`.
    """
    rows = np.linalg.qr(rng.standard_normal((neurons, count)))[0].T
    return (rows * np.sqrt(neurons)).astype("float32")


def _distance(memories, hebbian):
    """How far the coupling ΞᵀΞ / N_h is from Hebb's, as a share of its norm."""
    coupling = memories.T @ memories / len(memories)
    return float(np.linalg.norm(coupling - hebbian) / np.linalg.norm(hebbian))


def add_command(commands):
    """Adds `synapses` to a parser.

    Args:
        commands: What `add_subparsers` returned.
    """
    add_experiment(
        commands,
        "synapses",
        "memories that learn new versions of themselves, Lotito 2025, App. B",
        SynapsesOptions,
        run,
    )


def _plot(options, rows, curves, path):
    from training import plots

    figure, axes = plots.figure(1, 2, width=4.8, height=3.4)
    left, right = axes[0]
    times, similarity, theory, _, _ = curves[0]
    for memory in range(options.memories):
        (line,) = left.plot(times, similarity[:, memory], linewidth=1)
        label = "Eq. 40" if memory == 0 else None
        left.plot(times, theory[:, memory], color="black", linestyle="--", linewidth=0.8, label=label)
        line.set_label(f"memory {memory}" if options.memories <= 6 else None)
    left.set(xlabel="step", ylabel="cosine similarity with the new version", title=f"τ = {rows[0]['tau']:g}")
    left.legend(frameon=False, fontsize=8)
    for row, (_, _, _, coupling, every) in zip(rows, curves):
        right.semilogy(np.arange(1, len(coupling) + 1) * every / row["tau"], coupling, label=f"τ = {row['tau']:g}")
    right.set(
        xlabel="step / τ",
        ylabel=r"$\Vert\Xi^T\Xi-\Xi'^T\Xi'\Vert\;/\;\Vert\Xi'^T\Xi'\Vert$",
        title="to the Hebbian limit, Eq. 25",
    )
    right.legend(frameon=False, fontsize=8)
    plots.save(figure, path)
