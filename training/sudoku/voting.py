"""Answers to boards from several initial oscillators, and which of them is kept. In TensorFlow's graph."""

import math

import tensorflow as tf


def answer(board, logits):
    """The answer that the logits give: `solution`, with given digits as they are, and `probability` of its digits.

    Args:
        board: `(batch, S, S)` int32, 0 for blank.
        logits: `(batch, S, S, S)`.

    Returns:
        Dictionary with both, `(batch, S, S)`. The probability of a given digit is 1.
    """
    given = board > 0
    digits = tf.argmax(logits, axis=-1, output_type=tf.int32) + 1
    probability = tf.reduce_max(tf.nn.softmax(tf.cast(logits, tf.float32)), axis=-1)
    return {"solution": tf.where(given, board, digits), "probability": tf.where(given, 1.0, probability)}


def breaks_no_rule(board):
    """Whether no digit is twice in a row, a column or a box: booleans `(batch,)`.

    Args:
        board: `(batch, S, S)` int32, 0 for blank; blanks break none.
    """
    size = board.shape[-1]
    box = math.isqrt(size)
    digits = tf.one_hot(board - 1, size)
    boxes = tf.reshape(digits, (-1, box, box, box, box, size))
    counts = (tf.reduce_sum(digits, 1), tf.reduce_sum(digits, 2), tf.reduce_sum(boxes, (2, 4)))
    return tf.reduce_all([tf.reduce_all(tf.reshape(count, (-1, size**2)) < 1.5, axis=1) for count in counts], axis=0)


def is_solution(board):
    """Whether every cell has a digit and no rule is broken: booleans `(batch,)`.

    Args:
        board: As for `breaks_no_rule`.
    """
    return tf.logical_and(tf.reduce_all(board > 0, axis=(1, 2)), breaks_no_rule(board))


def last_energy(energies, num_steps=None):
    """The energy of the state from which the last step starts, `(batch,)`.

    Args:
        energies: `(batch, steps)`.
        num_steps: `(batch,)`, each example's own number of steps; by default all of them.
    """
    return energies[:, -1] if num_steps is None else tf.gather(energies, num_steps - 1, axis=1, batch_dims=1)


def sum_of_energies(energies, num_steps=None):
    """The sum of the energies over the steps, `(batch,)`: with what `last_energy` takes."""
    if num_steps is not None:
        # An example that has stopped keeps its energy: the columns from its own number of steps on don't count.
        own = tf.sequence_mask(num_steps, tf.shape(energies)[1])
        energies = tf.where(own, energies, 0.0)
    return tf.reduce_sum(energies, axis=1)


def unrest(energies, num_steps=None):
    """By how much the last step changed the energy, `(batch,)`: 0 once the oscillators rest.

    With what `last_energy` takes. A single step tells nothing: 0.
    """
    if num_steps is None:
        num_steps = tf.fill(tf.shape(energies)[:1], tf.shape(energies)[1])
    return tf.abs(last_energy(energies, num_steps) - last_energy(energies, tf.maximum(num_steps - 1, 1)))


# --- how an answer is found -----------------------------------------------------------------------------------------


class Once:
    """The oscillators run once, and their last state is the answer.

    Call arguments:
        board: `(batch, S, S)` int32, 0 for blank.
        run: Function from boards to `(logits, energies, num_steps)`: `(batch, S, S, S)`, `(batch, steps)`, and
            `(batch,)` or `None` for all of the steps; and where some come to rest earlier a fourth, the steps taken.
            Each time with the same initial oscillators.

    Returns:
        Dictionary with what `answer` gives, and `energy`, `energy_sum`, `unrest`, float32, and `steps`, int32,
        `(batch,)`: those of the last run, and how many steps it took.

    To go a run at a time, so that boards that are done can make place for others, there are `begin(board)`, which gives
    a state, a dictionary of tensors with the boards on their first axis, and `advance(state, run)`, the state after
    another run. It has what a call returns, and `open`, int32 `(batch,)`: 1 for boards that need one more, else 0.
    """

    def begin(self, board):
        none = tf.zeros(tf.shape(board)[:1], tf.float32)
        return {
            "filled": board,
            "open": tf.cast(none + 1, tf.int32),
            "solution": board,
            "probability": tf.ones_like(board, tf.float32),
            "energy": none,
            "energy_sum": none,
            "unrest": none,
            "steps": tf.cast(none, tf.int32),
        }

    def advance(self, state, run):
        return {**state, **self(state["filled"], run), "open": 0 * state["open"]}

    def __call__(self, board, run):
        logits, energies, num_steps, *taken = run(board)
        if num_steps is None:
            num_steps = tf.fill(tf.shape(energies)[:1], tf.shape(energies)[1])
        return {
            **answer(board, logits),
            "energy": last_energy(energies, num_steps),
            "energy_sum": sum_of_energies(energies, num_steps),
            "unrest": unrest(energies, num_steps),
            "steps": taken[0] if taken else num_steps,
        }


class Filling:
    """The oscillators run again and again: each time the surest blank cells get their digits, as if they were given.

    What is hard to see all at once is easier cell by cell, as for a person. A board is done as soon as an answer is a
    solution, or a digit contradicts another one.

    Args:
        cells: Number of blank cells that are filled each time, at least.
        confidence: All cells are filled whose digit has a larger probability than this.

    Call arguments:
        board: As for `Once`, which has the same methods.
        run: Likewise.

    Returns:
        As `Once`, with the steps of all runs together. Cells that are filled have the probability that they had then.

    Raises:
        ValueError: If `cells` is not a positive integer, or `confidence` is not between 0 and 1.
    """

    def __init__(self, cells=2, confidence=0.9999):
        if not isinstance(cells, int) or isinstance(cells, bool) or cells < 1:
            raise ValueError(f"`cells` must be an integer of at least 1. Received {cells!r}.")
        if not 0 < confidence <= 1:
            raise ValueError(f"`confidence` must be above 0 and at most 1. Received {confidence!r}.")
        self.cells, self.confidence = cells, confidence
        self._once = Once()

    def begin(self, board):
        return self._once.begin(board)

    def advance(self, state, run):
        board, goes_on = state["filled"], state["open"] > 0
        most = board.shape[1] * board.shape[2]
        new, blank = self._once(board, run), board == 0
        # What was filled in before keeps its probability.
        new["probability"] = tf.where(blank, new["probability"], state["probability"])
        sure = tf.where(blank, new["probability"], -1.0)
        least = tf.math.top_k(tf.reshape(sure, (-1, most)), min(self.cells, most)).values[:, -1]
        chosen = blank & ((sure >= least[:, None, None]) | (sure > self.confidence))
        new["steps"] += state["steps"]
        new["filled"] = filled = tf.where(chosen, new["solution"], board)
        more = tf.reduce_any(filled == 0, axis=(1, 2)) & breaks_no_rule(filled) & ~is_solution(new["solution"])
        new["open"] = tf.cast(more, tf.int32)
        # A board that is done stays as it is.
        return {name: _where(goes_on, new[name], old) for name, old in state.items()}

    def __call__(self, board, run):
        # Also what has no blank is run once: it has an energy too.
        state = self.advance(self.begin(board), run)
        state = tf.while_loop(
            lambda state: tf.reduce_any(state["open"] > 0),
            lambda state: (self.advance(state, run),),
            (state,),
            parallel_iterations=1,
        )[0]
        return {name: value for name, value in state.items() if name not in ("filled", "open")}


# --- which answer is kept -------------------------------------------------------------------------------------------


class Lowest:
    """Keeps the answer with the lowest value of something, of equal ones the first.

    Args:
        name: `"energy_sum"` (Σₜ Eₜ, as in the paper's votes), `"energy"` (that of the last state) or `"unrest"`.

    Call arguments:
        found: What `Once` or `Filling` gives.

    Returns:
        `(batch,)` float32: the lowest wins, and nothing beats -∞.
    """

    def __init__(self, name="energy_sum"):
        self.name = name

    def __call__(self, found):
        return found[self.name]


class SolutionFirst:
    """Keeps the first answer that is a solution, and where there is none what another selection keeps.

    Args:
        otherwise: The other selection.

    Call arguments:
        found: As for `Lowest`.

    Returns:
        As `Lowest`.
    """

    def __init__(self, otherwise):
        self.otherwise = otherwise

    def __call__(self, found):
        return tf.where(is_solution(found["solution"]), -float("inf"), self.otherwise(found))


# By the names that options have for them.
SELECTIONS = {
    "solution": SolutionFirst(Lowest("energy_sum")),
    "sum": Lowest("energy_sum"),
    "last": Lowest("energy"),
    "unrest": Lowest("unrest"),
}
ATTEMPTS = {"once": Once(), "filling": Filling()}


def vote(board, num_samples, together, attempt, selection):
    """The answer that is kept of several for each board.

    The answers are found in portions of `together` samples of all boards: the memory that is needed does not depend on
    how many samples are asked for. No more are looked for once every board has one that nothing beats.

    Args:
        board: `(batch, S, S)` int32, 0 for blank.
        num_samples: `(batch,)` int32, how many samples each board has: at least 1.
        together: How many samples of each board run in one go. A Python integer or a scalar tensor; the former where
            shapes have to be static, as for XLA.
        attempt: Function of `(row, sample)`, both `(batch × together,)` int32: which board it is, and the number of its
            sample. It gives what `Once` gives.
        selection: A selection, such as `Lowest`.

    Returns:
        Dictionary with what `Once` gives of the answer that is kept, and `(batch,)` int32: the number of its `sample`,
        whether it is `solved`, 0 or 1, and the `steps` of all samples that were looked at until then.
    """
    batch = tf.shape(board)[0]
    row = tf.repeat(tf.range(batch), together)

    def body(start, best, score):
        sample = tf.broadcast_to(start + tf.range(together), tf.stack([batch, together]))
        found = attempt(row, tf.reshape(sample, [-1]))
        # Beyond its own number of samples, or once it has the best answer, a board has no answers.
        counts = (sample < num_samples[:, None]) & (score > -float("inf"))[:, None]
        found["score"] = selection(found)
        found = {
            name: tf.reshape(value, tf.concat([[batch, together], tf.shape(value)[1:]], 0))
            for name, value in found.items()
        }
        found["sample"] = sample
        scores = tf.where(counts, found.pop("score"), float("inf"))
        winner = tf.argmin(scores, axis=1, output_type=tf.int32)
        lowest = tf.reduce_min(scores, axis=1)
        better = tf.logical_or(tf.equal(start, 0), lowest < score)
        # Those after the first answer that nothing beats were in vain, and depend on what else is in the batch.
        before = tf.cumsum(tf.cast(scores == -float("inf"), tf.int32), axis=1, exclusive=True) == 0
        steps = best["steps"] + tf.reduce_sum(tf.where(counts & before, found["steps"], 0), axis=1)
        new = {
            name: tf.ensure_shape(_where(better, tf.gather(found[name], winner, axis=1, batch_dims=1), old), old.shape)
            for name, old in best.items()
        }
        new["steps"] = tf.ensure_shape(steps, best["steps"].shape)
        return start + together, new, tf.ensure_shape(tf.where(better, lowest, score), score.shape)

    zero, whole = tf.zeros_like(num_samples, tf.float32), tf.zeros_like(num_samples)
    nothing = {
        "solution": board,
        "probability": tf.zeros_like(board, tf.float32),
        "energy": zero,
        "energy_sum": zero,
        "unrest": zero,
        "steps": whole,
        "sample": whole,
    }

    def goes_on(start, best, score):
        return tf.reduce_any((start < num_samples) & (score > -float("inf")))

    start = (tf.constant(0), nothing, zero + float("inf"))
    _, best, _ = tf.while_loop(goes_on, body, start, parallel_iterations=1)
    return {**best, "solved": tf.cast(is_solution(best["solution"]), tf.int32)}


def _where(condition, new, old):
    """Of each example one or the other."""
    return tf.where(tf.reshape(condition, [-1] + [1] * (old.shape.rank - 1)), new, old)
