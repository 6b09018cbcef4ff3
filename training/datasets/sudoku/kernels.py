"""Compiled search on Sudoku grids: the part of the data sets that has to be fast.

All compiled functions live in this one file because Numba's on-disk cache notices a change only in the file of the
function that it loads: a kernel that called another one across files could run an old copy of it.

A grid is a flat array of `size * size` cells with 0 for a blank, and a set of digits is an integer whose bit `d - 1` is
set when the digit `d` is in it. All kernels release the GIL, so plain threads use all cores.
"""

import numba
import numpy as np

_POPCOUNT = np.array([value.bit_count() for value in range(1 << 9)], dtype=np.int64)
_jit = numba.njit(nogil=True, cache=True, boundscheck=False)


@_jit
def _next_random(state):
    """Advances a SplitMix64 state (a one-element uint64 array) and returns 64 random bits."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@_jit
def _random_below(state, bound):
    # The modulo's bias is below 2**-57 for the bounds of at most 81 that occur here.
    return np.int64(_next_random(state) % np.uint64(bound))


@_jit
def _shuffle(values, state):
    for i in range(len(values) - 1, 0, -1):
        j = _random_below(state, i + 1)
        values[i], values[j] = values[j], values[i]


@_jit
def is_held_out(cells):
    """Whether a solution grid belongs to the test side: a hash of its digits, about one grid in five."""
    code = np.uint64(0xCBF29CE484222325)
    for cell in cells:
        code = (code ^ np.uint64(cell)) * np.uint64(0x100000001B3)
    # The high bits: the low bits of this hash are a weak function of the digits.
    return (code >> np.uint64(32)) % np.uint64(5) == np.uint64(0)


@_jit
def _hidden_single(masks, blanks, depth, num_blanks, units, used, full):
    """Looks for a digit that has only one place left in a row, a column or a box.

    Args:
        masks: candidates of each cell; valid for the blanks `blanks[depth:num_blanks]`.
        blanks, depth, num_blanks: see `search`.
        units: `(cells, 3)` row, column and box of each cell.
        used: digits placed in each of the rows, columns and boxes.
        full: the set of all digits.

    Returns:
        Position in `blanks` and the set of that one digit; an empty set if some digit has no place left at all;
        position -1 if there is neither.
    """
    once = np.zeros(len(used), np.int64)
    more = np.zeros(len(used), np.int64)
    for i in range(depth, num_blanks):
        mask = masks[blanks[i]]
        for unit in units[blanks[i]]:
            more[unit] |= once[unit] & mask
            once[unit] |= mask
    for unit in range(len(used)):
        if used[unit] | once[unit] != full:
            return depth, 0
    for i in range(depth, num_blanks):
        for unit in units[blanks[i]]:
            single = masks[blanks[i]] & ~more[unit]
            if single:
                # Two such digits in one cell are a contradiction that the next level finds.
                return i, single & -single
    return -1, 0


@_jit
def search(cells, box, barred_cell, barred_digit, limit, state, randomised, solution, guesses):
    """Counts the completions of a grid, up to `limit`, and keeps the last one.

    Depth-first search that always branches on a blank with the fewest candidates left.

    Args:
        cells: flat grid without contradictions, left unchanged.
        box: side of a box, 2 or 3.
        barred_cell: index of a cell that must not hold `barred_digit`, or -1.
        barred_digit: see `barred_cell`.
        limit: stop after this many completions.
        state: random state, used only where `randomised`.
        randomised: try cells and digits in random order.
        solution: flat grid that receives the last completion that was found.
        guesses: one-element array, to which the number of digits that were tried in places where others were possible
            too is added.

    Returns:
        Number of completions found, at most `limit`.
    """
    size = box * box
    full = (1 << size) - 1
    work = cells.copy()
    used = np.zeros(3 * size, np.int64)
    units = np.empty((size * size, 3), np.int64)
    blanks = np.empty(size * size, np.int64)
    num_blanks = 0
    for cell in range(size * size):
        row = cell // size
        column = cell % size
        units[cell, 0] = row
        units[cell, 1] = size + column
        units[cell, 2] = 2 * size + row // box * box + column // box
        if work[cell] == 0:
            blanks[num_blanks] = cell
            num_blanks += 1
        else:
            for unit in units[cell]:
                used[unit] |= 1 << (work[cell] - 1)
    barred_bit = 1 << (barred_digit - 1) if barred_cell >= 0 else 0
    if randomised:
        _shuffle(blanks[:num_blanks], state)

    masks = np.zeros(size * size, np.int64)
    untried = np.zeros(num_blanks + 1, np.int64)
    choices = np.zeros(num_blanks + 1, np.int64)
    found = 0
    depth = 0
    descending = True
    while True:
        if descending:
            if depth == num_blanks:
                solution[:] = work
                found += 1
                if found == limit:
                    return found
                descending = False
            else:
                fewest = size + 1
                best = depth
                for i in range(depth, num_blanks):
                    cell = blanks[i]
                    mask = full & ~(used[units[cell, 0]] | used[units[cell, 1]] | used[units[cell, 2]])
                    if cell == barred_cell:
                        mask &= ~barred_bit
                    masks[cell] = mask
                    count = _POPCOUNT[mask]
                    if count < fewest:
                        fewest = count
                        best = i
                        if count <= 1:
                            break
                choice = masks[blanks[best]]
                # Boards with few givens and no solution take minutes without it. Filling an empty grid never needs it.
                if fewest > 1 and not randomised:
                    place, single = _hidden_single(masks, blanks, depth, num_blanks, units, used, full)
                    if place >= 0:
                        best = place
                        choice = single
                # Reordering blanks[depth:] is safe under backtracking: the cells of shallower levels keep their place.
                blanks[depth], blanks[best] = blanks[best], blanks[depth]
                untried[depth] = choice
                choices[depth] = choice
        else:
            depth -= 1
            if depth < 0:
                return found
            cell = blanks[depth]
            for unit in units[cell]:
                used[unit] ^= 1 << (work[cell] - 1)
            work[cell] = 0
            descending = True

        if descending:
            mask = untried[depth]
            if mask == 0:
                descending = False
                continue
            bit = mask & -mask
            if randomised:
                for _ in range(_random_below(state, _POPCOUNT[mask])):
                    mask ^= bit
                    bit = mask & -mask
            untried[depth] ^= bit
            guesses[0] += choices[depth] != bit
            cell = blanks[depth]
            work[cell] = _POPCOUNT[bit - 1] + 1
            for unit in units[cell]:
                used[unit] |= bit
            depth += 1


@_jit
def _random_grid(box, held_out, state, grid):
    blank = np.zeros_like(grid)
    while True:
        search(blank, box, -1, 0, 1, state, True, grid, np.zeros(1, np.int64))
        if is_held_out(grid) == held_out:
            return


@_jit
def _dig(puzzle, box, target, state):
    """Blanks cells in random order as long as the solution stays unique; returns the number of givens left.

    One pass is enough for a locally minimal puzzle: a given that is needed stays needed when others go.
    """
    order = np.flatnonzero(puzzle)
    givens = len(order)
    _shuffle(order, state)
    scratch, guesses = np.empty_like(puzzle), np.zeros(1, np.int64)
    for cell in order:
        if givens == target:
            break
        digit = puzzle[cell]
        puzzle[cell] = 0
        # With the old solution known, uniqueness means that no completion has another digit here: one search, not two.
        if search(puzzle, box, cell, digit, 1, state, False, scratch, guesses) == 0:
            givens -= 1
        else:
            puzzle[cell] = digit
    return givens


@_jit
def generate(seeds, targets, box, held_out, puzzles, solutions):
    """Fills `puzzles` and `solutions`, both `(count, size * size)`, with puzzles that have one solution each.

    Args:
        seeds: `(count,)` uint64, one random stream for each puzzle.
        targets: `(count,)` int64 numbers of givens; 0 digs until every given is needed.
        box: side of a box, 2 or 3.
        held_out: whether the solution grids come from the test side.
        puzzles: output, int64.
        solutions: output, int64.
    """
    for index in range(len(seeds)):
        state = seeds[index : index + 1].copy()
        while True:
            _random_grid(box, held_out, state, solutions[index])
            puzzles[index] = solutions[index]
            givens = _dig(puzzles[index], box, targets[index], state)
            if targets[index] in (0, givens):
                break


@_jit
def canonical(puzzle, solution, box, orders, canonical_puzzle, canonical_solution):
    """The first, in the order of their digits, of all boards that symmetries make of a solved one.

    Two puzzles with one solution each are turned into each other by a symmetry if and only if the results are equal.
    The solution decides, and the puzzle where symmetries give the same solution.

    Args:
        puzzle: flat grid.
        solution: its solution.
        box: side of a box.
        orders: all orders of the columns that keep the stacks together, `(number, size)`.
        canonical_puzzle: output, flat.
        canonical_solution: output, flat.
    """
    size = box * box
    grid, given = np.empty((size, size), np.int64), np.empty((size, size), np.int64)
    label = np.empty(size + 1, np.int64)
    label[0] = 0
    rows, line = np.empty(size, np.int64), np.empty(size, np.int64)
    canonical_solution[:] = size + 1
    for transposed in range(2):
        for i in range(size):
            for j in range(size):
                cell = i * size + j if transposed == 0 else j * size + i
                grid[i, j], given[i, j] = solution[cell], puzzle[cell]
        for top in range(size):
            for order in orders:
                for j in range(size):
                    label[grid[top, order[j]]] = j + 1
                # The second row tells nearly always that this one is not the first.
                second, least = -1, size + 1
                for i in range(top // box * box, top // box * box + box):
                    if i != top and label[grid[i, order[0]]] < least:
                        second, least = i, label[grid[i, order[0]]]
                worse = False
                for j in range(size):
                    digit, old = label[grid[second, order[j]]], canonical_solution[size + j]
                    if digit != old:
                        worse = digit > old
                        break
                if worse:
                    continue
                _sort_rows(grid, label, order[0], box, rows)
                # -1 while it is equal to the best one so far, 1 once it is less.
                less = 0
                for i in range(size):
                    for j in range(size):
                        line[j] = label[grid[rows[i], order[j]]]
                    if less == 0:
                        for j in range(size):
                            old = canonical_solution[i * size + j]
                            if line[j] != old:
                                less = 1 if line[j] < old else -1
                                break
                        if less < 0:
                            break
                    if less > 0:
                        canonical_solution[i * size : (i + 1) * size] = line
                if less < 0:
                    continue
                for i in range(size):
                    for j in range(size):
                        digit, old = label[given[rows[i], order[j]]], canonical_puzzle[i * size + j]
                        if less == 0 and digit != old:
                            less = 1 if digit < old else -1
                        if less > 0:
                            canonical_puzzle[i * size + j] = digit
                    if less < 0:
                        break


@_jit
def _sort_rows(grid, label, first_column, box, rows):
    """The order of the rows that makes the first column least, with bands kept together."""
    size = box * box
    first = np.empty(box, np.int64)
    for band in range(box):
        here = rows[band * box : (band + 1) * box]
        here[:] = np.arange(band * box, (band + 1) * box)
        for i in range(1, box):
            for j in range(i, 0, -1):
                if label[grid[here[j], first_column]] < label[grid[here[j - 1], first_column]]:
                    here[j], here[j - 1] = here[j - 1], here[j]
        first[band] = label[grid[here[0], first_column]]
    # The top row's digit there is 1, so that its band comes first.
    order = np.argsort(first)
    sorted_rows = np.empty(size, np.int64)
    for place in range(box):
        band = order[place]
        sorted_rows[place * box : (place + 1) * box] = rows[band * box : (band + 1) * box]
    rows[:] = sorted_rows


@_jit
def _alternative(puzzle, solution, box, state, guesses, other):
    """Whether a puzzle has another completion than this one, which `other` then receives."""
    if search(puzzle, box, -1, 0, 2, state, False, other, guesses) < 2:
        return False
    if (other == solution).all():
        # The last of the two was the solution.
        search(puzzle, box, -1, 0, 1, state, False, other, guesses)
    return True


@_jit
def _propose(puzzle, solution, box, other_grid, state):
    """Exchanges one or two givens for others, then takes away what is not needed; returns guesses and givens.

    What is added tells the solution from another completion that there was, so that little of it is in vain. With
    `other_grid`, the solution becomes any completion of what is left: few grids have puzzles with very few givens.
    """
    other, guesses = np.empty_like(puzzle), np.zeros(1, np.int64)
    places = np.flatnonzero(puzzle)
    _shuffle(places, state)
    taken = places[: 1 + _random_below(state, 2)]
    puzzle[taken] = 0
    if other_grid:
        search(puzzle, box, -1, 0, 1, state, True, solution, guesses)
    while _alternative(puzzle, solution, box, state, guesses, other):
        differing = np.flatnonzero(other != solution)
        cell = differing[_random_below(state, len(differing))]
        puzzle[cell] = solution[cell]
    givens = _dig(puzzle, box, 0, state)
    guesses[0] = 0
    search(puzzle, box, -1, 0, 2, state, False, other, guesses)
    return guesses[0], givens


@_jit
def _is_held_out_with_symmetries(solution, box, orders):
    form = np.empty_like(solution)
    canonical(solution, solution, box, orders, form.copy(), form)
    return is_held_out(form)


@_jit
def climb(seeds, proposals, fewer_givens, extra, box, held_out, orders, puzzles, solutions):
    """Fills `puzzles` and `solutions` with puzzles that were changed step by step, each time for one as hard or harder.

    Args:
        seeds: `(count,)` uint64, one random stream for each puzzle.
        proposals: `(count,)` int64, how many changes are tried.
        fewer_givens: whether fewer givens are looked for, and not more guesses.
        extra: `(count,)` int64, how many givens are added at the end.
        box: side of a box, 2 or 3.
        held_out: whether the solution grids come from the test side, all of their symmetries together.
        orders: as for `canonical`.
        puzzles: output, int64 `(count, size * size)`.
        solutions: output, likewise.
    """
    cells = puzzles.shape[1]
    blank, counted = np.zeros(cells, np.int64), np.zeros(1, np.int64)
    for index in range(len(seeds)):
        state = seeds[index : index + 1].copy()
        solution, puzzle = solutions[index], puzzles[index]
        while True:
            search(blank, box, -1, 0, 1, state, True, solution, counted)
            # Where the climb leads to other grids, only the last one counts.
            if not fewer_givens and _is_held_out_with_symmetries(solution, box, orders) != held_out:
                continue
            puzzle[:] = solution
            givens = _dig(puzzle, box, 0, state)
            most = 0
            for _ in range(proposals[index]):
                trial, grid = puzzle.copy(), solution.copy()
                new_guesses, new_givens = _propose(trial, grid, box, fewer_givens, state)
                if (new_givens <= givens) if fewer_givens else (new_guesses >= most):
                    puzzle[:], solution[:], most, givens = trial, grid, new_guesses, new_givens
            if not fewer_givens or _is_held_out_with_symmetries(solution, box, orders) == held_out:
                break
        places = np.flatnonzero(puzzle == 0)
        _shuffle(places, state)
        for cell in places[: extra[index]]:
            puzzle[cell] = solution[cell]
