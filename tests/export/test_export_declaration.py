"""What is declared of served models, and that requests are checked by it."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from export.__main__ import main
from export.check import check
from export.declaration import Declaration, Family, Setting, Signature, Tensor, table
from export.families import FAMILIES, SUDOKU
from export.golden import Case
from export.guards import faulty_cases, guarded
from export.saved_model import export_model
from export.versions import read_declaration

THING = Family(
    "thing",
    "Does things.",
    (
        Signature(
            "serving_default",
            "All of it.",
            (
                Tensor("x", "float32", ("size", 2), "numbers", "-most", "most"),
                Tensor("count", "int32", (), "a count", 1, "max_count", scalar=True, needs="words"),
                Tensor("text", "string", (), "words", 1, 5, needs="words"),
            ),
            (Tensor("y", "float32", ("size",), "sums"),),
        ),
        Signature("other", "Less.", (Tensor("index", "int32", (), "an index", 0, "size"),), (), needs="words"),
    ),
    (Setting("most", "largest value", 2.5, whole=False), Setting("max_count", "largest count", needs="words")),
)


def declared(**given):
    settings = THING.settle(given, {"max_count": 9}, {"words"})
    return THING.declare({"size": 3}, settings, {"words"})


def test_numbers_take_the_places_of_names():
    declaration = declared(max_batch=4)
    assert declaration.settings == {"max_batch": 4, "most": 2.5, "max_count": 9}
    x, count, text = declaration.signatures["serving_default"].inputs
    assert (x.shape, x.lowest, x.highest, x.limit) == ((3, 2), -2.5, 2.5, "most")
    assert (count.highest, count.limit, text.limit) == (9, "max_count", "")
    (index,) = declaration.signatures["other"].inputs
    # A size is no limit that an export could change.
    assert (index.highest, index.limit) == (3, "")
    assert Declaration.from_json(json.loads(json.dumps(declaration.to_json()))) == declaration
    less = THING.declare({"size": 3}, THING.settle({}, {}, set()))
    assert list(less.signatures) == ["serving_default"]
    assert [tensor.name for tensor in less.signatures["serving_default"].inputs] == ["x"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_batch": 0}, "`max_batch` must be an integer of at least 1. Received 0"),
        ({"max_batch": True}, "`max_batch` must be an integer"),
        ({"max_batch": 2.0}, "`max_batch` must be an integer"),
        ({"most": -1}, "`most` must be a finite number of at least 0. Received -1"),
        ({"most": float("nan")}, "`most` must be a finite number"),
        ({"most": float("inf")}, "`most` must be a finite number"),
        ({"min": 3}, "A served thing model has no limit `min`. This one has: max_batch, max_count, most"),
    ],
)
def test_bad_settings(given, message):
    with pytest.raises(ValueError, match=message):
        declared(**given)
    with pytest.raises(ValueError, match="has no limit `max_count`"):
        THING.settle({"max_count": 3}, {}, set())


def test_a_description_without_a_declaration():
    for damaged in ({}, {"signatures": ["a"]}, {**declared().to_json(), "settings": None}):
        with pytest.raises(ValueError, match=r"does not say what it takes.*Export the model anew"):
            Declaration.from_json(damaged)


def run(inputs, max_batch=4):
    signature = declared().signatures["serving_default"]
    specs = [
        tf.TensorSpec(None if tensor.scalar else (None, *tensor.shape), tensor.dtype) for tensor in signature.inputs
    ]
    function = tf.function(
        lambda x, count, text: guarded(signature, max_batch, {"x": x, "count": count, "text": text}),
        input_signature=specs,
        autograph=False,
    )
    return function(*inputs.values())


def good():
    return {"x": np.full((2, 3, 2), 2.5, np.float32), "count": np.int32([1, 9]), "text": np.array([b"a", b"abcde"])}


def test_what_is_right_passes_with_scalars_for_each_example():
    checked = run(good())
    for name, value in good().items():
        np.testing.assert_array_equal(checked[name], value)
    assert run({**good(), "count": np.int32(7)})["count"].numpy().tolist() == [7, 7]


def test_all_that_is_checked_is_refused_when_it_is_wrong():
    signature = declared().signatures["serving_default"]
    cases = faulty_cases(Case("serving_default", good()), signature, 4)
    # Two sizes of the batch, two numbers of entries, and values: five of floats, four of integers, two of bytes.
    assert len(cases) == 2 + 2 + 5 + 4 + 2
    for case in cases:
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            run(case.inputs)
        assert case.error in str(caught.value), case.fault
    for changes, message in (
        ({"count": np.int32([[1, 2]])}, "`count` must have one entry for each example of `x`, or be a scalar"),
        ({"text": np.array([b"a"])}, "`text` must have one entry for each example of `x`"),
        (
            {"text": np.array([b"a", b"abcdef"])},
            r"`text` must be of 1 to 5 bytes each. Shortest and longest:\] \[1 6\]",
        ),
        ({"count": np.int32([1, 10])}, r"`count` must be from 1 to 9, the limit `max_count`.* \[1 10\]"),
        # The first of several is told of.
        ({"x": good()["x"][:0], "count": np.int32([0])}, "`x` must hold from 1 to 4 examples, the limit `max_batch`"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            run({**good(), **changes})


def test_the_table_tells_of_families_and_of_models():
    lines = table(THING).splitlines()
    assert lines[2] == "| `serving_default` | in | `x` | float32 (B, size, 2) | -most to most | numbers |"
    assert lines[4] == "| | | `text` | string (B,) | 1 to 5 bytes | words (models with words) |"
    assert lines[5] == "| | out | `y` | float32 (B, size) | | sums |"
    assert lines[6] == "| `other`, with words | in | `index` | int32 (B,) | 0 to size | an index |"
    lines = table(declared()).splitlines()
    assert lines[2] == "| `serving_default` | in | `x` | float32 (B, 3, 2) | -2.5 to 2.5 | numbers |"
    assert lines[3] == "| | | `count` | int32 (B,) or a scalar | 1 to 9 | a count |"


def test_declarations_need_neither_tensorflow_nor_keras():
    program = "import sys, export.families; print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout == "set()\n"


def test_names_in_declarations_are_told_apart():
    for kind, family in FAMILIES.items():
        assert family.kind == kind
        for signature in family.signatures:
            for tensors in (signature.inputs, signature.outputs):
                names = [tensor.name for tensor in tensors]
                assert len(names) == len(set(names))
            assert not signature.inputs[0].scalar
            assert not signature.inputs[0].needs


def test_limits_of_the_export_are_those_of_the_version(model, model_file, tmp_path, capsys):
    limits = ["--max-batch", "3", "--max-steps", "5", "--max-samples", "2"]
    assert main([str(model_file), str(tmp_path / "served"), *limits]) == 0
    capsys.readouterr()
    declaration = read_declaration(tmp_path / "served" / "1")
    assert declaration.settings == {"max_batch": 3, "max_steps": 5, "tolerance": 0.0, "max_samples": 2}
    assert declaration.text == SUDOKU.text
    assert "max_batch_size { value: 3 }" in (tmp_path / "served" / "serving" / "batching.config").read_text()
    signatures = tf.saved_model.load(str(tmp_path / "served" / "1")).signatures
    board = tf.zeros((4, 4, 4), tf.int32)
    for inputs, message in (
        (
            {"board": board, "num_steps": [1] * 4},
            r"1 to 3 examples, the limit `max_batch`. Its shape:\] \[4 4 4\]",
        ),
        ({"board": board[:1], "num_steps": [6]}, "`num_steps` must be from 1 to 5, the limit `max_steps`"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            signatures["solve_steps"](**{name: tf.constant(value) for name, value in inputs.items()})
    # At batches of 1, 2 and 3, and what must be refused is.
    result = check(tmp_path / "served", model)
    assert result.passed
    assert {row.examples for row in result.rows if row.difference is not None} == {"1, 2, 3"}
    with pytest.raises(ValueError, match=r"batches of up to 3 examples, more than `max_batch`, 2, which this"):
        export_model(model, tmp_path / "served", max_batch=2)
    assert sorted(path.name for path in (tmp_path / "served").iterdir()) == ["1", "serving"]


def test_another_declaration_than_the_graphs_is_noticed(exported, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setenv("CC", "compiler-that-is-not-there")
    copy = shutil.copytree(exported, tmp_path / "copy")
    path = copy / "1" / "assets.extra" / "export.json"
    description = json.loads(path.read_text())
    description["signatures"]["vote"]["outputs"]["sample"]["dtype"] = "int64"
    path.write_text(json.dumps(description))
    (row,) = [row for row in check(copy).rows if row.what == "signatures"]
    assert len(row.problems) == 1
    assert "the outputs of vote are" in row.problems[0]


def test_the_page_of_signatures_is_what_the_command_prints(capsys):
    assert main(["describe"]) == 0
    page = pathlib.Path(__file__).parents[2] / "docs" / "guides" / "signatures.md"
    assert page.read_text(encoding="utf-8").endswith("\n\n" + capsys.readouterr().out)
