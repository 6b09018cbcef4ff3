import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest

if keras.backend.backend() != "tensorflow":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def model():
    from keras_kuramoto.models import SudokuModel

    keras.utils.set_random_seed(0)
    return SudokuModel.from_preset("sudoku4_quick", load_weights=False, num_steps=6)


@pytest.fixture(scope="session")
def model_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory):
    """The directory of an exported model with version 1; not to be changed."""
    from export.saved_model import export_model

    directory = tmp_path_factory.mktemp("served") / "sudoku"
    export_model(model, directory)
    return directory


@pytest.fixture(scope="session")
def served(exported):
    """`served(signature, **inputs)` answers with the exported model, as NumPy arrays."""
    import tensorflow as tf

    signatures = tf.saved_model.load(str(exported / "1")).signatures

    def answer(signature, **inputs):
        inputs = {name: tf.constant(value, tf.int32) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in signatures[signature](**inputs).items()}

    return answer


@pytest.fixture(scope="session")
def boards():
    from export.sudoku import sample_boards

    return sample_boards(4)


@pytest.fixture
def board_text(boards):
    return "".join(str(digit) for digit in boards[1].reshape(-1))
