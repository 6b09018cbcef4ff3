"""Voting: one code for `BoardSolver` and for the served signature."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from export import oscillators
from export.sudoku import SudokuServer
from keras_kuramoto.models import SudokuModel
from training.strategies import make_strategy
from training.sudoku import BoardSolver
from training.sudoku.voting import (
    Filling,
    Lowest,
    Once,
    SolutionFirst,
    answer,
    breaks_no_rule,
    is_solution,
    last_energy,
    sum_of_energies,
    unrest,
    vote,
)

BLANK = tf.zeros((3, 4, 4), tf.int32)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return SudokuModel.from_preset("sudoku4_quick", load_weights=False, num_steps=2, channels=16)


def drawn(seed, index, votes):
    """The initial oscillators of a board, as the solver draws them: XLA's are others than TensorFlow's own."""

    @tf.function(jit_compile=True)
    def draw(seed):
        return tf.random.stateless_normal((4, 4, 16), seed)

    return tf.stack([draw(tf.constant([seed, index * 1_000_003 + vote], tf.int64)) for vote in range(votes)])


def stub(energies, seen):
    """Answers with the sample's number in every cell, and the energies of a table `(boards, samples)`."""

    def attempt(row, sample):
        tf.py_function(lambda r, s: seen.extend(zip(r.numpy().tolist(), s.numpy().tolist())), [row, sample], [])
        by = tf.gather_nd(energies, tf.stack([row, sample % energies.shape[1]], 1))
        logits = tf.one_hot(tf.broadcast_to((sample % 4)[:, None, None], [tf.size(row), 4, 4]), 4)
        found = answer(tf.gather(BLANK, row), logits)
        return {**found, "energy": 10 * by, "energy_sum": by, "unrest": -by, "steps": sample + 1}

    return attempt


@pytest.mark.parametrize("together", [1, 2, 3, 7])
def test_each_board_gets_the_lowest_of_its_own_samples(together):
    # The lowest of the first board is beyond its samples; the second has a tie, of which the first wins.
    energies = tf.constant([[5.0, 3.0, 4.0, 0.0, 0.0], [2.0, 1.0, 1.0, 3.0, 4.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
    seen = []
    best = vote(BLANK, tf.constant([3, 5, 5]), together, stub(energies, seen), Lowest())
    assert best["sample"].numpy().tolist() == [1, 1, 4]
    assert best["energy_sum"].numpy().tolist() == [3, 1, 1]
    assert best["energy"].numpy().tolist() == [30, 10, 10]
    assert best["solution"].numpy()[:, 0, 0].tolist() == [2, 2, 1]
    assert best["steps"].numpy().tolist() == [1 + 2 + 3, 15, 15]
    assert best["solved"].numpy().tolist() == [0, 0, 0]
    # Every sample of every board is drawn, and no portion holds more than `together` of each.
    assert {(board, sample) for board in range(3) for sample in range(5)} <= set(seen)
    assert len(seen) == 3 * together * -(-5 // together)
    highest = vote(BLANK, tf.constant([3, 5, 5]), together, stub(energies, seen), Lowest("unrest"))
    assert highest["sample"].numpy().tolist() == [0, 4, 0]


@pytest.mark.parametrize("together", [1, 2, 4])
def test_the_first_solution_wins_and_ends_the_search(together):
    grid = tf.constant([[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]])
    # The sample that is a solution, of each board; the last board has none.
    good, seen = tf.constant([2, 0, 9]), []

    def attempt(row, sample):
        tf.py_function(lambda s: seen.append(int(s.numpy().max())), [sample], [])
        right = sample >= tf.gather(good, row)
        solution = tf.where(right[:, None, None], grid, 1)
        number = tf.cast(sample, tf.float32)
        floats = {name: -number for name in ("energy", "energy_sum", "unrest")}
        return {
            "solution": solution,
            "probability": tf.ones_like(solution, tf.float32),
            **floats,
            "steps": sample * 0 + 7,
        }

    selection = SolutionFirst(Lowest())
    best = vote(BLANK, tf.constant([6, 6, 6]), together, attempt, selection)
    assert best["sample"].numpy().tolist() == [2, 0, 5]
    assert best["solved"].numpy().tolist() == [1, 1, 0]
    # Those of samples that were looked at in vain, beside it, don't count.
    assert best["steps"].numpy().tolist() == [21, 7, 42]
    seen.clear()
    vote(BLANK[:2], tf.constant([6, 6]), together, attempt, selection)
    assert max(seen) == {1: 2, 2: 3, 4: 3}[together]


def test_what_breaks_a_rule_is_told():
    grid = np.array([[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]], "int32")
    boards = np.stack([grid] * 6)
    boards[1, 0, 0] = 0
    # Twice in a row, in a column, in a box.
    boards[2] = 0
    boards[2, 1, [0, 3]] = 2
    boards[3] = 0
    boards[3, [0, 3], 2] = 4
    boards[4] = 0
    boards[4, [0, 1], [0, 1]] = 1
    boards[5] = 0
    boards[5, [0, 2], [0, 1]] = 1
    assert breaks_no_rule(tf.constant(boards)).numpy().tolist() == [True, True, False, False, False, True]
    assert is_solution(tf.constant(boards)).numpy().tolist() == [True, False, False, False, False, False]


def from_table(probabilities, seen):
    """A run whose digits are those of `GRID`, where they have the largest probability, as sure as a table says."""

    def run(board):
        seen.append(board.numpy())
        right = tf.one_hot(tf.constant(GRID) - 1, 4)
        odds = probabilities[..., None] * right + (1 - probabilities[..., None]) * (1 - right) / 3
        energies = tf.fill([len(board), 5], 1.0)
        return tf.math.log(tf.broadcast_to(odds, [len(board), 4, 4, 4])), energies, None

    return run


GRID = [[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]]


def test_filling_starts_with_the_surest_cells():
    sure = np.linspace(0.3, 0.9, 16).reshape(4, 4).astype("float32")
    # This cell's digit is not the right one: the other three are more probable.
    sure[0, 0] = 0.05
    board, seen = np.zeros((1, 4, 4), "int32"), []
    board[0, 3] = GRID[3]
    found = Filling(cells=2)(tf.constant(board), from_table(tf.constant(sure), seen))
    np.testing.assert_array_equal((seen[0] > 0).sum(), 4)
    np.testing.assert_array_equal(seen[1][0, 2], [0, 0, 4, 3])
    np.testing.assert_array_equal(seen[2][0, 2], GRID[2])
    # Two at a time; the wrong digit, the last one, contradicts.
    assert len(seen) == 6
    assert found["steps"].numpy().tolist() == [30]
    assert not is_solution(found["solution"]).numpy()[0]
    np.testing.assert_allclose(found["probability"][0, 1:3], sure[1:3], atol=1e-6)
    seen.clear()
    everything = Filling(cells=1, confidence=0.01)(tf.constant(board), from_table(tf.constant(sure), seen))
    assert len(seen) == 1
    np.testing.assert_array_equal(everything["solution"], found["solution"])


def test_filling_stops_at_a_solution_of_each_board():
    sure, seen = tf.reshape(tf.linspace(0.9, 0.5, 16), (4, 4)), []
    boards = np.zeros((2, 4, 4), "int32")
    boards[1] = GRID
    # A digit that contradicts what is filled in last: this board goes on until it shows.
    boards[0, 3, 3] = 2
    found = Filling(cells=4)(tf.constant(boards), from_table(sure, seen))
    assert found["steps"].numpy()[1] == 5
    assert found["steps"].numpy()[0] > 5
    assert is_solution(found["solution"]).numpy().tolist() == [False, True]
    assert found["solution"].numpy()[0, 3, 3] == 2


@pytest.mark.parametrize(("options", "message"), [({"cells": 0}, "`cells`.*0"), ({"confidence": 1.5}, "`conf.*1.5")])
def test_filling_refuses_what_it_can_not_do(options, message):
    with pytest.raises(ValueError, match=message):
        Filling(**options)


def test_energies_of_examples_that_stop_early():
    energies = tf.constant([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    assert last_energy(energies).numpy().tolist() == [4, 4]
    assert sum_of_energies(energies).numpy().tolist() == [7, 7]
    assert last_energy(energies, tf.constant([3, 1])).numpy().tolist() == [4, 1]
    assert sum_of_energies(energies, tf.constant([3, 2])).numpy().tolist() == [7, 3]
    assert unrest(energies).numpy().tolist() == [2, 2]
    assert unrest(energies, tf.constant([2, 1])).numpy().tolist() == [1, 0]


def test_an_answer_keeps_what_is_given():
    board = tf.constant([[[3, 0], [0, 1]]])
    found = answer(board, tf.math.log(tf.constant([[[[0.1, 0.9, 0.0], [0.2, 0.5, 0.3]], [[0.8, 0.2, 0.0]] * 2]])))
    assert found["solution"].numpy().tolist() == [[[3, 2], [1, 1]]]
    np.testing.assert_allclose(found["probability"], [[[1, 0.5], [0.8, 1]]], rtol=1e-6)


@pytest.mark.parametrize("by", ["energy_sum", "energy", "unrest"])
def test_the_solver_finds_the_best_of_its_votes(model, by):
    # More votes than run at once, on boards of which the last portion is filled up.
    rng = np.random.default_rng(0)
    puzzle = rng.integers(0, 5, (3, 4, 4)).astype("int32")
    votes, seed = 5, 7
    found = BoardSolver(model, make_strategy("cpu"), selection=Lowest(by), batch_size=2)(puzzle, votes, seed)
    for index, board in enumerate(puzzle):
        # The same initial oscillators, all of a board in one batch.
        logits, energies = model.run(np.stack([board] * votes), drawn(seed, index, votes), return_energy=True)
        energies = np.asarray(energies)
        values = {"energy_sum": energies.sum(1), "energy": energies[:, -1]}.get(
            by, abs(energies[:, -1] - energies[:, -2])
        )
        best = values.argmin()
        assert found[by][index] == pytest.approx(values[best], rel=1e-3)
        assert found["sample"][index] == best
        assert found["energy"][index] == pytest.approx(energies[best, -1], rel=1e-5)
        np.testing.assert_array_equal(found["solution"][index], answer(board, logits[best])["solution"])


def test_the_served_vote_is_the_same_vote(model, monkeypatch):
    noise = drawn(3, 0, 9)
    # The server draws the same initial oscillators for all boards: here those of a board that is the solver's first.
    monkeypatch.setattr(oscillators, "initial_noise", lambda seed, sample, shape: tf.gather(noise, sample % 9))
    puzzle = np.random.default_rng(1).integers(0, 5, (2, 4, 4)).astype("int32")
    served = SudokuServer(model).functions["vote"](*map(tf.constant, (puzzle, 2, 9, 3)))
    solver = BoardSolver(model, make_strategy("cpu"), batch_size=4)
    for index in range(2):
        found = solver(puzzle[index : index + 1], votes=9, seed=3)
        np.testing.assert_array_equal(found["solution"][0], served["solution"][index])
        assert found["energy_sum"][0] == pytest.approx(served["energy_sum"].numpy()[index], rel=1e-5)
        assert found["energy"][0] == pytest.approx(served["energy"].numpy()[index], rel=1e-5)


def test_more_votes_are_not_compiled_again(model):
    solver = BoardSolver(model, make_strategy("cpu"), batch_size=4)
    puzzle = np.zeros((2, 4, 4), "int32")
    for votes in (3, 4, 8):
        solver(puzzle, votes)
    assert list(solver._runners) == [4]


class Dice:
    """A model that guesses: its digits are where its initial oscillators point to."""

    has_energy, channels, num_steps = True, 4, 2

    def run(self, board, noise, num_steps=2, return_energy=True):
        energy = tf.reduce_sum(noise, (1, 2, 3))
        return noise, tf.stack([energy] * num_steps, 1)


def almost_full(count):
    """Boards with 1, 2, 3 or 4 blank cells: some are solved by chance, in the first vote or in a later one."""
    rng = np.random.default_rng(2)
    boards = np.stack([np.array(GRID, "int32")] * count)
    for index, board in enumerate(boards):
        board.flat[rng.permutation(16)[: 1 + index % 4]] = 0
    return boards


def counting_solver(rows, **arguments):
    """A solver that notes how many rows it computes in each batch."""
    solver = BoardSolver(Dice(), make_strategy("cpu"), selection=SolutionFirst(Lowest()), **arguments)
    runner_of = solver._runner

    def counted(size, function):
        runner = runner_of(size, function)

        def run(arrays):
            rows.append(len(arrays[0]))
            return runner(arrays)

        return run

    solver._runner = counted
    return solver


@pytest.mark.parametrize("attempt", [Once(), Filling(cells=1)])
def test_answers_are_those_of_the_vote_in_the_graph_whatever_makes_place_when(attempt):
    puzzle, votes = almost_full(12), 6

    @tf.function(jit_compile=True)
    def draw(seed):
        return tf.random.stateless_normal((4, 4, 4), seed)

    def attempt_of(row, sample):
        seeds = tf.stack([tf.fill(tf.shape(row), 5), row * 1_000_003 + sample], 1)
        noise = tf.stack([draw(tf.cast(seed, tf.int64)) for seed in seeds])
        return attempt(tf.gather(puzzle, row), lambda board: (*Dice().run(board, noise), None))

    wanted = vote(tf.constant(puzzle), tf.fill([12], votes), 2, attempt_of, SolutionFirst(Lowest()))
    # Some in the first vote, some in another one, some in none.
    samples = wanted["sample"].numpy()[wanted["solved"] == 1]
    assert samples.min() == 0 < samples.max()
    assert len(samples) < 12
    for batch_size in (1, 4, 100):
        found = counting_solver([], attempt=attempt, batch_size=batch_size)(puzzle, votes, seed=5)
        for name in ("solution", "solved", "sample", "steps"):
            np.testing.assert_array_equal(found[name], wanted[name])
        np.testing.assert_allclose(found["energy"], wanted["energy"], rtol=1e-5)


def test_steps_are_spent_on_what_is_open():
    puzzle, rows = almost_full(40), []
    puzzle[:5] = GRID
    found = counting_solver(rows, attempt=Filling(cells=1), batch_size=1)(puzzle, votes=8)
    # What is reported is what was computed, of runs of the model's two steps.
    assert found["steps"].sum() == 2 * sum(rows)
    assert found["steps"][:5].tolist() == [2] * 5
    assert 5 < found["solved"].sum() < 40
    needed = sum(rows)
    rows.clear()
    counting_solver(rows, attempt=Filling(cells=1), batch_size=8)(puzzle, votes=8)
    # Votes that were begun too early are few, and batches are full until the last boards.
    assert needed <= sum(rows) < 1.2 * needed
    assert rows[:20] == [8] * 20


def test_few_boards_that_are_left_run_in_a_smaller_batch():
    puzzle = almost_full(70)
    puzzle[3:] = GRID
    solver = BoardSolver(Dice(), make_strategy("cpu"), selection=SolutionFirst(Lowest()), batch_size=70)
    solver(puzzle, votes=2)
    assert sorted(solver._runners) == [9, 70]


def test_no_boards_have_no_answers(model):
    found = BoardSolver(model, make_strategy("cpu"))(np.zeros((0, 4, 4), "int32"), votes=3)
    assert {name: value.shape for name, value in found.items()} == {
        "solution": (0, 4, 4),
        **{name: (0,) for name in ("solved", "energy", "energy_sum", "unrest", "sample", "steps")},
    }


def test_what_the_solver_refuses(model):
    with pytest.raises(ValueError, match=r"`votes` must be at least 1. Received 0"):
        BoardSolver(model, make_strategy("cpu"))(np.zeros((1, 4, 4), "int32"), votes=0)
    baseline = SudokuModel.from_preset("sudoku9_small_transformer", load_weights=False, channels=8, blocks=1)
    with pytest.raises(ValueError, match="nothing that would change its answer"):
        BoardSolver(baseline, make_strategy("cpu"), attempt=Filling())
