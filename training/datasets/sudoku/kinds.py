"""Kinds of Sudoku puzzles that are generated: easy and hard ones, with few givens and with many."""

import dataclasses
import functools
import itertools

import numpy as np

# 4x4 boards need 4 givens. 9x9 boards need 17, but digging at random seldom gets below 24.
_DUG = {2: (4, 16), 3: (24, 81)}


@dataclasses.dataclass(frozen=True)
class Digging:
    """Puzzles of random full grids whose cells are blanked in random order, each if the solution stays unique.

    A grid that can't be dug as far as wanted is replaced by another one.

    Attributes:
        givens: `(fewest, most)` givens; every number between them is used equally often, up to one. `None` digs until
            every given is needed (locally minimal puzzles).
    """

    givens: tuple[int, int] | None

    def check(self, box):
        """Raises a `ValueError` if there are no such puzzles of boards with boxes of this side."""
        least, most = _DUG[box]
        if self.givens is not None and (len(self.givens) != 2 or not least <= self.givens[0] <= self.givens[1] <= most):
            raise ValueError(
                f"givens must be (fewest, most) with {least} <= fewest <= most <= {most} for box={box}, "
                f"got {self.givens!r}"
            )

    def make(self, numbers, seeds, box, held_out, puzzles, solutions):
        """Makes some of the puzzles.

        Args:
            numbers: which ones, integers `(count,)` from 0 on.
            seeds: `(count,)` uint64, all that their randomness depends on.
            box: side of a box.
            held_out: whether the solution grids come from the test side.
            puzzles: output, int64 `(count, size * size)`.
            solutions: output, likewise.
        """
        # Numba takes a while to import, and whoever only reads a prepared data set does not need it.
        from training.datasets.sudoku import kernels

        if self.givens is None:
            targets = np.zeros(len(numbers), np.int64)
        else:
            fewest, most = self.givens
            targets = fewest + numbers % (most - fewest + 1)
        kernels.generate(seeds, targets, box, held_out, puzzles, solutions)


@dataclasses.dataclass(frozen=True)
class Climbing:
    """Puzzles that grow harder: one or two givens are exchanged for others, and the change is kept if it is no easier.

    It starts from a locally minimal puzzle, and so is the result, but for the givens that are added at the end. No
    symmetry of Sudoku turns a train grid into a test grid.

    Attributes:
        proposals: `(fewest, most)` changes that are tried, a number between them drawn for each puzzle.
        fewer_givens: `False` for more guesses that a search needs (`count_guesses`), `True` for fewer givens.
        extra: `(fewest, most)` givens that are added in the end, drawn likewise.
    """

    proposals: tuple[int, int]
    fewer_givens: bool = False
    extra: tuple[int, int] = (0, 0)

    def check(self, box):
        """As for `Digging`."""
        for name, (low, high) in (("proposals", self.proposals), ("extra", self.extra)):
            if not 0 <= low <= high:
                raise ValueError(f"{name} must be (fewest, most) with 0 <= fewest <= most, got {(low, high)!r}")

    def make(self, numbers, seeds, box, held_out, puzzles, solutions):
        """As for `Digging`."""
        from training.datasets.sudoku import kernels

        del numbers
        proposals, extra = (
            low + (seeds >> np.uint64(shift)).astype(np.int64) % (high - low + 1)
            for shift, (low, high) in ((16, self.proposals), (40, self.extra))
        )
        kernels.climb(seeds, proposals, self.fewer_givens, extra, box, held_out, column_orders(box), puzzles, solutions)


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Puzzles of several kinds in turn.

    Attributes:
        kinds: tuple of kinds.
    """

    kinds: tuple

    def check(self, box):
        """As for `Digging`."""
        for kind in self.kinds:
            kind.check(box)

    def make(self, numbers, seeds, box, held_out, puzzles, solutions):
        """As for `Digging`."""
        count = len(self.kinds)
        for index, kind in enumerate(self.kinds):
            chosen = np.flatnonzero(numbers % count == index)
            made = np.empty((2, len(chosen), puzzles.shape[1]), np.int64)
            kind.make(numbers[chosen] // count, seeds[chosen], box, held_out, *made)
            puzzles[chosen], solutions[chosen] = made


@functools.cache
def column_orders(box):
    """All orders of a board's columns that keep its stacks together, an int64 array `(number, size)`."""
    within = list(itertools.permutations(range(box)))
    return np.array(
        [
            [box * stack + column for stack, columns in zip(stacks, inner, strict=True) for column in columns]
            for stacks in within
            for inner in itertools.product(within, repeat=box)
        ],
        np.int64,
    )
