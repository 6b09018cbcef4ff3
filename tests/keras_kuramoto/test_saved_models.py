"""Files that this version and earlier ones wrote: they load, and the models answer what they answered."""

import keras
import numpy as np
import pytest
from backend_helpers import to_numpy
from saved_models import FOLDER, MODELS

FILES = sorted(FOLDER.glob("*.keras"))


def test_each_kind_of_model_is_there():
    assert {path.stem.rsplit("_", 1)[0] for path in FILES} == set(MODELS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_saved_model_answers_as_it_did(path):
    model = keras.saving.load_model(path)
    with np.load(path.with_suffix(".npz")) as arrays:
        inputs = {name.removeprefix("input/"): arrays[name] for name in arrays.files if name != "answer"}
        answer = to_numpy(model(inputs.get("", inputs)))
        np.testing.assert_allclose(answer, arrays["answer"], atol=1e-4, rtol=1e-4)


def test_what_was_changed_in_a_model_is_in_its_file():
    model = keras.saving.load_model(next(path for path in FILES if path.stem.startswith("sudoku")))
    assert [block.trainable for block in model.network.blocks] == [True, False]
