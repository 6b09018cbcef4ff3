import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from export.__main__ import main
from export.servers import server_for
from export.weights import StoredWeights
from keras_kuramoto.layers import CDAMRecall
from keras_kuramoto.models import ImageClassifier


@pytest.fixture(scope="module")
def half(model, model_file, tmp_path_factory):
    directory = tmp_path_factory.mktemp("served") / "half"
    assert main([str(model_file), str(directory), "--weights", "float16"]) == 0
    return directory


def weight_bytes(directory):
    return sum(path.stat().st_size for path in (directory / "1" / "variables").glob("*.data-*"))


def test_half_precision_takes_half_the_room_and_says_so(half, exported):
    assert 0.45 < weight_bytes(half) / weight_bytes(exported) < 0.55
    extra = half / "1" / "assets.extra"
    assert json.loads((extra / "export.json").read_text())["weights"] == "float16"
    assert "| weights stored as | float16 |" in (extra / "model_card.md").read_text()


def test_half_precision_answers_as_the_rounded_model_in_float32(half, model_file, capsys, monkeypatch):
    monkeypatch.setenv("CC", "compiler-that-is-not-there")
    assert main(["check", str(half), "--against", str(model_file)]) == 0, capsys.readouterr().out
    assert "Keras now, Python" in capsys.readouterr().out


def test_the_models_own_weights_are_not_touched(model):
    before = [weight.numpy() for weight in model.weights]
    server = server_for(model, "float16")
    case = server.good_cases()[0]
    rounded, own = server.golden_answers(case)["energy"], server.keras_answers(case)["energy"]
    # The rounding shows, and is as small as it should be.
    assert 0 < np.abs(rounded - own).max() < 1e-2 * np.abs(own).max()
    for weight, value in zip(model.weights, before):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_weights_are_turned_back_once_and_not_in_every_step(model):
    function = server_for(model, "float16").functions["solve_steps"].get_concrete_function()
    graph = function.graph.as_graph_def()
    casts = {
        function.signature.name: [node for node in function.node_def if _is_from_half(node)]
        for function in graph.library.function
    }
    assert sum(_is_from_half(node) for node in graph.node) == sum(w.dtype == "float32" for w in model.weights)
    assert not any(casts.values())


def _is_from_half(node):
    return node.op == "Cast" and node.attr["SrcT"].type == tf.float16.as_datatype_enum


def test_statistics_of_a_normalisation_and_patterns_are_stored_too():
    keras.utils.set_random_seed(0)
    classifier = ImageClassifier.from_preset("cifar10_akorn_small", load_weights=False)
    for layer in (classifier, CDAMRecall(np.eye(3), beta=20.0)):
        kinds = [variable.dtype for variable in StoredWeights(layer, "float16").variables]
        assert kinds.count(tf.float16) == sum(weight.dtype == "float32" for weight in layer.weights)
        assert len(kinds) == len(layer.weights)


def test_weights_beyond_half_precision_are_refused(tmp_path, capsys):
    memory = CDAMRecall(1e5 * np.eye(3), beta=20.0)
    with pytest.raises(ValueError, match=r"'.*patterns' has values beyond float16's largest, 65504"):
        server_for(memory, "float16")
    with pytest.raises(ValueError, match=r"one of float32, float16. Received 'int8'"):
        server_for(memory, "int8")
    with pytest.raises(SystemExit):
        main(["sudoku9_small", str(tmp_path / "served"), "--weights", "int8"])
    assert "invalid choice: 'int8'" in capsys.readouterr().err
    assert not (tmp_path / "served").exists()
