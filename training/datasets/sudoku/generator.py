"""Sudoku puzzles with unique solutions, from a seed, on all cores."""

import concurrent.futures
import dataclasses
import operator
import os

import numpy as np
import tqdm

from training.datasets.sudoku.kinds import Digging

_CHUNK = 64
_PAPER = Digging((31, 42))
_SIDES = ("train", "test")


@dataclasses.dataclass(frozen=True)
class Puzzles:
    """Puzzles with their solutions.

    Attributes:
        puzzle: `(count, size, size)` int32, 0 for a blank.
        solution: `(count, size, size)` int32.
        givens: `(count,)` int32, the number of cells of each puzzle that are not blank.
    """

    puzzle: np.ndarray
    solution: np.ndarray
    givens: np.ndarray


def generate_puzzles(count, box=3, kind=_PAPER, side="train", seed=0, workers=None, progress=True):
    """Generates distinct Sudoku puzzles, each with exactly one solution.

    The result depends on the arguments only, not on the number of threads: every puzzle has a random stream of its own.
    A hash decides whether a solution grid belongs to the train side or to the test side (about one in five), so no
    solution of one side is ever found on the other, for any two seeds.

    Args:
        count: number of puzzles.
        box: side of a box, 2 for 4x4 boards or 3 for 9x9 boards.
        kind: what kind of puzzles: a `Digging`, a `Climbing` or a `Mixture`; 31 to 42 givens by default.
        side: `"train"` or `"test"`, the side the solution grids are from.
        seed: non-negative integer.
        workers: number of threads; all available cores by default.
        progress: whether to show a progress bar on standard error.

    Returns:
        `Puzzles`.

    Raises:
        ValueError: if an argument is out of range, or if there are too few distinct puzzles.

    Example:

    >>> puzzles = generate_puzzles(100, box=2, kind=Digging((4, 10)), progress=False)
    >>> puzzles.puzzle.shape
    (100, 4, 4)
    """
    count, seed, workers = _check(count, box, side, seed, workers)
    kind.check(box)
    cells = box**4
    puzzles = np.empty((count, cells), np.int64)
    solutions = np.empty((count, cells), np.int64)

    seen = set()
    missing = np.arange(count)
    failures = 0
    attempt = 0
    with (
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
        tqdm.tqdm(total=count, desc="Sudoku puzzles", unit=" puzzles", disable=not progress) as bar,
    ):
        while len(missing):
            # Streams by attempt, index and side: a puzzle that has to be replaced does not shift the others.
            entropy = [seed, box, _SIDES.index(side), attempt]
            seeds = np.random.SeedSequence(entropy).generate_state(count, np.uint64)[missing]

            def run(start, missing=missing, seeds=seeds):
                chunk = slice(start, start + _CHUNK)
                index = missing[chunk]
                out = np.empty((2, len(index), cells), np.int64)
                kind.make(index, seeds[chunk], box, side == "test", *out)
                return index, out

            duplicates = []
            # `map` keeps the order, so which of two equal puzzles is replaced does not depend on the threads' timing.
            for index, out in pool.map(run, range(0, len(missing), _CHUNK)):
                puzzles[index], solutions[index] = out
                before = len(seen)
                for i in index:
                    key = puzzles[i].astype(np.int8).tobytes()
                    if key in seen:
                        duplicates.append(i)
                    seen.add(key)
                bar.update(len(seen) - before)
            failures = failures + 1 if len(duplicates) == len(missing) else 0
            if failures == 100:
                raise ValueError(
                    f"only {len(seen)} distinct puzzles were found for count={count}, box={box}, {kind}, "
                    f"side={side!r}; ask for fewer puzzles or a wider range of givens"
                )
            missing = np.array(duplicates, np.int64)
            attempt += 1

    size = box * box
    return Puzzles(
        puzzle=puzzles.reshape(count, size, size).astype(np.int32),
        solution=solutions.reshape(count, size, size).astype(np.int32),
        givens=np.count_nonzero(puzzles, axis=1).astype(np.int32),
    )


def is_held_out(solution):
    """Whether a solution grid belongs to the test side; see `generate_puzzles`.

    Args:
        solution: `(size, size)` integers, a full grid: for puzzles of `Climbing` its `canonical_form`.

    Returns:
        `bool`.
    """
    from training.datasets.sudoku import kernels

    return bool(kernels.is_held_out(np.asarray(solution, np.int64).reshape(-1)))


def _check(count, box, side, seed, workers):
    if box not in (2, 3):
        raise ValueError(f"box must be 2 (4x4 boards) or 3 (9x9 boards), got {box!r}")
    if side not in _SIDES:
        raise ValueError(f"side must be one of {', '.join(map(repr, _SIDES))}, got {side!r}")
    workers = _available_cores() if workers is None else workers
    numbers = []
    for name, value, least in (("count", count, 0), ("seed", seed, 0), ("workers", workers, 1)):
        try:
            number = operator.index(value)
        except TypeError:
            number = least - 1
        if number < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
        numbers.append(number)
    return numbers


def _available_cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
