"""Sudoku puzzles that are changed until they are hard, and what tells them from others."""

import numpy as np
import pytest

from training.datasets.sudoku import (
    canonical_form,
    check_board,
    count_guesses,
    count_solutions,
    load,
    parse_board,
    solve,
)
from training.datasets.sudoku.augment import random_symmetry
from training.datasets.sudoku.builder import Sudoku
from training.datasets.sudoku.generator import generate_puzzles, is_held_out
from training.datasets.sudoku.kinds import Climbing, Digging, Mixture

# The first is solved by cells with one digit left alone; the second is Inkala's of 2012.
EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
HARD = "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4.."


@pytest.fixture(scope="module")
def start():
    return generate_puzzles(16, kind=Climbing((0, 0)), progress=False)


@pytest.fixture(scope="module")
def climbed():
    return generate_puzzles(16, kind=Climbing((60, 60)), progress=False)


def guesses(puzzles):
    return np.array([count_guesses(puzzle) for puzzle in puzzles.puzzle])


def minimal(puzzle):
    for row, column in np.argwhere(puzzle):
        fewer = puzzle.copy()
        fewer[row, column] = 0
        if count_solutions(fewer) == 1:
            return False
    return True


def test_guesses_are_counted():
    assert count_guesses(parse_board(EASY)) == 0
    assert count_guesses(parse_board(HARD)) > 20
    # Both digits are tried in one cell of an empty board's last two rows, and so on down to a second solution.
    assert count_guesses(np.zeros((4, 4), int)) > 0
    # A contradiction that no rule shows at once.
    board = parse_board(HARD)
    wrong = board.copy()
    wrong[0, 1] = next(digit for digit in range(1, 10) if digit != solve(board)[0, 1] and allowed(board, 0, 1, digit))
    assert count_solutions(wrong) == 0
    assert count_guesses(wrong) > 0


def allowed(board, row, column, digit):
    board = board.copy()
    board[row, column] = digit
    try:
        check_board(board)
    except ValueError:
        return False
    return True


def test_climbing_finds_harder_puzzles_that_are_still_minimal(start, climbed):
    np.testing.assert_array_equal([solve(puzzle) for puzzle in climbed.puzzle], climbed.solution)
    assert all(count_solutions(puzzle) == 1 and minimal(puzzle) for puzzle in climbed.puzzle)
    # From the same grids.
    np.testing.assert_array_equal(start.solution, climbed.solution)
    assert (guesses(climbed) >= guesses(start)).all()
    assert guesses(climbed).mean() > 5 * guesses(start).mean()


def test_climbing_finds_puzzles_with_fewer_givens(start):
    fewer = generate_puzzles(16, kind=Climbing((60, 60), fewer_givens=True), progress=False)
    assert all(count_solutions(puzzle) == 1 and minimal(puzzle) for puzzle in fewer.puzzle)
    assert fewer.givens.mean() < start.givens.mean() - 2
    filled = generate_puzzles(60, kind=Climbing((0, 0), extra=(0, 17)), progress=False)
    assert all(count_solutions(puzzle) == 1 for puzzle in filled.puzzle)
    assert filled.givens.max() - filled.givens.min() > 12


@pytest.mark.parametrize("box", [2, 3])
def test_canonical_forms_are_those_of_all_symmetries(box):
    puzzles = generate_puzzles(6, box=box, kind=Digging(None), progress=False)
    forms = [canonical_form(puzzle) for puzzle in puzzles.puzzle]
    for seed in range(4):
        changed, _ = random_symmetry(puzzles.puzzle, puzzles.solution, (seed, 7), box=box)
        for form, board in zip(forms, changed.numpy(), strict=True):
            np.testing.assert_array_equal(canonical_form(board), form)
    for puzzle, solution in forms:
        np.testing.assert_array_equal(solve(puzzle), solution)
        np.testing.assert_array_equal(solution[0], np.arange(1, box**2 + 1))
        # A symmetry of the first board, and so its own form.
        np.testing.assert_array_equal(canonical_form(puzzle)[0], puzzle)
    if box == 3:
        assert len({puzzle.tobytes() for puzzle, _ in forms}) == 6
    # Two puzzles of one grid that symmetries do not turn into each other.
    fuller = puzzles.puzzle[0].copy()
    row, column = np.argwhere(fuller == 0)[0]
    fuller[row, column] = puzzles.solution[0, row, column]
    form = canonical_form(fuller)
    np.testing.assert_array_equal(form[1], forms[0][1])
    assert (form[0] != forms[0][0]).any()


def test_all_grids_of_four_by_four_are_two_up_to_symmetries():
    puzzles = generate_puzzles(60, box=2, kind=Digging((8, 12)), progress=False)
    assert len({canonical_form(solution)[1].tobytes() for solution in puzzles.solution}) == 2


def test_a_canonical_form_needs_one_solution():
    with pytest.raises(ValueError, match="exactly one solution, got one with several"):
        canonical_form(np.zeros((4, 4), int))
    with pytest.raises(ValueError, match="exactly one solution, got one with none"):
        canonical_form([[1, 2, 3, 0], [0, 0, 0, 4], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_no_symmetry_turns_a_train_grid_into_a_test_grid():
    kind = Mixture((Climbing((0, 5)), Climbing((0, 5), fewer_givens=True, extra=(0, 9))))
    for side in ("train", "test"):
        puzzles = generate_puzzles(20, kind=kind, side=side, progress=False)
        forms = [canonical_form(puzzle)[1] for puzzle in puzzles.puzzle]
        assert {is_held_out(form) for form in forms} == {side == "test"}
        again = generate_puzzles(20, kind=kind, side=side, workers=1, progress=False)
        np.testing.assert_array_equal(puzzles.puzzle, again.puzzle)


def test_a_mixture_has_its_kinds_in_turn():
    parts = Digging((24, 26)), Digging((40, 41))
    puzzles = generate_puzzles(8, kind=Mixture(parts), progress=False)
    np.testing.assert_array_equal(puzzles.givens, [24, 40, 25, 41, 26, 40, 24, 41])


@pytest.mark.parametrize("kind", [Climbing((5, 2)), Climbing((0, 1), extra=(-1, 0)), Mixture((Digging((1, 2)),))])
def test_bad_kinds_are_named(kind):
    with pytest.raises(ValueError, match=r"(proposals|extra|givens) must be \(fewest, most\) with"):
        generate_puzzles(1, kind=kind, progress=False)


def test_hard_data_sets_are_read(tmp_path):
    config = Sudoku.builder_configs["9x9_mixed"].variant(examples={"train": 10, "test": 5})
    train = load(config, "train", tmp_path)
    assert train["puzzle"].shape == (10, 9, 9)
    np.testing.assert_array_equal([solve(puzzle) for puzzle in train["puzzle"]], train["solution"])
    assert Sudoku.builder_configs["9x9_extreme"].examples == {"test": 1_000}


def test_the_published_extreme_set_is_read(tmp_path):
    folder = tmp_path / "downloads" / "manual" / "sudoku-extreme"
    folder.mkdir(parents=True)
    answer = "".join(map(str, solve(parse_board(HARD)).reshape(-1)))
    lines = ["source,question,answer,rating", f"puzzles0_kaggle,{HARD},{answer},31"]
    for name, rows in (("train", lines * 1), ("test", [*lines, lines[1].replace("kaggle", "unbiased")])):
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
    test = load("sudoku_extreme", "test", tmp_path)
    assert test["puzzle"].shape == (2, 9, 9)
    np.testing.assert_array_equal(test["puzzle"][0], parse_board(HARD))
    np.testing.assert_array_equal(test["solution"][1], solve(parse_board(HARD)))
    assert len(load("sudoku_extreme", "train", tmp_path)["puzzle"]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "train.csv.*test.csv.*Sudoku-Extreme"),
        ("question,answer\n1,2\n", "line 1: expected the columns source,question,answer,rating"),
        (f"source,question,answer,rating\na,{HARD},{'1' * 81},3\n", "line 2: the solution is wrong"),
        (f"source,question,answer,rating\na,{HARD[:80]},{'1' * 81},3\n", "line 2: a board has 16 or 81 cells"),
    ],
)
def test_a_damaged_extreme_set_is_refused(tmp_path, text, message):
    folder = tmp_path / "downloads" / "manual" / "sudoku-extreme"
    folder.mkdir(parents=True)
    if text is not None:
        for name in ("train", "test"):
            (folder / f"{name}.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load("sudoku_extreme", "test", tmp_path)
