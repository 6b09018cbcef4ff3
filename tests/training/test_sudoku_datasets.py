"""Sudoku data sets: boards, solver, generator, TFDS builders, published formats, augmentation."""

import itertools
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from training.datasets.sudoku import (
    check_board,
    count_solutions,
    format_board,
    is_valid_board,
    load,
    parse_board,
    solve,
)
from training.datasets.sudoku.augment import random_givens, random_symmetry
from training.datasets.sudoku.builder import Sudoku
from training.datasets.sudoku.generator import generate_puzzles, is_held_out
from training.datasets.sudoku.kinds import Digging
from training.datasets.sudoku.published import RrnSudoku, SatnetSudoku


def all_small_grids():
    """All 4x4 solution grids, by trying every combination of rows."""
    rows = list(itertools.permutations(range(1, 5)))
    grids = []
    for grid in itertools.product(rows, repeat=4):
        columns_fit = all(len(set(column)) == 4 for column in zip(*grid, strict=True))
        if columns_fit and all(
            len({grid[r][c], grid[r][c + 1], grid[r + 1][c], grid[r + 1][c + 1]}) == 4 for r in (0, 2) for c in (0, 2)
        ):
            grids.append(grid)
    return np.array(grids)


def brute_force_count(puzzle, limit):
    """Plain backtracking cell by cell, written without a look at the solver that is tested."""
    puzzle = [list(map(int, row)) for row in puzzle]
    blanks = [(r, c) for r in range(9) for c in range(9) if not puzzle[r][c]]

    def options(r, c):
        taken = set(puzzle[r]) | {row[c] for row in puzzle}
        taken |= {puzzle[i][j] for i in range(r // 3 * 3, r // 3 * 3 + 3) for j in range(c // 3 * 3, c // 3 * 3 + 3)}
        return [digit for digit in range(1, 10) if digit not in taken]

    def count(found):
        open_cells = [(len(options(r, c)), r, c) for r, c in blanks if not puzzle[r][c]]
        if not open_cells:
            return found + 1
        _, r, c = min(open_cells)
        for digit in options(r, c):
            puzzle[r][c] = digit
            found = count(found)
            puzzle[r][c] = 0
            if found >= limit:
                break
        return found

    return count(0)


@pytest.fixture(scope="module")
def small_grids():
    return all_small_grids()


@pytest.fixture(scope="module")
def medium():
    return {side: generate_puzzles(120, side=side, progress=False) for side in ("train", "test")}


@pytest.fixture(scope="module")
def hard():
    return generate_puzzles(20, kind=Digging(None), side="test", progress=False)


EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"  # the example of Wikipedia


# --- boards ---------------------------------------------------------------------------------------------------------


def test_a_board_is_parsed_from_any_usual_writing():
    board = parse_board(EASY)
    assert board.shape == (9, 9)
    assert board.dtype == np.int32
    np.testing.assert_array_equal(board[0], [5, 3, 0, 0, 7, 0, 0, 0, 0])
    for text in (EASY.replace(".", "0"), "\n".join(EASY[i : i + 9] for i in range(0, 81, 9)), ",".join(EASY)):
        np.testing.assert_array_equal(parse_board(text), board)
    np.testing.assert_array_equal(parse_board(format_board(board)), board)
    small = parse_board("12.. | ....\n----+----\n.... | ..21")
    np.testing.assert_array_equal(parse_board(format_board(small)), small)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 16 or 81 cells .* got 0"),
        ("." * 80, "got 80"),
        ("x" + "." * 80, "got 'x' at position 1"),
        ("..5." + "." * 12, "digits 1 to 4, got 5 in row 1, column 3"),
    ],
)
def test_text_that_is_no_board_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_board(text)


def test_format_board_draws_boxes_and_marks_answers():
    puzzle = parse_board("12..3.....2.....")
    assert format_board(puzzle).splitlines() == [
        "┌─────┬─────┐",
        "│ 1 2 │ . . │",
        "│ 3 . │ . . │",
        "├─────┼─────┤",
        "│ . . │ 2 . │",
        "│ . . │ . . │",
        "└─────┴─────┘",
    ]
    answer = format_board(solve(parse_board(EASY)), given=parse_board(EASY))
    assert answer.count("\033[1;32m") == 51
    plain = re.sub(r"\033\[[0-9;]*m", "", answer)
    np.testing.assert_array_equal(parse_board(plain), solve(parse_board(EASY)))
    with pytest.raises(ValueError, match=r"given must have the shape of the board, \(4, 4\), got \(9, 9\)"):
        format_board(puzzle, given=parse_board(EASY))
    with pytest.raises(ValueError, match=r"got shape \(2, 2\)"):
        format_board([[1, 2], [3, 4]])
    with pytest.raises(ValueError, match=r"must be 0 \(blank\) to 4, got 0 to 7"):
        format_board(np.diag([7, 0, 0, 0]))


def with_cells(size, cells):
    board = np.zeros((size, size), int)
    for (row, column), digit in cells.items():
        board[row, column] = digit
    return board


@pytest.mark.parametrize(
    ("board", "message"),
    [
        (with_cells(9, {(2, 0): 5, (2, 8): 5}), "row 3 has the digit 5 twice"),
        (with_cells(9, {(0, 3): 7, (4, 3): 7, (8, 3): 7}), "column 4 has the digit 7 3 times"),
        (with_cells(9, {(3, 6): 1, (5, 8): 1}), "box 6 has the digit 1 twice"),
        (with_cells(4, {(0, 0): 4, (1, 1): 4}), "box 1 has the digit 4 twice"),
        (with_cells(4, {(1, 2): 5}), r"0 \(blank\) to 4, got 5 in row 2, column 3"),
        (with_cells(9, {(1, 2): -1}), "got -1 in row 2, column 3"),
        (np.zeros((9, 8), int), r"got shape \(9, 8\)"),
        (np.zeros((16, 16), int), r"got shape \(16, 16\)"),
        (np.zeros(81, int), r"got shape \(81,\)"),
        (3, r"got shape \(\)"),
        ([[1, 2], [3]], "rows of different lengths"),
        (np.zeros((9, 9)), "must hold integers, got float64"),
        (np.zeros((9, 9), bool), "must hold integers, got bool"),
    ],
)
def test_check_board_says_what_is_wrong(board, message):
    with pytest.raises(ValueError, match=message):
        check_board(board)
    assert not is_valid_board(board)


def test_check_board_returns_the_board():
    board = check_board(parse_board(EASY).tolist())
    assert board.dtype == np.int32
    assert is_valid_board(board)
    assert is_valid_board(np.zeros((4, 4), np.uint8))


# --- solver ---------------------------------------------------------------------------------------------------------


def test_the_solver_finds_all_small_grids(small_grids):
    assert len(small_grids) == 288
    assert count_solutions(np.zeros((4, 4), int), limit=1000) == 288
    rng = np.random.default_rng(0)
    for _ in range(300):
        puzzle = small_grids[rng.integers(288)] * (rng.random((4, 4)) < rng.random())
        matches = ((puzzle == 0) | (puzzle == small_grids)).all(axis=(1, 2))
        assert count_solutions(puzzle, limit=1000) == matches.sum()
        assert count_solutions(puzzle) == min(2, matches.sum())
        solution = solve(puzzle)
        assert (small_grids[matches] == solution).all(axis=(1, 2)).any()


def test_the_solver_solves_and_knows_when_it_can_not():
    board = parse_board(EASY)
    solution = solve(board)
    assert solution.dtype == np.int32
    np.testing.assert_array_equal(np.sort(solution, axis=0), np.tile(np.arange(1, 10)[:, None], 9))
    np.testing.assert_array_equal(solution[board != 0], board[board != 0])
    np.testing.assert_array_equal(solve(solution), solution)
    assert count_solutions(board) == 1
    assert count_solutions(np.zeros((9, 9), int), limit=50) == 50

    # No rule is broken, but the last cell of the first row has no digit left.
    stuck = with_cells(4, {(0, 0): 1, (0, 1): 2, (0, 2): 3, (1, 3): 4})
    check_board(stuck)
    assert solve(stuck) is None
    assert count_solutions(stuck) == 0


def test_few_givens_without_a_solution_do_not_take_forever():
    # A search that only looks at the candidates of single cells needs about a hundred times as long here.
    board = parse_board(".....5.8....6.1.43..........1.5........1.6...3.......553.....61........4.........")
    assert solve(board) is None


def test_the_solver_refuses_what_is_no_board():
    with pytest.raises(ValueError, match="row 1 has the digit 5 twice"):
        solve(with_cells(9, {(0, 0): 5, (0, 8): 5}))
    for limit in (0, -1, 1.5, None):
        with pytest.raises(ValueError, match="limit must be a positive integer, got"):
            count_solutions(parse_board(EASY), limit=limit)


def test_reading_and_drawing_boards_needs_numpy_only():
    code = (
        "import sys; from training.datasets.sudoku import parse_board, format_board, check_board\n"
        "format_board(check_board(parse_board('.' * 81)))\n"
        "heavy = {'tensorflow', 'tensorflow_datasets', 'numba', 'keras'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(filter(None, sys.path))})


# --- generator ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["train", "test"])
def test_small_puzzles_have_one_solution(small_grids, side):
    puzzles = generate_puzzles(400, box=2, kind=Digging((4, 10)), side=side, progress=False)
    fits = (puzzles.puzzle[:, None] == 0) | (puzzles.puzzle[:, None] == small_grids)
    matches = fits.all(axis=(2, 3))
    np.testing.assert_array_equal(matches.sum(axis=1), 1)
    np.testing.assert_array_equal(small_grids[matches.argmax(axis=1)], puzzles.solution)


def test_medium_puzzles_have_one_solution(medium):
    for puzzles in medium.values():
        for puzzle, solution in zip(puzzles.puzzle, puzzles.solution, strict=True):
            assert count_solutions(puzzle) == 1
            np.testing.assert_array_equal(solve(puzzle), solution)
            assert check_board(solution).all()
        for puzzle in puzzles.puzzle[:12]:
            assert brute_force_count(puzzle, 2) == 1


def test_hard_puzzles_are_minimal(hard):
    for puzzle in hard.puzzle:
        assert count_solutions(puzzle) == 1
        for row, column in np.argwhere(puzzle):
            fewer = puzzle.copy()
            fewer[row, column] = 0
            assert count_solutions(fewer) == 2
    assert hard.givens.min() >= 17
    assert hard.givens.max() <= 32


def test_givens_are_spread_evenly(medium):
    counts = np.bincount(medium["train"].givens)
    np.testing.assert_array_equal(counts[31:43], 10)
    assert counts.sum() == 120
    np.testing.assert_array_equal(np.count_nonzero(medium["train"].puzzle, axis=(1, 2)), medium["train"].givens)
    small = generate_puzzles(700, box=2, kind=Digging((4, 10)), progress=False)
    np.testing.assert_array_equal(np.bincount(small.givens), [0] * 4 + [100] * 7)


def test_train_and_test_grids_are_disjoint(small_grids, medium):
    held_out = np.array([is_held_out(grid) for grid in small_grids])
    assert 0.15 < held_out.mean() < 0.25
    for seed in (0, 1):
        for side in ("train", "test"):
            puzzles = generate_puzzles(
                3000 if side == "train" else 700, 2, Digging((4, 10)), side, seed, progress=False
            )
            found = {grid.tobytes() for grid in puzzles.solution}
            wanted = {grid.astype(np.int32).tobytes() for grid in small_grids[held_out == (side == "test")]}
            assert found == wanted
    for side, puzzles in medium.items():
        assert {is_held_out(grid) for grid in puzzles.solution} == {side == "test"}


def test_puzzles_are_distinct():
    puzzles = generate_puzzles(3000, box=2, kind=Digging((4, 5)), progress=False)
    assert len({puzzle.tobytes() for puzzle in puzzles.puzzle}) == 3000
    assert set(puzzles.givens.tolist()) == {4, 5}


def test_the_same_seed_gives_the_same_puzzles_on_any_number_of_threads():
    # More puzzles than one chunk, and so few small grids that duplicates have to be replaced.
    for options in ({"box": 2, "kind": Digging((4, 10))}, {"kind": Digging((31, 42))}, {"kind": Digging(None)}):
        one, three = (generate_puzzles(500, **options, seed=5, workers=n, progress=False) for n in (1, 3))
        for name in ("puzzle", "solution", "givens"):
            np.testing.assert_array_equal(getattr(one, name), getattr(three, name))
        other = generate_puzzles(500, **options, seed=6, progress=False)
        assert (other.puzzle != one.puzzle).any()


def test_progress_is_shown_on_request(capfd):
    generate_puzzles(10, box=2, kind=Digging((5, 9)), progress=True)
    assert "10/10" in capfd.readouterr().err
    generate_puzzles(10, box=2, kind=Digging((5, 9)), progress=False)
    assert not capfd.readouterr().err


def test_no_puzzles():
    assert generate_puzzles(0, progress=False).puzzle.shape == (0, 9, 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box": 4}, "box must be 2 .* or 3 .*, got 4"),
        ({"side": "valid"}, "side must be one of 'train', 'test', got 'valid'"),
        ({"kind": Digging((17, 20))}, r"24 <= fewest <= most <= 81 for box=3, got \(17, 20\)"),
        ({"kind": Digging((40, 30))}, r"got \(40, 30\)"),
        ({"box": 2, "kind": Digging((3, 4))}, r"4 <= fewest <= most <= 16 for box=2, got \(3, 4\)"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"seed": 0.5}, "seed must be an integer of at least 0, got 0.5"),
        ({"workers": 0}, "workers must be an integer of at least 1, got 0"),
        ({"count": -3}, "count must be an integer of at least 0, got -3"),
        ({"box": 2, "kind": Digging((16, 16))}, "only 231 distinct puzzles were found for count=300"),
    ],
)
def test_the_generator_refuses_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        generate_puzzles(**{"count": 300, **options}, progress=False)


# --- the TFDS builder -----------------------------------------------------------------------------------------------


def test_the_configurations_are_those_of_the_paper():
    configs = Sudoku.builder_configs
    assert {name: (c.box, c.kind, c.examples) for name, c in configs.items() if isinstance(c.kind, Digging)} == {
        "4x4": (2, Digging((4, 10)), {"train": 10_000, "test": 1_000}),
        "9x9": (3, Digging((31, 42)), {"train": 9_000, "test": 1_000}),
        "9x9_hard": (3, Digging(None), {"test": 1_000}),
    }


def test_a_data_set_is_prepared_once_and_read_back(tmp_path, capfd):
    config = Sudoku.builder_configs["9x9"].variant(seed=3, examples={"train": 30, "test": 12})
    assert config.name == "9x9_seed3_train30_test12"
    test = load(config, "test", tmp_path)
    assert "Sudoku puzzles" in capfd.readouterr().err
    assert {name: (array.shape, array.dtype) for name, array in test.items()} == {
        "puzzle": ((12, 9, 9), np.int32),
        "solution": ((12, 9, 9), np.int32),
        "givens": ((12,), np.int32),
    }
    train = load(config, "train", tmp_path)
    output = capfd.readouterr()
    assert "puzzles" not in output.out + output.err

    expected = generate_puzzles(30, seed=3, progress=False)
    np.testing.assert_array_equal(
        np.unique(train["puzzle"].reshape(30, 81), axis=0), np.unique(expected.puzzle.reshape(30, 81), axis=0)
    )
    for puzzle, solution, givens in zip(*(train[name] for name in ("puzzle", "solution", "givens")), strict=True):
        np.testing.assert_array_equal(solve(puzzle), solution)
        assert np.count_nonzero(puzzle) == givens

    builder = Sudoku(config=config, data_dir=tmp_path)
    dataset = builder.as_dataset(split="train", as_supervised=True).batch(10)
    puzzle, solution = next(iter(dataset))
    assert puzzle.shape == solution.shape == (10, 9, 9)
    assert builder.info.splits["train"].num_examples == 30


@pytest.mark.parametrize(("name", "examples"), [("4x4", {"train": 40, "test": 10}), ("9x9_hard", {"test": 5})])
def test_the_other_configurations_are_prepared(tmp_path, name, examples):
    config = Sudoku.builder_configs[name].variant(examples=examples)
    for split, count in examples.items():
        data = load(config, split, tmp_path)
        assert len(data["puzzle"]) == count
        for puzzle, solution in zip(data["puzzle"], data["solution"], strict=True):
            assert count_solutions(puzzle) == 1
            np.testing.assert_array_equal(solve(puzzle), solution)
            assert is_held_out(solution) == (split == "test")


def test_variants_that_change_nothing_keep_their_name():
    config = Sudoku.builder_configs["4x4"]
    assert config.variant() is config
    assert config.variant(seed=0, examples={"train": 10_000, "test": 1_000}) is config
    with pytest.raises(ValueError, match=r"splits of '9x9_hard' \(test\), got {'train': 5}"):
        Sudoku.builder_configs["9x9_hard"].variant(examples={"train": 5})


def test_unknown_data_sets_and_splits_are_named(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"unknown Sudoku data set '16x16'; known are 4x4, 9x9, 9x9_hard, 9x9_mixed, .*satnet_sudoku, rrn",
    ):
        load("16x16", "train", tmp_path)
    with pytest.raises(ValueError, match="data set '9x9_hard' has no split 'train'; known are test"):
        load("9x9_hard", "train", tmp_path)
    with pytest.raises(
        ValueError, match="data set 'rrn_sudoku' has no split 'valid'; known are train, validation, test"
    ):
        load("rrn_sudoku", "valid", tmp_path)
    assert not list(tmp_path.iterdir())


# --- published data sets --------------------------------------------------------------------------------------------


def csv_of(puzzles, solutions):
    lines = (
        "".join(map(str, p.ravel())) + "," + "".join(map(str, s.ravel()))
        for p, s in zip(puzzles, solutions, strict=True)
    )
    return "\n".join(lines) + "\n"


def by_hand(data_dir, archive, files):
    """Puts an archive where TFDS looks for files that were downloaded by hand."""
    manual = data_dir / "downloads" / "manual"
    manual.mkdir(parents=True)
    with zipfile.ZipFile(manual / archive, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)


def sorted_boards(boards):
    return np.unique(np.reshape(boards, (-1, 81)), axis=0)


def test_the_rrn_archive_is_read(tmp_path, hard):
    parts = {"train.csv": slice(0, 12), "valid.csv": slice(12, 15), "test.csv": slice(15, 20)}
    by_hand(
        tmp_path,
        "sudoku-hard.zip",
        {f"sudoku-hard/{name}": csv_of(hard.puzzle[part], hard.solution[part]) for name, part in parts.items()},
    )
    for split, part in zip(("train", "validation", "test"), parts.values(), strict=True):
        data = load("rrn_sudoku", split, tmp_path)
        np.testing.assert_array_equal(sorted_boards(data["puzzle"]), sorted_boards(hard.puzzle[part]))
        np.testing.assert_array_equal(data["givens"], np.count_nonzero(data["puzzle"], axis=(1, 2)))
        for puzzle, solution in zip(data["puzzle"], data["solution"], strict=True):
            np.testing.assert_array_equal(solve(puzzle), solution)


def test_malformed_rrn_lines_are_named(tmp_path, hard):
    builder = RrnSudoku(data_dir=tmp_path)
    good = csv_of(hard.puzzle[:1], hard.solution[:1])
    puzzle, solution = good.strip().split(",")
    path = tmp_path / "train.csv"
    for line, message in (
        (puzzle, "expected two fields of 81 digits"),
        (f"{puzzle},{solution[:-1]}", "expected two fields of 81 digits"),
        (f"{puzzle.replace('0', '.')},{solution}", "expected two fields of 81 digits"),
        (f"{puzzle},{solution},1", "expected two fields of 81 digits"),
        ("é" * 81 + f",{solution}", "expected two fields of 81 digits"),
        (f"{puzzle},{'1' * 81}", "the solution is wrong: row 1 has the digit 1 9 times"),
        (f"{puzzle},{puzzle}", "the solution has blank cells"),
        (f"{'0' * 80}{int(solution[-1]) % 9 + 1},{solution}", r"in row 9, column 9, where the puzzle gives"),
    ):
        path.write_text(good + "\n" + line + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match=re.escape(str(path)) + ", line 3: .*" + message):
            list(builder._generate_examples(path))


def one_hot_file(path, boards):
    torch = pytest.importorskip("torch")
    # The published files are from 2019, before PyTorch changed its format.
    torch.save(
        torch.from_numpy(np.eye(10, dtype=np.float32)[boards][..., 1:]), path, _use_new_zipfile_serialization=False
    )
    return path


def test_the_satnet_archive_is_read(tmp_path, medium):
    puzzles = medium["train"]
    files = {}
    for name, boards in (("features.pt", puzzles.puzzle), ("labels.pt", puzzles.solution)):
        path = one_hot_file(tmp_path / name, boards)
        files[f"sudoku/{name}"] = path.read_bytes()
        files[f"__MACOSX/sudoku/{name}"] = b"not a tensor"
    by_hand(tmp_path, "sudoku.zip", files)
    for split, part in (("train", slice(0, 108)), ("test", slice(108, 120))):
        data = load("satnet_sudoku", split, tmp_path)
        np.testing.assert_array_equal(sorted_boards(data["puzzle"]), sorted_boards(puzzles.puzzle[part]))
        np.testing.assert_array_equal(sorted_boards(data["solution"]), sorted_boards(puzzles.solution[part]))
        np.testing.assert_array_equal(data["givens"], np.count_nonzero(data["puzzle"], axis=(1, 2)))


def test_malformed_satnet_files_are_named(tmp_path, medium):
    torch = pytest.importorskip("torch")
    builder = SatnetSudoku(data_dir=tmp_path)
    features = one_hot_file(tmp_path / "features.pt", medium["train"].puzzle)
    labels = one_hot_file(tmp_path / "labels.pt", medium["train"].solution)
    assert len(list(builder._generate_examples(features, labels, "test"))) == 12

    fewer = one_hot_file(tmp_path / "fewer.pt", medium["train"].solution[:50])
    with pytest.raises(ValueError, match=r"features\.pt has 120 boards, but .*fewer\.pt has 50"):
        list(builder._generate_examples(features, fewer, "train"))
    with pytest.raises(ValueError, match=r"features\.pt, board 1: row \d, column \d is not one-hot"):
        list(builder._generate_examples(features, features, "train"))
    mixed = one_hot_file(tmp_path / "mixed.pt", medium["train"].solution[::-1].copy())
    with pytest.raises(ValueError, match=r"features\.pt, board 1: the solution has \d in row"):
        list(builder._generate_examples(features, mixed, "train"))

    path = tmp_path / "bad.pt"
    torch.save(torch.full((2, 9, 9, 9), 0.5), path)
    with pytest.raises(ValueError, match=r"bad\.pt, board 1: row 1, column 1 is not one-hot, got \[0\.5, 0\.5"):
        list(builder._generate_examples(path, labels, "train"))
    torch.save(torch.zeros(2, 9, 9), path)
    with pytest.raises(ValueError, match=r"shape \(boards, 9, 9, 9\), got \(2, 9, 9\)"):
        list(builder._generate_examples(path, labels, "train"))
    torch.save({"a": 1}, path)
    with pytest.raises(ValueError, match=r"shape \(boards, 9, 9, 9\), got dict"):
        list(builder._generate_examples(path, labels, "train"))
    path.write_bytes(b"nothing that PyTorch wrote")
    with pytest.raises(ValueError, match=r"bad\.pt is not a tensor saved by PyTorch"):
        list(builder._generate_examples(path, labels, "train"))


def test_satnet_without_pytorch_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="install PyTorch to prepare it: pip install torch"):
        list(SatnetSudoku(data_dir=tmp_path)._generate_examples(tmp_path / "a", tmp_path / "b", "train"))


def test_an_archive_without_the_file_is_refused(tmp_path):
    by_hand(tmp_path, "sudoku-hard.zip", {"readme.txt": "nothing here"})
    with pytest.raises(ValueError, match=r"expected one file train\.csv in the archive, found 0"):
        load("rrn_sudoku", "train", tmp_path)


def test_a_failed_download_says_where_to_put_the_archive(tmp_path, monkeypatch):
    def offline(manager, resource):
        assert resource.url == "https://powei.tw/sudoku.zip"
        raise ConnectionError("no network")

    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", offline)
    expected = tmp_path / "downloads" / "manual" / "sudoku.zip"
    with pytest.raises(OSError, match=f"could not download .*; get it in another way and save it as {expected}"):
        load("satnet_sudoku", "train", tmp_path)


def test_published_data_sets_have_the_features_of_the_generated_ones(tmp_path):
    generated = Sudoku(config="9x9", data_dir=tmp_path).info.features
    for builder in (SatnetSudoku, RrnSudoku):
        assert repr(builder(data_dir=tmp_path).info.features) == repr(generated)
        assert builder.name in ("satnet_sudoku", "rrn_sudoku")


# --- augmentation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("box", [2, 3])
def test_symmetries_keep_puzzles_valid_and_unique(box):
    puzzles = generate_puzzles(40, box=box, kind=Digging(None), progress=False)
    puzzle, solution = (t.numpy() for t in random_symmetry(puzzles.puzzle, puzzles.solution, (1, 2), box=box))
    assert puzzle.dtype == solution.dtype == np.int32
    np.testing.assert_array_equal(np.count_nonzero(puzzle, axis=(1, 2)), puzzles.givens)
    assert (puzzle != puzzles.puzzle).any(axis=(1, 2)).sum() > 35
    for p, s in zip(puzzle, solution, strict=True):
        assert check_board(s).all()
        assert count_solutions(p) == 1
        np.testing.assert_array_equal(solve(p), s)


def test_symmetries_are_reproducible_and_independent(medium):
    # The same board many times over: every example has to change in its own way.
    puzzle = np.repeat(medium["train"].puzzle[:1], 50, axis=0)
    solution = np.repeat(medium["train"].solution[:1], 50, axis=0)
    first = random_symmetry(puzzle, solution, tf.constant([3, 4]))
    again = random_symmetry(puzzle, solution, tf.constant([3, 4]))
    other = random_symmetry(puzzle, solution, tf.constant([3, 5]))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[1].numpy() != other[1].numpy()).any(axis=(1, 2)).all()
    assert len({board.tobytes() for board in first[1].numpy()}) == 50


def test_symmetries_reach_every_small_grid_from_both_kinds(small_grids):
    # Up to symmetry there are two 4x4 grids, one of which reaches 96 grids and the other 192.
    sizes = set()
    for grid in small_grids[:6]:
        boards = np.tile(grid, (3000, 1, 1))
        _, changed = random_symmetry(boards, boards, (7, 8), box=2)
        found, counts = np.unique(changed.numpy().reshape(-1, 16), axis=0, return_counts=True)
        sizes.add(len(found))
        # Uniform: far above the spread of a Poisson count.
        assert counts.max() < 4 * 3000 / len(found)
    assert sizes == {96, 192}


def test_rows_and_columns_are_treated_alike():
    # A board with a single given: its digit and its place are uniform over all cells.
    puzzle = np.tile(with_cells(9, {(0, 0): 1}), (8100, 1, 1))
    changed, _ = random_symmetry(puzzle, puzzle, (0, 0))
    places = (changed.numpy() != 0).mean(axis=0)
    assert np.abs(places - 1 / 81).max() < 6 * np.sqrt(1 / 81 / 8100)
    digits = np.bincount(changed.numpy().max(axis=(1, 2)), minlength=10)[1:] / 8100
    assert np.abs(digits - 1 / 9).max() < 6 * np.sqrt(1 / 9 / 8100)


def test_symmetries_run_in_a_pipeline(medium):
    train = medium["train"]
    boards = tf.data.Dataset.from_tensor_slices((train.puzzle, train.solution)).batch(50)
    seeds = tf.data.Dataset.random(seed=0).batch(2)
    dataset = tf.data.Dataset.zip(boards, seeds).map(lambda board, seed: random_symmetry(*board, seed))
    assert [spec.shape.as_list() for spec in dataset.element_spec] == [[None, 9, 9]] * 2
    batches = list(dataset)
    assert [len(puzzle) for puzzle, _ in batches] == [50, 50, 20]
    for puzzle, solution in batches:
        given = puzzle != 0
        np.testing.assert_array_equal(puzzle[given], solution[given])


def test_symmetries_refuse_wrong_shapes():
    board = np.zeros((2, 9, 9), np.int32)
    with pytest.raises(ValueError, match=r"puzzle must have shape \(batch, 4, 4\) for box=2, got \(2, 9, 9\)"):
        random_symmetry(board, board, (0, 0), box=2)
    with pytest.raises(ValueError, match="solution must have shape"):
        random_symmetry(board, board[0], (0, 0))
    with pytest.raises(ValueError, match="same shape"):
        random_symmetry(board, board[:1], (0, 0))
    with pytest.raises(ValueError, match=r"seed must hold two integers, got shape \(3,\)"):
        random_symmetry(board, board, (0, 0, 0))


def test_half_of_the_boards_get_more_givens_uniformly():
    # The same board many times over, with blanks in half of its cells.
    puzzle = np.tile(np.arange(81).reshape(9, 9) % 2, (20_000, 1, 1)).astype("int32")
    solution = np.where(puzzle > 0, puzzle, 7)
    found = random_givens(puzzle, solution, 9, (1, 2)).numpy()
    np.testing.assert_array_equal(found[puzzle > 0], puzzle[puzzle > 0])
    assert set(found[puzzle == 0]) == {0, 7}
    more = (found == 7).sum((1, 2))
    counts = np.bincount(more, minlength=10) / len(more)
    wanted = np.array([0.5 + 0.05] + 9 * [0.05])
    assert len(counts) == 10
    assert np.abs(counts - wanted).max() < 0.015
    places = (found == 7).mean(0)[puzzle[0] == 0]
    assert np.abs(places - more.mean() / 41).max() < 0.01
    np.testing.assert_array_equal(found, random_givens(puzzle, solution, 9, (1, 2)))
    assert (found != random_givens(puzzle, solution, 9, (1, 3)).numpy()).any()


def test_more_givens_than_blanks_are_all_of_them():
    solution = np.full((100, 4, 4), 3, "int32")
    puzzle = solution * (np.arange(16).reshape(4, 4) > 1)
    found = random_givens(puzzle, solution, 50, (0, 0)).numpy()
    assert (found == solution).all((1, 2)).sum() > 30
    np.testing.assert_array_equal(random_givens(puzzle, solution, 0, (0, 0)), puzzle)


def test_more_givens_refuse_wrong_arguments():
    board = np.zeros((2, 9, 9), np.int32)
    with pytest.raises(ValueError, match="most must be at least 0, got -1"):
        random_givens(board, board, -1, (0, 0))
    with pytest.raises(ValueError, match="same shape"):
        random_givens(board, board[:1], 3, (0, 0))


def test_tfds_knows_the_builders():
    assert {"sudoku", "satnet_sudoku", "rrn_sudoku"} <= set(tfds.list_builders())
