"""`cdam sequence`: the frames of a video recalled in order, Sec. 3.3, A.11, Fig. 4 and 5."""

import dataclasses

import numpy as np

from training.cdam.experiment import StrengthOptions
from training.cdam.frames import moving_scene, read_frames
from training.cdam.simulation import with_noise
from training.options import option


@dataclasses.dataclass(frozen=True)
class SequenceOptions(StrengthOptions):
    """Options of the experiment.

    Attributes:
        frames: Folder of images, GIF, or video; a generated scene if empty.
        count: How many frames are memories.
        every: Every how many frames of the video one is taken.
        a: See `StrengthOptions`.
        h: See `StrengthOptions`.
        neurons: How many values of a frame's pixels and colours are drawn as its memory.
        steps: See `RecallOptions`.
    """

    frames: str = option("", "folder of images, GIF, or video (default: a generated moving scene)")
    count: int = option(50, "how many frames are memories (default: %(default)s)", least=3)
    every: int = option(1, "take one of so many frames (default: %(default)s)", least=1)
    neurons: int = option(2000, "how many values are drawn of each frame (default: %(default)s)", least=2)
    steps: int = option(200, "steps of recall (default: %(default)s)", least=1)
    a: tuple = option((0.0, 0.0, -1.0, -1.0, -2.0, -3.0), "strengths of auto-association (default: %(default)s)")
    h: tuple = option((1.0, 3.0, 3.0, 2.0, 3.0, 4.0), "strengths of hetero-association, as many (default: %(default)s)")


def check(options):
    """The frames.

    Args:
        options: `SequenceOptions`.

    Returns:
        float32 array `(count, values)`, from 0 to 1.

    Raises:
        ValueError: If the video can't be read, or has too few frames or values.
    """
    if options.frames:
        frames = read_frames(options.frames, options.count, options.every)
    else:
        frames = moving_scene(options.count, options.seed)
    if len(frames) < options.count:
        raise ValueError(
            f"'{options.frames}' has {len(frames)} frames when one of {options.every} is taken. "
            f"--count needs {options.count}."
        )
    frames = frames.reshape(len(frames), -1)
    if options.neurons > frames.shape[1]:
        raise ValueError(
            f"--neurons must be at most {frames.shape[1]}, the values in a frame. Received {options.neurons}."
        )
    return frames


def run(options, directory, frames):
    """Triggers the first frame, and scores which frames follow, for each pair of strengths.

    Args:
        options: `SequenceOptions`.
        directory: Where the plot goes.
        frames: What `check` returned.

    Returns:
        Dictionary of figures.
    """
    import networkx as nx

    from keras_kuramoto.layers.cdam_recall import CDAMRecall

    rng = np.random.default_rng(options.seed)
    memories = frames[:, rng.choice(frames.shape[1], options.neurons, replace=False)]
    cycle = nx.cycle_graph(len(memories), create_using=nx.DiGraph)
    layer = CDAMRecall(memories, cycle, beta=options.beta, eta=options.eta)
    trigger = with_noise(rng, memories[:1], options.noise)
    likeness = np.corrcoef(memories)
    result = {
        "frames": len(memories),
        "correlation_of_neighbours": float(np.diag(likeness, 1).mean()),
        "correlation_of_frames": float(likeness[~np.eye(len(memories), dtype=bool)].mean()),
        "longest_stay_allowed": _longest_stay_allowed(options.steps, len(memories)),
        "strengths": [],
    }
    print(
        f"{len(memories)} frames, correlation {result['correlation_of_neighbours']:.2f} between neighbours and "
        f"{result['correlation_of_frames']:.2f} between all; {options.steps} steps\n"
        f"{'a':>6}{'h':>6}{'in order':>10}{'recalled':>10}{'skipped':>9}{'longest stay':>14}"
    )
    shown = []
    for a, h in options.strengths:
        _, recalled = layer(trigger, a=a, h=h, num_steps=options.steps, return_correlations=True)
        shown.append(np.asarray(recalled)[0])
        row = {"a": a, "h": h, **score(shown[-1], result["longest_stay_allowed"])}
        result["strengths"].append(row)
        print(
            f"{a:6}{h:6}{row['in_order']:10d}{row['recalled']:10d}{row['skipped']:9d}{row['longest_stay']:14d}"
            f"{'  complete' if row['complete'] else ''}"
        )
    _plot(result, shown, directory / "sequence.png")
    return result


def score(recalled, longest_stay):
    """How many frames come in order, from the first one on, without skip or stall.

    The frame recalled in a step is the one that correlates most with the state. It comes in order where it is the next
    one, and stalls where it stays for more steps than `longest_stay`.

    Args:
        recalled: Correlations of the states with the frames, `(steps + 1, frames)`.
        longest_stay: Number of steps.

    Returns:
        Dictionary: `in_order`, the number of frames; `complete`, whether these are all; `recalled`, how many frames
        come at all in the first round; `skipped`, how many before the farthest of those do not; `longest_stay` in the
        first round, in steps.

    Example:

    >>> score(np.eye(4)[[0, 0, 1, 2, 3]], longest_stay=2)
    {'in_order': 4, 'complete': True, 'recalled': 4, 'skipped': 0, 'longest_stay': 2}
    >>> score(np.eye(4)[[0, 1, 1, 1, 3]], longest_stay=2)
    {'in_order': 1, 'complete': False, 'recalled': 3, 'skipped': 1, 'longest_stay': 3}
    """
    count = recalled.shape[1]
    best = recalled.argmax(1)
    changes = np.flatnonzero(np.diff(best)) + 1
    frames = best[np.concatenate([[0], changes])]
    stays = np.diff(np.concatenate([[0], changes, [len(best)]]))
    in_order = 0
    for number, (frame, stay) in enumerate(zip(frames[:count], stays)):
        # The last frame leads back to the first one: how long it stays there is not asked.
        if frame != number or (stay > longest_stay and number < count - 1):
            break
        in_order += 1
    first_round = len(frames)
    for place in range(1, len(frames)):
        if frames[place] < frames[place - 1] - count // 2:
            first_round = place
            break
    seen = frames[:first_round]
    return {
        "in_order": int(in_order),
        "complete": bool(in_order == count),
        "recalled": len(set(seen.tolist())),
        "skipped": int(seen.max()) + 1 - len(set(seen.tolist())),
        "longest_stay": int(stays[:first_round].max()),
    }


def _longest_stay_allowed(steps, count):
    """Twice a frame's share of the steps."""
    return max(2, 2 * steps // count)


def _plot(result, shown, path):
    from training import plots

    figure, axes = plots.figure(1, len(shown), width=1.9, height=4.2, sharey=True)
    for column, (row, recalled) in enumerate(zip(result["strengths"], shown)):
        image = plots.heat_map(
            axes[0, column],
            recalled,
            title=f"a = {row['a']}, h = {row['h']}\n{row['in_order']} of {result['frames']} in order",
            x="frame",
            y="step" if column == 0 else None,
        )
    figure.colorbar(image, ax=axes[0, -1], label="correlation")
    plots.save(figure, path)
