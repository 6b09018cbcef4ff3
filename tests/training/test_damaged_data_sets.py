"""Prepared data sets that are damaged on the disk: one line that says which, and what to do."""

import shutil

import pytest
from test_images import command, files  # noqa: F401

from training.__main__ import main
from training.datasets import images, sudoku
from training.datasets.sudoku.builder import Sudoku


@pytest.fixture
def load_images(files, tmp_path):  # noqa: F811
    """Reads ten images that are in idx files, in a data set that is prepared."""
    assert main(command(tmp_path)) == 0
    return lambda: images.load("ten", "train", tmp_path / "data")


@pytest.fixture
def load_boards(tmp_path):
    """Reads a handful of boards."""
    config = Sudoku.builder_configs["4x4"].variant(seed=1, examples={"train": 5, "test": 3})
    return lambda: sudoku.load(config, "train", tmp_path / "data")


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


DAMAGES = {
    "cut in a record": lambda path: cut(path, -3),
    "cut at the start": lambda path: cut(path, 5),
    "empty": lambda path: cut(path, 0),
    "other bytes": lambda path: path.write_bytes(path.read_bytes()[:-20] + bytes(20)),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("load", ["load_images", "load_boards"])
def test_an_error_names_the_directory_and_what_to_do(load, damage, tmp_path, request):
    load = request.getfixturevalue(load)
    load()
    (records,) = (tmp_path / "data").rglob("*-train.*")
    DAMAGES[damage](records)
    with pytest.raises(ValueError, match="is damaged: its split 'train' can't be read") as error:
        load()
    message = str(error.value)
    assert str(records.parent) in message
    assert "Delete this directory, so that it is prepared again" in message
    assert "\n" not in message


def test_a_data_set_that_was_deleted_is_prepared_again(load_boards, tmp_path):
    before = load_boards()["puzzle"]
    (records,) = (tmp_path / "data").rglob("*-train.*")
    cut(records, -3)
    with pytest.raises(ValueError, match="damaged"):
        load_boards()
    shutil.rmtree(records.parent)
    assert (load_boards()["puzzle"] == before).all()
