"""The signature that XLA compiles."""

import json

import numpy as np
import pytest
import tensorflow as tf

from export.__main__ import main
from export.saved_model import export_model
from export.server import compiled
from export.servers import server_for
from export.serving import read_warmup
from keras_kuramoto.layers import CDAMRecall

FLAG = "- --xla_cpu_compilation_enabled=true"


@pytest.fixture(scope="module")
def directory(model_file, tmp_path_factory):
    directory = tmp_path_factory.mktemp("served") / "compiled"
    assert main([str(model_file), str(directory), "--xla", "--max-batch", "6"]) == 0
    return directory


def test_it_answers_as_the_default_with_any_number_of_examples(model, boards):
    functions = server_for(model, xla=True).functions
    for number in (1, 2, 3, 5):
        found, wanted = (functions[name](tf.constant(boards[:number])) for name in ("compiled", "serving_default"))
        assert set(found) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_numbers_of_examples_are_filled_up_to_powers_of_two():
    seen = []

    def answer(board):
        seen.append(board.shape[0])
        return {"solution": board}

    respond = compiled(answer)
    for number in (1, 3, 4, 5):
        boards = tf.reshape(tf.range(number * 16), (number, 4, 4))
        np.testing.assert_array_equal(respond(board=boards)["solution"], boards)
    assert seen == [1, 4, 8]


def test_a_version_with_it_is_checked_and_warmed_up_and_served(directory, capsys):
    assert main(["check", str(directory)]) == 0, capsys.readouterr().out
    text = capsys.readouterr().out
    assert sum(line.startswith("compiled  ") for line in text.splitlines()) == 2
    extra = directory / "1" / "assets.extra"
    requests = read_warmup(extra / "tf_serving_warmup_requests")
    sizes = [
        request.inputs["board"].tensor_shape.dim[0].size
        for request in requests
        if request.model_spec.signature_name == "compiled"
    ]
    # More than six are refused, and six are filled up to eight.
    assert sizes == [1, 2, 4, 6]
    assert "compiled" in json.loads((extra / "export.json").read_text())["signatures"]
    assert FLAG in (directory / "serving" / "docker-compose.yml").read_text()


def test_a_server_that_does_not_compile_is_named_before_anything_is_written(model, tmp_path):
    compose = tmp_path / "serving" / "docker-compose.yml"
    compose.parent.mkdir()
    compose.write_text("services: {}\n")
    with pytest.raises(ValueError, match=r"does not compile, .* Add '- --xla_cpu_compilation_enabled=true'"):
        export_model(model, tmp_path, xla=True)
    assert [path.name for path in tmp_path.iterdir()] == ["serving"]


def test_memories_have_none():
    with pytest.raises(ValueError, match="A served recall model has no signature that XLA compiles"):
        server_for(CDAMRecall(np.eye(3)), xla=True)
