"""What all models promise: what Keras keeps for each layer survives saving, policies are honoured, training is told."""

import json

import keras
import numpy as np
import pytest
from backend_helpers import array, evaluate, to_numpy

from keras_kuramoto.layers import (
    AttentionConnectivity,
    HopfieldMemory,
    OscillatorReadout,
    RotaryEncoding,
    SymmetricDenseConnectivity,
    TransformerBlock,
)
from keras_kuramoto.models import AKOrNSudoku, ConfiguredModel, HopfieldClassifier, SudokuModel, TransformerSudoku
from keras_kuramoto.solvers import AdaptiveSolver, FixedStepSolver

TINY = {"board_size": 4, "channels": 16}
SUDOKU = {
    "AKOrN": lambda **kwargs: AKOrNSudoku(AttentionConnectivity(2, RotaryEncoding()), **TINY, num_steps=2, **kwargs),
    "transformer": lambda **kwargs: TransformerSudoku(AttentionConnectivity(2), **TINY, blocks=2, **kwargs),
}
each_sudoku = pytest.mark.parametrize("name", SUDOKU)


def answer(model):
    rng = np.random.default_rng(0)
    board = rng.integers(0, 5, (3, 4, 4)).astype("int32")
    return evaluate(lambda noise: model({"board": board, "noise": noise}), array(rng, 3, 4, 4, 16))


def saved_and_loaded(model, path):
    model.save(path / "model.keras")
    return keras.saving.load_model(path / "model.keras")


def policies(model):
    return [layer.dtype_policy.name for layer in model._flatten_layers()]


# Keras says of each layer without weights to be quantized that it has no method for it.
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@each_sudoku
def test_a_quantized_model_survives_saving(name, tmp_path):
    model = SUDOKU[name]()
    model.quantize("int8")
    assert "int8_from_float32" in policies(model)
    loaded = saved_and_loaded(model, tmp_path)
    assert policies(loaded) == policies(model)
    np.testing.assert_array_equal(answer(loaded), answer(model))


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@pytest.mark.parametrize("make", [lambda: OscillatorReadout(3, 4), lambda: TransformerBlock(AttentionConnectivity(2))])
def test_layers_inside_a_layer_survive_saving_in_a_plain_model(make, tmp_path):
    x = keras.Input((5, 8))
    model = keras.Model(x, make()(x))
    model.quantize("int8")
    model.layers[-1]._layers[-1].trainable = False
    loaded = saved_and_loaded(model, tmp_path)
    assert policies(loaded) == policies(model)
    assert [v.trainable for v in loaded.weights] == [v.trainable for v in model.weights]
    value = array(np.random.default_rng(1), 2, 5, 8)
    np.testing.assert_array_equal(to_numpy(loaded(value)), to_numpy(model(value)))


@each_sudoku
def test_what_was_set_on_a_layer_survives_saving(name, tmp_path):
    model = SUDOKU[name]()
    model.digits.trainable = False
    model.head.activation = keras.activations.softmax
    loaded = saved_and_loaded(model, tmp_path)
    assert not loaded.digits.trainable
    assert loaded.head.trainable
    np.testing.assert_allclose(answer(loaded).sum(-1), 1, atol=1e-5)


def test_the_solver_of_a_memory_survives_saving(tmp_path):
    memory = HopfieldMemory(SymmetricDenseConnectivity(), solver=FixedStepSolver("rk4", num_steps=4))
    model = HopfieldClassifier(memory, (2, 3), num_hidden=2, num_classes=3)
    model.memory.solver = AdaptiveSolver(max_steps=77)
    loaded = saved_and_loaded(model, tmp_path)
    assert isinstance(loaded.memory.solver, AdaptiveSolver)
    assert loaded.memory.solver.max_steps == 77


@each_sudoku
def test_a_mixed_policy_is_honoured_and_survives_loading_under_another_one(name, tmp_path):
    preset = {"AKOrN": "sudoku4_quick", "transformer": "sudoku9_small_transformer"}[name]
    model = SudokuModel.from_preset(preset, load_weights=False, dtype="mixed_float16", board_size=4, channels=16)
    assert model.compute_dtype == "float16"
    # The head alone is float32, for the loss.
    inner = [layer.dtype_policy.name for layer in model._flatten_layers(include_self=False) if layer.weights]
    assert set(inner) == {"mixed_float16", "float32"}
    assert inner.count("float32") == 1
    loaded = saved_and_loaded(model, tmp_path)
    assert policies(loaded) == policies(model)
    np.testing.assert_array_equal(answer(loaded), answer(model))


@each_sudoku
def test_configurations_are_json_and_round_trip(name):
    model = SUDOKU[name](name="mine")
    config = json.loads(json.dumps(model.get_config()))
    copy = type(model).from_config(config)
    assert json.loads(json.dumps(copy.get_config())) == config
    assert copy.name == "mine"
    frozen = type(model).from_config(SUDOKU[name](trainable=False).get_config())
    assert not frozen.trainable
    assert not frozen.trainable_weights


class DroppingModel(ConfiguredModel):
    """Half of its inputs, in training."""

    def __init__(self, rate=0.5, **kwargs):
        super().__init__({"rate": rate}, **kwargs)

    @staticmethod
    def make_layers(rate):
        return {"norm": keras.layers.BatchNormalization(momentum=0.0), "dropout": keras.layers.Dropout(rate, seed=0)}

    @staticmethod
    def make_inputs(rate):
        return {"x": keras.Input((50,), name="x")}

    def compute_outputs(self, x, scale=1.0):
        return scale * self.dropout(self.norm(x))


def test_run_passes_training_and_options_on():
    model = DroppingModel()
    x = array(np.random.default_rng(0), 8, 50) + 3.0
    for function in (model.run, lambda x: model(x, training=False)):
        assert (to_numpy(function(x)) != 0).all()
    np.testing.assert_array_equal(to_numpy(model.norm.moving_mean), 0)
    np.testing.assert_allclose(to_numpy(model.run(x, scale=2.0)), 2 * to_numpy(model.run(x)), rtol=1e-6)
    dropped = to_numpy(model.run(x, training=True)) == 0
    assert 0.3 < dropped.mean() < 0.7
    np.testing.assert_allclose(to_numpy(model.norm.moving_mean), x.mean(0), rtol=1e-4)


def test_unknown_arguments_and_inputs_are_named():
    with pytest.raises(TypeError, match="dropout"):
        SUDOKU["AKOrN"](dropout=0.1)
    with pytest.raises(ValueError, match="'boards'"):
        SUDOKU["AKOrN"]()({"boards": np.zeros((1, 4, 4), "int32")})
