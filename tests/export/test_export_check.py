import dataclasses
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from export import fresh_process
from export.__main__ import main
from export.golden import differences, load_cases, save_cases
from keras_kuramoto.models import SudokuModel

NO_COMPILER = "compiler-that-is-not-there"


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def test_check_passes_in_python_and_through_the_c_api(exported, capsys):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    assert main(["check", str(exported)]) == 0
    text = capsys.readouterr().out
    assert "All checks passed." in text
    assert "FAILED" not in text
    assert "SKIPPED" not in text
    for signature in ("serving_default", "solve_steps", "vote", "vote (scalars)"):
        for where in ("golden, Python", "Python, C API"):
            assert any(line.startswith(f"{signature}  ") and where in line for line in text.splitlines())
    assert "StatelessRandomNormalV2" in text


def test_check_fails_on_other_answers_than_the_golden_ones_and_than_another_models(copy, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CC", NO_COMPILER)
    path = copy / "1" / "assets.extra" / "golden.npz"
    cases = load_cases(path)
    cases[0].outputs["solution"][4, 1, 1] %= 4
    cases[0].outputs["solution"][4, 1, 1] += 1
    cases[1].outputs["energy"][0] += 1
    fault = cases[-1]
    assert fault.fault
    # One that the model answers to, and one that it rejects with another message.
    cases.append(dataclasses.replace(cases[0].examples(1), outputs={}, fault="one", error=fault.error))
    fault.error = "another message"
    save_cases(path, cases)
    keras.utils.set_random_seed(1)
    SudokuModel.from_preset("sudoku4_quick", load_weights=False, num_steps=6).save(tmp_path / "other.keras")
    assert main(["check", str(copy), "--against", str(tmp_path / "other.keras")]) == 1
    lines = capsys.readouterr().out.splitlines()
    failed = [line for line in lines[:-1] if "FAILED" in line]
    golden, against, rejected = (
        [line for line in failed if part in line] for part in ("golden, Python", "Keras now", fault.error)
    )
    assert [line.split()[0] for line in golden] == ["serving_default", "solve_steps"]
    assert (
        "FAILED: 7 examples: solution differs in 1 of 112 values; 32 examples: solution differs in 6 of 512"
        in golden[0]
    )
    assert "FAILED: 1 examples: energy differs" in golden[1]
    assert len(against) == 5
    assert len(rejected) == 1
    assert any("FAILED: the model answered to a one" in line for line in failed)
    assert any("golden.npz was changed" in line for line in failed)
    assert len(failed) == 2 + 5 + 1 + 1 + 1
    # Without a compiler the rest is checked, and the result says so.
    assert any(f"SKIPPED: no C compiler ({NO_COMPILER}) was found" in line for line in lines)


def test_check_names_a_missing_or_damaged_file(copy, tmp_path, capsys):
    assert main(["check", str(tmp_path / "nothing")]) == 2
    assert "holds no exported model" in capsys.readouterr().err
    golden = copy / "1" / "assets.extra" / "golden.npz"
    golden.write_bytes(golden.read_bytes()[:100])
    assert main(["check", str(copy)]) == 2
    assert "is damaged" in capsys.readouterr().err
    golden.unlink()
    assert main(["check", str(copy)]) == 2
    assert "was not written by this exporter" in capsys.readouterr().err


def test_ops_that_a_server_lacks_are_found():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def python(x):
        return tf.numpy_function(np.sin, [x], tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def compiled(x):
        return tf.function(lambda x: tf.cast(tf.cast(x, tf.bfloat16), tf.float32), jit_compile=True)(x)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def placed(x):
        with tf.device("/GPU:0"):
            return x + 1

    def problems(function):
        return " ".join(fresh_process._ops(function.get_concrete_function().graph.as_graph_def())[1])

    assert "PyFunc" in problems(python)
    assert "compiled by XLA" in problems(compiled)
    assert "bfloat16" in problems(compiled)
    assert "placed on" in problems(placed)
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="a", op="SomebodysOp")
    assert "SomebodysOp" in fresh_process._ops(graph)[1][0]


def test_differences():
    one = {"a": np.array([1.0, 100.0], np.float32), "b": np.array([1, 2])}
    assert differences(one, one) == (0, [])
    largest, problems = differences({**one, "a": one["a"] * np.float32(1.00001)}, one)
    assert 1e-6 < largest < 1e-4
    assert not problems
    assert "a differs" in differences({**one, "a": one["a"] + np.nan}, one)[1][0]
    assert "b differs in 1 of 2" in differences({**one, "b": np.array([1, 3])}, one)[1][0]
    assert "not" in differences({**one, "b": np.array([[1, 2]])}, one)[1][0]
    assert "outputs are" in differences({"a": one["a"]}, one)[1][0]
    # Bytes of any length, in arrays whose dtype has that of the longest.
    names = {"name": np.array([b"Lisa", b"Bart", b"Homer"])}
    assert differences({"name": np.array([b"Lisa", b"Bart", b"Homer, dad"])[[0, 1, 2]]}, names)[1] == [
        "name differs in 1 of 3 values"
    ]
    assert differences({"name": names["name"][:2]}, {"name": np.array([b"Lisa", b"Bart"])})[1] == []
