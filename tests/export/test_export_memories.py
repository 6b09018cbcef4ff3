"""Served memories: recall and finite automata, with the same checks as for Sudoku models."""

import json
import shutil

import keras
import networkx
import numpy as np
import pytest
import tensorflow as tf
from export_helpers import assert_same

from export.__main__ import main
from export.automaton import AutomatonServer
from export.check import check
from export.golden import differences
from export.recall import RecallServer
from export.saved_model import export_model
from export.servers import server_for
from export.serving import read_warmup
from keras_kuramoto.layers import CDAMRecall, FiniteAutomaton, SynapticMemory
from training.__main__ import main as training

# A name with what a text format could trip over.
FAMILY = [("Bart", "sister", "Lisa"), ("Lisa", "father", "Homer, dad\n"), ("Bart", "père", "Homer, dad\n")]


def patterns(p=12, n=40):
    return np.random.default_rng(0).uniform(size=(p, n)).astype("float32")


@pytest.fixture(scope="module")
def memories():
    cycle = networkx.cycle_graph(12)
    return {
        "plain": CDAMRecall(patterns(), beta=5.0, num_steps=40),
        "graph": CDAMRecall(patterns(), cycle, a=0.5, h=0.5, num_steps=40),
        "blocks": CDAMRecall(patterns(), cycle, a=-0.5, h=1.5, num_steps=10, block_size=5),
        "learning": CDAMRecall(SynapticMemory(patterns()), num_steps=5),
        "tolerance": CDAMRecall(patterns(), beta=5.0, tolerance=1e-4),
    }


@pytest.fixture(scope="module")
def automaton():
    return FiniteAutomaton(FAMILY)


@pytest.fixture(scope="module")
def exported_recall(memories, tmp_path_factory):
    """The directory of a memory with a graph, version 1; not to be changed. From a file, by the command."""
    folder = tmp_path_factory.mktemp("recall")
    keras.Sequential([keras.Input((40,)), memories["graph"]]).save(folder / "memory.keras")
    assert main([str(folder / "memory.keras"), str(folder / "served")]) == 0
    return folder / "served"


@pytest.fixture(scope="module")
def exported_automaton(tmp_path_factory):
    """The directory of the family tree's automaton, version 1; from the experiment's run directory."""
    folder = tmp_path_factory.mktemp("automaton")
    assert training(["cdam", "automaton", "--out", str(folder / "run")]) == 0
    assert main([str(folder / "run"), str(folder / "served"), "--name", "family"]) == 0
    return folder / "served"


@pytest.mark.parametrize("name", ["plain", "graph", "blocks", "learning", "tolerance"])
def test_recall_answers_as_the_layer_does(memories, name):
    server = server_for(memories[name])
    assert isinstance(server, RecallServer)
    graph = memories[name].graph is not None
    for case in server.sample_cases():
        function = server.functions[case.signature]
        inputs = {key: tf.constant(value) for key, value in case.inputs.items()}
        assert list(inputs) == (["state", "a", "h"][: 2 + graph] if case.signature == "recall" else ["state"])
        if case.fault:
            with pytest.raises(tf.errors.InvalidArgumentError, match=case.error):
                function(*inputs.values())
            continue
        answer = {key: value.numpy() for key, value in function(*inputs.values()).items()}
        assert_same(answer, server.keras_answers(case), case.tolerance)
        assert [answer[key].dtype for key in ("state", "pattern", "correlation")] == ["float32", "int32", "float32"]
        alone = function(*[value[3:4] for value in inputs.values()])
        assert_same({key: value.numpy() for key, value in alone.items()}, {k: v[3:4] for k, v in answer.items()}, 1e-3)


def test_each_example_has_its_own_strengths(memories):
    cycle = networkx.cycle_graph(12, create_using=networkx.DiGraph)
    server = RecallServer(CDAMRecall(patterns(), cycle, beta=50.0, eta=1.0, num_steps=3))
    state = tf.constant(patterns()[[4, 4, 4]])
    answer = server.functions["recall"](state, tf.constant([1.0, 0.0, 0.0]), tf.constant([0.0, 1.0, 0.0]))
    # Auto-association stays, hetero-association goes three steps on, and without both there is nothing.
    assert answer["pattern"].numpy().tolist()[:2] == [4, 7]
    np.testing.assert_allclose(answer["state"][2], -patterns().mean(0), atol=1e-6)
    message = "`a` must have one entry for each example of `state`"
    for number in (2, 0):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            server.functions["recall"](state, tf.zeros(number), tf.zeros(3))
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold from 1 to 32 examples, the limit `max_batch`"):
        server.functions["serving_default"](state[:0])


def test_the_automaton_answers_as_the_layer_does(automaton):
    server = server_for(automaton)
    assert isinstance(server, AutomatonServer)
    for case in server.sample_cases():
        function = server.functions[case.signature]
        inputs = {key: tf.constant(value) for key, value in case.inputs.items()}
        if case.fault:
            with pytest.raises(tf.errors.InvalidArgumentError, match=case.error):
                function(**inputs)
            continue
        answer = {key: value.numpy() for key, value in function(**inputs).items()}
        answer["name"] = answer["name"].astype("S")
        assert differences(answer, server.keras_answers(case))[1] == []
    with pytest.raises(tf.errors.InvalidArgumentError, match="`label` must have one entry for each example"):
        server.functions["serving_default"](server.functions["start"](tf.constant([0, 1]))["state"], tf.constant([0]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold from 1 to 32 examples, the limit `max_batch`"):
        server.functions["start"](tf.zeros(0, tf.int32))


def test_a_served_automaton_walks_by_what_it_answers(automaton, tmp_path):
    export_model(automaton, tmp_path / "served")
    description = json.loads((tmp_path / "served" / "1" / "assets.extra" / "export.json").read_text())
    assert description["states"] == ["Bart", "Lisa", "Homer, dad\n"]
    signatures = tf.saved_model.load(str(tmp_path / "served" / "1")).signatures
    answer = signatures["start"](index=tf.constant([0, 0]))
    assert [name.decode() for name in answer["name"].numpy()] == ["Bart", "Bart"]
    for labels, names in (
        (["sister", "père"], ["Lisa", "Homer, dad\n"]),
        (["father", "sister"], ["Homer, dad\n"] * 2),
        # Known to nobody here: they stay.
        (["père", "sister"], ["Homer, dad\n"] * 2),
    ):
        label = tf.constant([description["labels"].index(name) for name in labels])
        answer = signatures["serving_default"](state=answer["state"], label=label)
        assert [name.decode() for name in answer["name"].numpy()] == names
    # Strings through the C API too.
    rows = {(row.what, row.where): row for row in check(tmp_path / "served", automaton).rows}
    assert not any(row.problems for row in rows.values())
    if shutil.which("cc"):
        assert rows["start", "Python, C API"].difference == 0


def test_names_that_are_integers_are_written_in_digits():
    server = AutomatonServer(FiniteAutomaton([(7, 1, 11), (11, 2, 7)]))
    assert server.functions["start"](tf.constant([1]))["name"].numpy().tolist() == [b"11"]
    assert server.description()["labels"] == ["1", "2"]


def test_check_passes_in_python_and_through_the_c_api(exported_recall, capsys):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    capsys.readouterr()
    assert main(["check", str(exported_recall), "--against", str(exported_recall.parent / "memory.keras")]) == 0
    text = capsys.readouterr().out
    assert "All checks passed." in text
    assert "SKIPPED" not in text
    for what in ("recall", "state that is NaN", "h that is infinite"):
        assert sum(line.startswith(f"{what}  ") for line in text.splitlines()) >= 2


def test_versions_describe_themselves_and_warm_up(exported_recall, exported_automaton):
    extra = exported_recall / "1" / "assets.extra"
    description = json.loads((extra / "export.json").read_text())
    assert description["kind"] == description["name"] == "recall"
    assert [description[name] for name in ("patterns", "num_steps")] == [12, 40]
    assert list(description["signatures"]["recall"]["inputs"]) == ["state", "a", "h"]
    requests = read_warmup(extra / "tf_serving_warmup_requests")
    assert [request.model_spec.signature_name for request in requests] == ["serving_default"] * 2 + ["recall"] * 2
    assert tf.make_ndarray(requests[3].inputs["h"]).tolist() == [0, 0.25, 0.5, 0.75, 1]
    description = json.loads((exported_automaton / "1" / "assets.extra" / "export.json").read_text())
    assert (description["kind"], description["name"]) == ("automaton", "family")
    assert description["states"] == ["Homer", "Marge", "Bart", "Lisa"]
    assert 'name: "family"' in (exported_automaton / "serving" / "models.config").read_text()


def test_what_can_not_be_served_is_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match=r"computes in float32\. Received weights in float64, such as"):
        export_model(CDAMRecall(patterns(), dtype="float64"), tmp_path / "served")
    with pytest.raises(ValueError, match="A served recall model has no limit `max_steps`"):
        export_model(CDAMRecall(patterns()), tmp_path / "served", max_steps=3)
    with pytest.raises(ValueError, match=r"Only these models can be exported: .*FiniteAutomaton\. Received a Dense"):
        export_model(keras.layers.Dense(3), tmp_path / "served")
    keras.Sequential([keras.Input((40,)), CDAMRecall(patterns()), keras.layers.ReLU()]).save(tmp_path / "m.keras")
    assert main([str(tmp_path / "m.keras"), str(tmp_path / "served")]) == 2
    assert "holds a Sequential, which is none of SudokuModel, ImageModel, MemoryClassifier" in capsys.readouterr().err
    assert not (tmp_path / "served").exists()
