"""The Sudoku models: presets, inputs, steps, saving, training and export."""

import itertools
import pathlib

import keras
import numpy as np
import pytest
from backend_helpers import BACKEND, DATA, array, call, evaluate, run_python, to_numpy

from keras_kuramoto.layers import (
    AttentionConnectivity,
    BoardEncoding,
    DenseConnectivity,
    NaturalFrequency,
    RotaryEncoding,
    SymmetricAttentionConnectivity,
)
from keras_kuramoto.metrics import BlankCellAccuracy, BoardAccuracy
from keras_kuramoto.models import AKOrNSudoku, SudokuModel, TransformerSudoku

BOARDS = pathlib.Path(__file__).parents[2] / "benchmarks/boards/seventeen_givens.txt"
TINY = {"board_size": 4, "channels": 16}
ATTENTION = AttentionConnectivity(2, RotaryEncoding())
OMEGA = NaturalFrequency(4, frequency=0.5)
MODELS = {
    "AKOrN": lambda: AKOrNSudoku(ATTENTION, OMEGA, **TINY, num_steps=3, blocks=2, seed=1),
    "AKOrN without frequencies": lambda: AKOrNSudoku(ATTENTION, **TINY, num_steps=3, train_step_size=False),
    "AKOrN dense": lambda: AKOrNSudoku(
        DenseConnectivity(), NaturalFrequency(2), board_size=4, channels=8, oscillator_dim=2, num_steps=2, remat=True
    ),
    "symmetric": lambda: AKOrNSudoku(SymmetricAttentionConnectivity(2, BoardEncoding()), OMEGA, **TINY, num_steps=3),
    "transformer": lambda: TransformerSudoku(ATTENTION, **TINY, blocks=2),
    "iterative": lambda: TransformerSudoku(ATTENTION, **TINY, num_steps=3, blocks=1),
}
each_model = pytest.mark.parametrize("name", MODELS)


def boards_4x4():
    """All 288 solutions."""
    rows = list(itertools.permutations(range(1, 5)))
    groups = [(slice(r, r + 2), slice(c, c + 2)) for r in (0, 2) for c in (0, 2)]
    found = []
    for grid in itertools.product(rows, repeat=2):
        if not all(len({*np.ravel(np.array(grid)[g])}) == 4 for g in groups[:2]):
            continue
        for lower in itertools.product(rows, repeat=2):
            board = np.array(grid + lower)
            columns = all(len(set(column)) == 4 for column in board.T)
            if columns and all(len({*board[g].ravel()}) == 4 for g in groups[2:]):
                found.append(board)
    return np.array(found, "int32")


def puzzles(count, seed=0):
    rng = np.random.default_rng(seed)
    solutions = boards_4x4()[rng.permutation(288)[:count]]
    return np.where(rng.random(solutions.shape) < 0.5, solutions, 0).astype("int32"), solutions


@each_model
def test_models_save_and_load(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    board, _ = puzzles(3)
    noise = array(np.random.default_rng(1), 3, 4, 4, model.channels)

    def answer(model):
        return evaluate(lambda board, noise: model({"board": board, "noise": noise}), board, noise)

    expected = answer(model)
    assert expected.shape == (3, 4, 4, 4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(answer(loaded), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = MODELS[name]()
    fresh.load_weights(tmp_path / "model.weights.h5")
    for loaded_weight, weight in zip(fresh.weights, model.weights):
        np.testing.assert_array_equal(to_numpy(loaded_weight), to_numpy(weight))


def test_noise_is_drawn_where_it_is_not_given():
    model = MODELS["AKOrN"]()
    board, _ = puzzles(2)
    given = array(np.random.default_rng(2), 2, 4, 4, 16)
    fixed = [to_numpy(model({"board": board, "noise": given})) for _ in range(2)]
    np.testing.assert_array_equal(*fixed)
    drawn = [to_numpy(model(board)) for _ in range(2)]
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-4
    assert np.abs(to_numpy(model({"board": board})) - drawn[1]).max() > 1e-4
    # A model with the same seed and weights draws the same.
    same = [MODELS["AKOrN"]() for _ in range(2)]
    same[1].set_weights(same[0].get_weights())
    np.testing.assert_array_equal(to_numpy(same[0](board)), to_numpy(same[1](board)))
    # Nothing is drawn where every cell is given.
    full = boards_4x4()[:2]
    np.testing.assert_array_equal(to_numpy(model(full)), to_numpy(model(full)))


def test_predict_takes_boards_alone_and_batches_of_any_size():
    model = MODELS["AKOrN"]()
    board, _ = puzzles(3)
    assert model.predict(board, verbose=0).shape == (3, 4, 4, 4)
    noise = array(np.random.default_rng(3), 3, 4, 4, 16)
    expected = to_numpy(model({"board": board, "noise": noise}))
    # A last batch of one.
    got = model.predict({"board": board, "noise": noise}, batch_size=2, verbose=0)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["AKOrN", "transformer", "iterative"])
def test_number_of_steps_changes_without_new_weights(name):
    model = MODELS[name]()
    board, _ = puzzles(2)
    noise = array(np.random.default_rng(4), 2, 4, 4, model.channels)
    weights = len(model.weights)
    default = evaluate(lambda board, noise: model({"board": board, "noise": noise}), board, noise)
    np.testing.assert_allclose(evaluate(model.run, board, noise), default, atol=1e-6)
    longer = evaluate(lambda board, noise: model.run(board, noise, num_steps=9), board, noise)
    assert np.abs(longer - default).max() > 1e-4
    traced = call(lambda b, n, steps: model.run(b, n, num_steps=steps), board, noise, np.int32(9), compiled=True)
    np.testing.assert_allclose(traced, longer, atol=1e-4)
    assert len(model.weights) == weights


def test_energies_come_with_the_logits():
    model = MODELS["AKOrN"]()
    board, _ = puzzles(2)
    tensors = [keras.ops.convert_to_tensor(v) for v in (board, array(np.random.default_rng(5), 2, 4, 4, 16))]
    logits, energy = model.run(*tensors, num_steps=5, return_energy=True)
    np.testing.assert_allclose(to_numpy(logits), to_numpy(model.run(*tensors, num_steps=5)), atol=1e-6)
    assert tuple(energy.shape) == (2, 5)
    with pytest.raises(ValueError, match="energy"):
        MODELS["transformer"]().run(*tensors, return_energy=True)


def test_two_runs_from_where_the_first_stopped_are_one():
    model = MODELS["AKOrN without frequencies"]()
    board, _ = puzzles(3)
    noise = array(np.random.default_rng(5), 3, 4, 4, 16)

    def runs(board, noise):
        _, x = model.run(board, noise, num_steps=3, return_oscillators=True)
        # The last board starts anew, in the same batch.
        goes_on = keras.ops.convert_to_tensor([True, True, False])
        start = keras.ops.where(keras.ops.reshape(goes_on, (3, 1, 1, 1)), x, noise)
        logits, energy, last = model.run(
            board, start, num_steps=2, return_energy=True, goes_on=goes_on, return_oscillators=True
        )
        return logits, energy, last, model.run(board, noise, num_steps=5, return_energy=True, return_oscillators=True)

    logits, energy, last, whole = call(runs, board, noise)
    for found, wanted in zip((logits, energy, last), (whole[0], whole[1][:, 3:], whole[2])):
        np.testing.assert_allclose(to_numpy(found)[:2], to_numpy(wanted)[:2], rtol=1e-4, atol=1e-4)
    alone = to_numpy(call(lambda b, n: model.run(b, n, num_steps=2), board[2:], noise[2:]))
    np.testing.assert_allclose(to_numpy(logits)[2:], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["AKOrN", "iterative"])
def test_fit_lowers_the_loss(name):
    keras.utils.set_random_seed(1)
    model = MODELS[name]()
    board, solution = puzzles(288)
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
    )
    target = solution - 1
    before = model.evaluate(board, target, verbose=0)
    history = model.fit(board, target, batch_size=24, epochs=1, verbose=0)
    after = model.evaluate(board, target, verbose=0)
    # Guessing is ln 4 = 1.386; copying the given half and guessing the rest, 0.69.
    assert after < 0.9 * before
    assert np.isfinite(history.history["loss"]).all()


def test_metrics_work_in_evaluate():
    model = MODELS["AKOrN"]()
    board, solution = puzzles(6)
    model.compile(metrics=[BoardAccuracy()], weighted_metrics=[BlankCellAccuracy()], loss=lambda y, p: 0.0 * p[..., 0])
    result = model.evaluate(board, solution, sample_weight=(board == 0), return_dict=True, verbose=0)
    assert 0 <= result["blank_cell_accuracy"] <= 1
    assert 0 <= result["board_accuracy"] <= 1


def test_small_presets_build_and_the_others_are_known():
    assert {"sudoku4_quick", "sudoku9_small", "sudoku9_paper"} <= set(SudokuModel.presets)
    model = SudokuModel.from_preset("sudoku4_quick", load_weights=False, num_steps=2)
    assert to_numpy(model(puzzles(1)[0])).shape == (1, 4, 4, 4)
    for name in SudokuModel.presets:
        if name.startswith("sudoku9_small"):
            small = SudokuModel.from_preset(name, load_weights=False)
            assert small.name == name
            assert (small.board_size, small.channels) == (9, 96)


def test_paper_preset_has_the_papers_numbers():
    model = SudokuModel.from_preset("sudoku9_paper", load_weights=False)
    layer = model.network.blocks[0].kuramoto
    numbers = (
        model.channels,
        layer.oscillator_dim,
        layer.num_steps,
        layer.connectivity.heads,
        len(model.network.blocks),
    )
    assert numbers == (512, 4, 16, 8, 1)
    assert layer.gamma.trainable


def test_bad_arguments_are_named():
    for function, message in (
        (lambda: SudokuModel.from_preset("sudoku5"), "'sudoku5'.*sudoku4_quick"),
        (lambda: SudokuModel.from_preset("sudoku4_qick"), "Did you mean 'sudoku4_quick'"),
        (lambda: SudokuModel.from_preset("sudoku4_quick"), "No trained weights.*`load_weights=False`.*sudoku9_small"),
        (lambda: SudokuModel.from_preset("sudoku4_quick", load_weights=False, width=3), "sudoku4_quick.*width"),
        (
            lambda: SudokuModel.from_preset("sudoku4_quick", load_weights=False, connectivity={"head": 3}),
            "AttentionConnectivity, 'head'.*'heads'",
        ),
        (lambda: AKOrNSudoku(ATTENTION, board_size=5, channels=16), "`board_size`.*5"),
        (lambda: AKOrNSudoku(ATTENTION, board_size=4, channels=18), "18"),
        (lambda: AKOrNSudoku("attn", board_size=4, channels=16), "`connectivity`.*'attn'"),
        (lambda: TransformerSudoku(AttentionConnectivity(3), board_size=4, channels=16), "`heads` = 3.*16"),
    ):
        with pytest.raises(ValueError, match=f"(?s){message}"):
            function()


@pytest.mark.parametrize("digit", [-1, 5])
def test_boards_with_a_digit_out_of_range_are_refused(digit):
    for model in (MODELS["AKOrN"](), MODELS["transformer"]()):
        board = puzzles(2)[0]
        board[1, 2, 3] = digit
        for function in (model, model.run):
            with pytest.raises(ValueError, match=f"digits from 0 .* to 4.*{digit}"):
                function(board)


def test_a_board_alone_is_a_symbolic_input():
    model = MODELS["AKOrN"]()
    board = keras.Input((4, 4), dtype="int32")
    outer = keras.Model(board, keras.layers.Softmax()(model(board)))
    assert outer.output_shape == (None, 4, 4, 4)
    assert to_numpy(outer(puzzles(2)[0])).shape == (2, 4, 4, 4)


def test_presets_of_a_class_are_those_of_the_classes_that_derive_from_it():
    assert set(SudokuModel.presets) == {*AKOrNSudoku.presets, *TransformerSudoku.presets}
    assert "sudoku9_small_transformer" not in AKOrNSudoku.presets
    with pytest.raises(ValueError, match="Unknown preset"):
        AKOrNSudoku.from_preset("sudoku9_small_transformer")


def test_shipped_weights_give_the_answers_of_version_0_2():
    model = SudokuModel.from_preset("sudoku9_small")
    with np.load(DATA / "sudoku9_small_answers.npz") as file:
        board, noise, logits, energies = (file[name] for name in ("board", "noise", "logits", "energies"))
    got, energy = call(lambda b, n: model.run(b, n, num_steps=20, return_energy=True), board, noise, compiled=True)
    # Twenty steps of a trained network, compiled or not, and on other backends: differences grow from rounding.
    np.testing.assert_allclose(got, logits, atol=2e-3)
    np.testing.assert_allclose(energy, energies, rtol=1e-4)


def test_shipped_weights_solve_boards_with_17_givens():
    model = SudokuModel.from_preset("sudoku9_hard")
    lines = [line for line in BOARDS.read_text().splitlines() if not line.startswith("#")][:16]
    board = np.array([[int(cell) for cell in line.replace(".", "0")] for line in lines], "int32").reshape(-1, 9, 9)
    assert ((board > 0).sum((1, 2)) == 17).all()
    noise = array(np.random.default_rng(0), len(board), 9, 9, model.channels)
    logits = call(lambda b, n: model.run(b, n, num_steps=64), board, noise, compiled=True)
    digits = np.where(board > 0, board, logits.argmax(-1) + 1)
    boxes = digits.reshape(-1, 3, 3, 3, 3).swapaxes(2, 3).reshape(-1, 9, 9)
    units = np.concatenate([digits, digits.swapaxes(1, 2), boxes], axis=1)
    solved = (np.sort(units, axis=-1) == np.arange(1, 10)).all((1, 2))
    # From one start each, without filling or votes.
    assert solved.sum() >= 12, solved


LOADER = """
import sys
import numpy as np
import tensorflow as tf
directory, data = sys.argv[1:]
with np.load(data) as arrays:
    board, noise, expected, energy = (arrays[name] for name in ("board", "noise", "expected", "energy"))
loaded = tf.saved_model.load(directory)
for batch in (1, 3):
    result = loaded.solve(tf.constant(board[:batch]), tf.constant(noise[:batch]), tf.constant(5))
    np.testing.assert_allclose(result["logits"], expected[:batch], atol=1e-5)
    np.testing.assert_allclose(result["energy"], energy[:batch], rtol=1e-5, atol=1e-4)
assert not [name for name in sys.modules if name.split(".")[0] == "keras_kuramoto"]
"""


@pytest.mark.skipif(BACKEND != "tensorflow", reason="SavedModels are TensorFlow's")
def test_saved_model_runs_where_the_library_is_never_imported(tmp_path):
    import tensorflow as tf

    model = MODELS["AKOrN"]()
    board, _ = puzzles(3)
    noise = array(np.random.default_rng(6), 3, 4, 4, 16)

    class Served(tf.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        @tf.function(
            input_signature=[
                tf.TensorSpec((None, 4, 4), tf.int32),
                tf.TensorSpec((None, 4, 4, 16)),
                tf.TensorSpec((), tf.int32),
            ]
        )
        def solve(self, board, noise, num_steps):
            logits, energy = self.model.run(board, noise, num_steps=num_steps, return_energy=True)
            return {"logits": logits, "energy": energy}

    served = Served()
    tf.saved_model.save(served, str(tmp_path / "served"))
    expected, energy = model.run(tf.constant(board), tf.constant(noise), num_steps=5, return_energy=True)
    np.savez(tmp_path / "data.npz", board=board, noise=noise, expected=expected, energy=energy)
    (tmp_path / "loader.py").write_text(LOADER)
    done = run_python(tmp_path / "loader.py", tmp_path / "served", tmp_path / "data.npz")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(BACKEND != "tensorflow", reason="SavedModels are TensorFlow's")
def test_model_export_serves_what_the_model_answers(tmp_path):
    import tensorflow as tf

    model = MODELS["AKOrN"]()
    board, _ = puzzles(3)
    noise = array(np.random.default_rng(7), 3, 4, 4, 16)
    model.export(tmp_path / "exported", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    served = loaded.serve({"board": board, "noise": noise})
    np.testing.assert_allclose(served, to_numpy(model({"board": board, "noise": noise})), atol=1e-5)
