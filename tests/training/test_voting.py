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
from training.sudoku.voting import answer, last_energy, sum_of_energies, vote

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

    def run(row, sample):
        tf.py_function(lambda r, s: seen.extend(zip(r.numpy().tolist(), s.numpy().tolist())), [row, sample], [])
        by = tf.gather_nd(energies, tf.stack([row, sample % energies.shape[1]], 1))
        logits = tf.one_hot(tf.broadcast_to((sample % 4)[:, None, None], [tf.size(row), 4, 4]), 4)
        return logits, 10 * by, by

    return run


@pytest.mark.parametrize("together", [1, 2, 3, 7])
def test_each_board_gets_the_lowest_of_its_own_samples(together):
    # The lowest of the first board is beyond its samples; the second has a tie, of which the first wins.
    energies = tf.constant([[5.0, 3.0, 4.0, 0.0, 0.0], [2.0, 1.0, 1.0, 3.0, 4.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
    seen = []
    best = vote(BLANK, tf.constant([3, 5, 5]), together, stub(energies, seen))
    assert best["sample"].numpy().tolist() == [1, 1, 4]
    assert best["voted_by"].numpy().tolist() == [3, 1, 1]
    assert best["energy"].numpy().tolist() == [30, 10, 10]
    assert best["solution"].numpy()[:, 0, 0].tolist() == [2, 2, 1]
    # Every sample of every board is drawn, and no portion holds more than `together` of each.
    assert {(board, sample) for board in range(3) for sample in range(5)} <= set(seen)
    assert len(seen) == 3 * together * -(-5 // together)


def test_energies_of_examples_that_stop_early():
    energies = tf.constant([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    assert last_energy(energies).numpy().tolist() == [4, 4]
    assert sum_of_energies(energies).numpy().tolist() == [7, 7]
    assert last_energy(energies, tf.constant([3, 1])).numpy().tolist() == [4, 1]
    assert sum_of_energies(energies, tf.constant([3, 2])).numpy().tolist() == [7, 3]


def test_an_answer_keeps_what_is_given():
    board = tf.constant([[[3, 0], [0, 1]]])
    found = answer(board, tf.math.log(tf.constant([[[[0.1, 0.9, 0.0], [0.2, 0.5, 0.3]], [[0.8, 0.2, 0.0]] * 2]])))
    assert found["solution"].numpy().tolist() == [[[3, 2], [1, 1]]]
    np.testing.assert_allclose(found["probability"], [[[1, 0.5], [0.8, 1]]], rtol=1e-6)


@pytest.mark.parametrize("energy", ["sum", "last"])
def test_the_solver_finds_the_best_of_its_votes(model, energy):
    # More votes than run at once, on boards of which the last portion is filled up.
    rng = np.random.default_rng(0)
    puzzle = rng.integers(0, 5, (3, 4, 4)).astype("int32")
    votes, seed = 5, 7
    found = BoardSolver(model, make_strategy("cpu"), energy=energy, batch_size=2)(puzzle, votes, seed)
    for index, board in enumerate(puzzle):
        # The same initial oscillators, all of a board in one batch.
        logits, energies = model.run(np.stack([board] * votes), drawn(seed, index, votes), return_energy=True)
        energies = np.asarray(energies)
        by = energies.sum(1) if energy == "sum" else energies[:, -1]
        best = by.argmin()
        assert found["voted_by"][index] == pytest.approx(by[best], rel=1e-5)
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
        assert found["voted_by"][0] == pytest.approx(served["energy_sum"].numpy()[index], rel=1e-5)
        assert found["energy"][0] == pytest.approx(served["energy"].numpy()[index], rel=1e-5)


def test_more_votes_are_not_compiled_again(model):
    solver = BoardSolver(model, make_strategy("cpu"), batch_size=4)
    puzzle = np.zeros((2, 4, 4), "int32")
    for votes in (3, 4, 8):
        solver(puzzle, votes)
    assert list(solver._runners) == [(2, 2)]


def test_no_boards_have_no_answers(model):
    found = BoardSolver(model, make_strategy("cpu"))(np.zeros((0, 4, 4), "int32"), votes=3)
    assert {name: value.shape for name, value in found.items()} == {
        "solution": (0, 4, 4),
        "energy": (0,),
        "voted_by": (0,),
    }


def test_what_the_solver_refuses(model):
    with pytest.raises(ValueError, match=r"`energy` must be one of \['sum', 'last'\]. Received 'first'"):
        BoardSolver(model, make_strategy("cpu"), energy="first")
    with pytest.raises(ValueError, match=r"`votes` must be at least 1. Received 0"):
        BoardSolver(model, make_strategy("cpu"))(np.zeros((1, 4, 4), "int32"), votes=0)
