"""Exported models on other runtimes."""

import numpy as np
import pytest

from export.__main__ import main
from export.check import check
from export.runtimes import RUNTIMES, UnsupportedSignatureError, to_onnx
from export.saved_model import export_model
from export.versions import read_declaration
from keras_kuramoto.layers import FiniteAutomaton


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_the_same_answers_at_every_batch_size(exported, name):
    result = check(exported, runtimes=(name,))
    title = RUNTIMES[name].title
    rows = {row.what: row for row in result.rows if row.where == title}
    assert result.passed, result.table()
    for signature in ("serving_default", "solve_steps"):
        assert rows[signature].examples == "1, 2, 7, 32"
        assert rows[signature].difference < 1e-4
    # Initial oscillators of a seed are drawn by TensorFlow only.
    assert "NOT TAKEN" in rows["vote"].note


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_outputs_named_as_inputs_and_names_as_text(tmp_path, name):
    export_model(FiniteAutomaton([("Zoë", "sister", "Lisa"), ("Lisa", "father", "Homer")]), tmp_path)
    result = check(tmp_path, runtimes=(name,))
    assert result.passed, result.table()
    rows = [row for row in result.rows if row.where == RUNTIMES[name].title]
    assert [row.what for row in rows] == ["serving_default", "start"]
    assert not any(row.note for row in rows)


def test_an_onnx_file_has_the_signatures_names(exported, tmp_path, capsys):
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "sudoku.onnx"
    assert main(["onnx", str(exported), str(path), "--signature", "solve_steps"]) == 0
    assert "bytes" in capsys.readouterr().out
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert {one.name: one.shape for one in session.get_inputs()} == {"board": ["batch", 4, 4], "num_steps": ["batch"]}
    declared = read_declaration(exported / "1").signatures["solve_steps"]
    assert {one.name for one in session.get_outputs()} == {tensor.name for tensor in declared.outputs}
    found = session.run(["solution"], {"board": np.zeros((3, 4, 4), np.int32), "num_steps": np.full(3, 2, np.int32)})
    assert found[0].shape == (3, 4, 4)
    assert main(["onnx", str(exported), str(path)]) == 2
    assert "not overwritten" in capsys.readouterr().err
    assert main(["onnx", str(exported), str(tmp_path / "x"), "--signature", "other"]) == 2
    assert "There is no signature 'other'" in capsys.readouterr().err
    assert main(["onnx", str(exported), str(tmp_path / "x"), "--signature", "vote"]) == 2
    assert not (tmp_path / "x").exists()


def test_what_a_runtime_does_not_take_is_an_error(exported):
    with pytest.raises(UnsupportedSignatureError):
        RUNTIMES["openvino"](exported / "1", read_declaration(exported / "1").signatures["vote"])
    with pytest.raises(UnsupportedSignatureError):
        to_onnx(exported, "vote")
