"""Golden answers: what the Keras model answers, board by board, kept beside an exported model to compare with."""

import dataclasses
import math

import numpy as np

BATCH_SIZES = (1, 2, 5)
# Results in float32 of another order of summation, and of another machine, differ by less.
TOLERANCE = 1e-4


@dataclasses.dataclass
class Case:
    """Inputs of a signature, and the answers to them.

    Attributes:
        signature: Name of the signature.
        inputs: Dictionary from names to int32 arrays: scalars, or with the batch as first axis.
        outputs: Dictionary from names to arrays, the batch as first axis.
    """

    signature: str
    inputs: dict
    outputs: dict = dataclasses.field(default_factory=dict)

    def first(self, number):
        """The case with the first boards only: scalars stay as they are."""

        def cut(arrays):
            return {name: array[:number] if np.ndim(array) else array for name, array in arrays.items()}

        return Case(self.signature, cut(self.inputs), cut(self.outputs))


def sample_boards(size):
    """Five boards that break no rule: few givens, some, many, a full one and an empty one, `(5, size, size)` int32."""
    box = math.isqrt(size)
    row, column = np.divmod(np.arange(size * size), size)
    grid = ((box * (row % box) + row // box + column) % size + 1).astype(np.int32)
    order = np.random.default_rng(0).permutation(size * size)
    boards = []
    for share in (0.3, 0.45, 0.6, 1.0, 0.0):
        board = np.zeros_like(grid)
        shown = order[: round(share * size * size)]
        board[shown] = grid[shown]
        boards.append(board.reshape(size, size))
    return np.stack(boards)


def sample_cases(model):
    """Inputs for each signature that a model is exported with: a list of `Case` without outputs."""

    boards = sample_boards(model.board_size)

    def numbers(*values):
        return np.array(values, np.int32)

    cases = [Case("serving_default", {"board": boards})]
    if model.has_energy:
        most = max(1, min(16, model.arguments["num_steps"]))
        cases += [
            Case("solve_steps", {"board": boards, "num_steps": numbers(most, 1, (most + 1) // 2, most, 2)}),
            # The first board has more samples than run in one go.
            Case(
                "vote",
                {
                    "board": boards,
                    "num_steps": numbers(3, most, 1, 2, 4),
                    "num_samples": numbers(10, 2, 3, 1, 4),
                    "seed": numbers(1, 0, -5, 2**31 - 1, 1),
                },
            ),
            Case(
                "vote",
                {"board": boards, "num_steps": numbers(3)[0], "num_samples": numbers(3)[0], "seed": numbers(7)[0]},
            ),
        ]
    return cases


def keras_answers(model, case):
    """What the Keras model answers to the inputs of a case.

    Written apart from the signatures on purpose: eagerly, one board and one sample after the other, with numbers of
    steps that are Python integers.

    Args:
        model: A `SudokuModel`.
        case: A `Case`.

    Returns:
        Dictionary from names to arrays, as the signature's outputs.
    """
    boards = case.inputs["board"]
    numbers = {
        name: [int(number) for number in np.broadcast_to(value, len(boards))]
        for name, value in case.inputs.items()
        if name != "board"
    }
    answers = []
    for index, board in enumerate(boards):
        own = {name: values[index] for name, values in numbers.items()}
        samples = [_answer(model, board, own, sample) for sample in range(own.pop("num_samples", 1))]
        best = min(range(len(samples)), key=lambda sample: samples[sample].get("energy_sum", 0))
        answer = samples[best]
        if case.signature == "vote":
            answer["sample"] = np.int32(best)
        else:
            answer.pop("energy_sum", None)
        answers.append(answer)
    return {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}


def _answer(model, board, numbers, sample):
    import tensorflow as tf

    from export.signatures import initial_noise

    batch = board[None].astype(np.int32)
    if model.has_energy:
        shape = (model.board_size, model.board_size, model.channels)
        noise = initial_noise(tf.constant(numbers.get("seed", 0)), tf.constant(sample), shape)[None]
        logits, energies = model.run(batch, noise=noise, num_steps=numbers.get("num_steps"), return_energy=True)
        energies = np.asarray(energies)[0]
        more = {"energy": energies[-1], "energy_sum": energies.sum(dtype=np.float64).astype(np.float32)}
    else:
        logits, more = model.run(batch), {}
    logits = np.asarray(logits, np.float64)[0]
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    probability = (odds / odds.sum(-1, keepdims=True)).max(-1)
    given = board > 0
    return {
        "solution": np.where(given, board, logits.argmax(-1) + 1).astype(np.int32),
        "probability": np.where(given, 1, probability).astype(np.float32),
        **more,
    }


def differences(found, wanted):
    """How two sets of outputs differ.

    Args:
        found: Dictionary from names to arrays.
        wanted: Likewise.

    Returns:
        `(largest, problems)`: the largest difference of a float output, as a share of its value where that is above 1,
        and a list of sentences, empty if the outputs agree: integers exactly, floats within `TOLERANCE`.
    """
    largest, problems = 0.0, []
    if set(found) != set(wanted):
        problems.append(f"outputs are {sorted(found)}, not {sorted(wanted)}")
    for name in sorted(set(found) & set(wanted)):
        a, b = np.asarray(found[name]), np.asarray(wanted[name])
        if a.shape != b.shape or a.dtype != b.dtype:
            problems.append(f"{name} is {a.dtype} {a.shape}, not {b.dtype} {b.shape}")
        elif a.dtype.kind == "f":
            difference = float((np.abs(a - b) / np.maximum(1, np.abs(b))).max(initial=0))
            largest = max(largest, difference)
            # Not the other way round: a NaN is a problem.
            if not difference <= TOLERANCE:
                problems.append(f"{name} differs by up to {difference:.1e}")
        elif not np.array_equal(a, b):
            problems.append(f"{name} differs in {int((a != b).sum())} of {a.size} numbers")
    return largest, problems


def save_cases(path, cases):
    """Writes cases to an `.npz` file."""
    arrays = {}
    for index, case in enumerate(cases):
        for kind, values in (("inputs", case.inputs), ("outputs", case.outputs)):
            arrays.update({f"{index}/{case.signature}/{kind}/{name}": value for name, value in values.items()})
    np.savez_compressed(path, **arrays)


def load_cases(path):
    """Reads cases from an `.npz` file.

    Raises:
        ValueError: If the file isn't there or isn't of `save_cases`.
    """
    cases = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays.files:
                index, signature, kind, name = key.split("/")
                case = cases.setdefault(int(index), Case(signature, {}))
                {"inputs": case.inputs, "outputs": case.outputs}[kind][name] = arrays[key]
    except FileNotFoundError:
        raise ValueError(f"'{path}' is missing: the model was not written by this exporter.") from None
    except Exception as error:
        # NumPy and zipfile raise many kinds of errors for a damaged file.
        raise ValueError(f"'{path}' is damaged: {error}") from error
    return [cases[index] for index in sorted(cases)]
