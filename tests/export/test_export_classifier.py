"""Served classifiers of images: the same checks as for Sudoku models."""

import json
import shutil

import keras
import networkx
import numpy as np
import pytest
import tensorflow as tf
from export_helpers import assert_same

from export.__main__ import main
from export.classifier import ClassifierServer
from export.serving import read_warmup
from keras_kuramoto.layers import CuedOscillators, GroupedOscillators, SymmetricDenseConnectivity
from keras_kuramoto.layers.couplings import LowRankCoupling
from keras_kuramoto.layers.hopfield_kuramoto_memory import HopfieldKuramotoMemory
from keras_kuramoto.layers.hopfield_memory import HopfieldMemory
from keras_kuramoto.layers.kuramoto_memory import KuramotoMemory
from keras_kuramoto.models.memory_classifier import CoupledClassifier, HopfieldClassifier


def hopfield():
    return HopfieldMemory(SymmetricDenseConnectivity())


def coupled(oscillators):
    graph = networkx.watts_strogatz_graph(16, 4, 0.1, seed=0)
    memory = HopfieldKuramotoMemory(hopfield(), KuramotoMemory("relu", graph), LowRankCoupling(0.2))
    return CoupledClassifier(memory, oscillators, (3, 3), num_hidden=4, num_classes=3)


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)
    return {
        "plain": HopfieldClassifier(hopfield(), (3, 4), num_hidden=2, num_classes=3),
        "cued": coupled(CuedOscillators(3, mean=0.4)),
        "grouped": coupled(GroupedOscillators(3, first=9)),
    }


@pytest.fixture(scope="module")
def exported_classifier(models, tmp_path_factory):
    """The directory of the associative model, version 1; not to be changed. From a file, by the command."""
    folder = tmp_path_factory.mktemp("classifier")
    models["cued"].save(folder / "model.keras")
    assert main([str(folder / "model.keras"), str(folder / "served")]) == 0
    return folder / "served"


@pytest.mark.parametrize("name", ["plain", "cued", "grouped"])
def test_signatures_answer_as_the_keras_model_does(models, name):
    server = ClassifierServer(models[name])
    function = server.functions["serving_default"]
    first, *faulty = server.sample_cases()
    inputs = {key: tf.constant(value) for key, value in first.inputs.items()}
    answer = {key: value.numpy() for key, value in function(*inputs.values()).items()}
    assert_same(answer, server.keras_answers(first), first.tolerance)
    assert answer["scores"].shape == (5, 3)
    assert answer["scores"].dtype == np.float32
    assert answer["label"].dtype == np.int32
    alone = function(*[value[3:4] for value in inputs.values()])
    assert_same({key: value.numpy() for key, value in alone.items()}, {k: v[3:4] for k, v in answer.items()}, 1e-3)
    # A batch of none and of too many, other numbers than images, and five values out of range of each input.
    assert len(faulty) == 2 + len(inputs) - 1 + 5 * len(inputs)
    for case in faulty:
        with pytest.raises(tf.errors.InvalidArgumentError, match=case.error):
            function(*map(tf.constant, case.inputs.values()))
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold from 1 to 32 examples"):
        function(*[value[:0] for value in inputs.values()])


def test_what_else_the_model_is_given_matters(models):
    for name, other in (("cued", "cue"), ("grouped", "alignment")):
        first = ClassifierServer(models[name]).sample_cases()[0]
        changed = {**first.inputs, other: np.roll(first.inputs[other], 1, axis=0)}
        scores = [np.asarray(models[name].run(*inputs.values())) for inputs in (first.inputs, changed)]
        assert abs(scores[0] - scores[1]).max() > 5e-3


def test_check_passes_in_python_and_through_the_c_api(exported_classifier, capsys):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    assert main(["check", str(exported_classifier)]) == 0
    text = capsys.readouterr().out
    assert "All checks passed." in text
    assert "SKIPPED" not in text
    for what in ("serving_default", "image above 1", "cue that is NaN"):
        assert sum(line.startswith(f"{what}  ") for line in text.splitlines()) == 2


def test_a_version_describes_itself_and_warms_up(exported_classifier):
    extra = exported_classifier / "1" / "assets.extra"
    description = json.loads((extra / "export.json").read_text())
    assert description["kind"] == description["name"] == "classifier"
    signature = description["signatures"]["serving_default"]
    assert {name: tensor["shape"] for name, tensor in signature["inputs"].items()} == {"image": [3, 3], "cue": [3, 3]}
    assert signature["outputs"]["scores"]["shape"] == [3]
    assert 'name: "classifier"' in (exported_classifier / "serving" / "models.config").read_text()
    requests = read_warmup(extra / "tf_serving_warmup_requests")
    assert [tf.make_ndarray(request.inputs["cue"]).shape for request in requests] == [(1, 3, 3), (5, 3, 3)]
    assert tf.make_ndarray(requests[0].inputs["image"]).dtype == np.float32


def test_what_is_for_sudoku_alone_is_refused(exported_classifier, tmp_path, capsys):
    board = tmp_path / "board.txt"
    board.write_text("." * 16)
    assert main(["solve", str(exported_classifier), str(board)]) == 2
    assert "solves no boards: it is a classifier model" in capsys.readouterr().err
    model = exported_classifier.parent / "model.keras"
    assert main([str(model), str(tmp_path / "served"), "--max-steps", "3"]) == 2
    assert "A served classifier model has no limit `max_steps`" in capsys.readouterr().err
    assert not (tmp_path / "served").exists()
