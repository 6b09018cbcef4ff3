"""Sudoku puzzles with unique solutions, from a seed, on all cores."""

import concurrent.futures
import dataclasses
import operator
import os

import numpy as np
import tqdm

_CHUNK = 64
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


def generate_puzzles(count, box=3, givens=(31, 42), side="train", seed=0, workers=None, progress=True):
    """Generates distinct Sudoku puzzles, each with exactly one solution.

    A random full grid is drawn, then its cells are blanked in random order, each only if the solution stays unique,
    until the wanted number of givens is left. A grid that can't be dug that far is replaced by another one.

    The result depends on the arguments only, not on the number of threads: every puzzle has a random stream of its own.
    A hash of the solution grid decides whether the grid belongs to the train side or to the test side (about one in
    five), so no solution of one side is ever found on the other, for any two seeds.

    Args:
        count: number of puzzles.
        box: side of a box, 2 for 4x4 boards or 3 for 9x9 boards.
        givens: `(fewest, most)` givens; every number between them is used equally often, up to one. `None` digs until
            every given is needed (locally minimal puzzles).
        side: `"train"` or `"test"`, the side the solution grids are from.
        seed: non-negative integer.
        workers: number of threads; all available cores by default.
        progress: whether to show a progress bar on standard error.

    Returns:
        `Puzzles`.

    Raises:
        ValueError: if an argument is out of range, or if there are too few distinct puzzles.

    Example:

    >>> puzzles = generate_puzzles(100, box=2, givens=(4, 10), progress=False)
    >>> puzzles.puzzle.shape
    (100, 4, 4)
    """
    # Numba takes a while to import, and whoever only reads a prepared data set does not need it.
    from training.datasets.sudoku import kernels

    count, seed, workers = _check(count, box, givens, side, seed, workers)
    cells = box**4
    if givens is None:
        targets = np.zeros(count, np.int64)
    else:
        fewest, most = givens
        targets = fewest + np.arange(count, dtype=np.int64) % (most - fewest + 1)
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
                kernels.generate(seeds[chunk], targets[index], box, side == "test", out[0], out[1])
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
                    f"only {len(seen)} distinct puzzles were found for count={count}, box={box}, givens={givens}, "
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
        solution: `(size, size)` integers, a full grid.

    Returns:
        `bool`.
    """
    from training.datasets.sudoku import kernels

    return bool(kernels.is_held_out(np.asarray(solution, np.int64).reshape(-1)))


def _check(count, box, givens, side, seed, workers):
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
    if givens is not None:
        # 4x4 boards need 4 givens. 9x9 boards need 17, but digging at random seldom gets below 24.
        least, most = {2: (4, 16), 3: (24, 81)}[box]
        if len(givens) != 2 or not least <= givens[0] <= givens[1] <= most:
            raise ValueError(
                f"givens must be (fewest, most) with {least} <= fewest <= most <= {most} for box={box}, got {givens!r}"
            )
    return numbers


def _available_cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
