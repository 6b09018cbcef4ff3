"""Solves boards with an exported model in this process, with TensorFlow alone."""

import numpy as np

from export.sudoku.boards import answers_in_parts
from export.sudoku.client import one_line, request_inputs
from export.versions import latest_version, read_declaration, read_description

# Initial oscillators that a search tries where nothing is said.
STARTS = 16


def solve(directory, boards, num_steps=None, votes=None, seed=0, starts=None):
    """Solves boards with an exported model on disk.

    By default it searches: it fills the boards cell by cell, from up to 16 initial oscillators, until it has a
    solution. With a number of steps alone the oscillators run once.

    Args:
        directory: Directory of the versions, of which the latest is taken, or of one version.
        boards: `(number, S, S)` int32.
        num_steps: Number of steps of each run; by default as many as the model was trained with.
        votes: Number of initial oscillators among which the energy decides, in place of a search.
        seed: Seed of the initial oscillators of a search or a vote.
        starts: Largest number of initial oscillators that a search tries.

    Returns:
        A list of dictionaries, one for each board: `solution`, `solved` (0 or 1), `probability`, `energy` and what else
        the signature gives.

    Raises:
        ValueError: If there is no exported model, it is for boards of another size, or it can't do what is asked for.

    Example:

    >>> solve("served/sudoku", boards, num_steps=128, votes=10)[0]["solution"].shape  # doctest: +SKIP
    (9, 9)
    """
    version = latest_version(directory)
    description, declaration = read_description(version), read_declaration(version)
    boards = np.asarray(boards, np.int32)
    size = description.get("board_size")
    if size is None:
        raise ValueError(f"The model in '{version}' solves no boards: it is a {description.get('kind')} model.")
    if boards.ndim != 3 or boards.shape[1:] != (size, size):
        raise ValueError(
            f"The model in '{version}' solves boards of {size} × {size} cells. Received boards of shape {boards.shape}."
        )
    if votes is not None and starts is not None:
        raise ValueError(
            "Either `votes` or `starts` can be given: a vote runs once for each, a search stops when it is done."
        )
    searches = starts is not None or (votes is None and num_steps is None and "search" in declaration.signatures)
    samples = votes
    if searches:
        signature, samples = "search", STARTS if starts is None else starts
    elif votes is not None:
        signature = "vote"
    else:
        signature = "serving_default" if num_steps is None else "solve_steps"
    if signature in ("vote", "search") and num_steps is None:
        num_steps = description["num_steps"]
    if signature not in declaration.signatures:
        raise ValueError(
            f"The model in '{version}' has no signature '{signature}': a model without oscillators takes neither a "
            "number of steps nor votes or starts, and older exports do not search."
        )
    inputs = request_inputs(boards, signature, num_steps, samples, seed)

    import tensorflow as tf

    function = tf.saved_model.load(str(version)).signatures[signature]

    def ask(part):
        outputs = function(**{name: tf.constant(value) for name, value in part.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    try:
        return answers_in_parts(ask, inputs, declaration.max_batch)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(one_line(error)) from None
