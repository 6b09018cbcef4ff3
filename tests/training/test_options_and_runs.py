"""Settings, run directories, and what the command line says of bad input."""

import json

import pytest

from training.__main__ import main
from training.options import LoopOptions, with_settings
from training.runs import RunDirectory
from training.sudoku import PRESETS, SudokuOptions


def test_settings_change_numbers_lists_strings_and_groups():
    options = with_settings(
        SudokuOptions(), ["steps=20", "learning_rate=1", "test_steps=[4, 8]", "data=4x4", "arguments.channels=32"]
    )
    assert (options.steps, options.learning_rate, options.test_steps) == (20, 1.0, [4, 8])
    assert options.data == "4x4"
    assert options.arguments == {"channels": 32}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps", "name=value"),
        ("step=3", "Unknown option 'step'"),
        ("steps=3.5", "type int"),
        ("steps=true", "type int"),
        ("arguments=3", "is a group"),
        ("steps.x=3", "not a group"),
        ("steps=0", "at least 1"),
        ("checkpoint_every=7", "multiple of `steps_per_call`"),
        ("min_steps=3", "at most `max_steps`"),
    ],
)
def test_bad_settings_say_what_is_wrong(setting, message):
    with pytest.raises(ValueError, match=message):
        with_settings(SudokuOptions(), [setting])


def test_a_directory_keeps_the_run_it_holds(tmp_path):
    run = RunDirectory(tmp_path / "run")
    config = {"experiment": "sudoku", "preset": "p", "options": LoopOptions()}
    run.check(config)
    run.create(config)
    run.check(config, resume=True)
    with pytest.raises(ValueError, match="--resume"):
        run.check(config)
    with pytest.raises(ValueError, match="steps is 1000 there and 7 here"):
        run.check({**config, "options": LoopOptions(steps=7)}, resume=True)
    with pytest.raises(ValueError, match="another run"):
        run.check({**config, "preset": "q"})


def test_a_directory_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(ValueError, match="not a run directory"):
        RunDirectory(tmp_path).check({"experiment": "sudoku", "preset": "p", "options": LoopOptions()})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_results_are_added_one_by_one(tmp_path):
    run = RunDirectory(tmp_path)
    run.add_result({"a": 1})
    run.add_result({"b": 2})
    assert json.loads(run.results.read_text()) == [{"a": 1}, {"b": 2}]


def test_a_file_of_boards_is_checked_line_by_line(tmp_path):
    from training.commands.evaluate import _boards_of

    path = tmp_path / "boards.txt"
    path.write_text("1234341221434321\n\n12..34..........\n")
    assert _boards_of(str(path), None)["puzzle"].shape == (2, 4, 4)
    path.write_text("1234341221434321\n11..............\n")
    with pytest.raises(ValueError, match=r"Line 2 of '.*boards\.txt' is no board: .*"):
        _boards_of(str(path), None)
    path.write_text("123....4........\n")
    with pytest.raises(ValueError, match="Board 1 of"):
        _boards_of(str(path), None)


def test_every_preset_names_a_model_that_exists():
    from keras_kuramoto.models import SudokuModel

    assert {options.model for options in PRESETS.values()} <= set(SudokuModel.presets)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sudoku", "--preset", "sudoku5"], "Unknown preset 'sudoku5'. Known: sudoku4_quick"),
        (["sudoku", "--preset", "sudoku4_quick", "--set", "stepz=3"], "Unknown option 'stepz'"),
        (["sudoku", "--preset", "sudoku4_quick", "--strategy", "abacus"], "Unknown strategy 'abacus'"),
        (["evaluate", "nothing"], "neither a run directory"),
        (["evaluate", "nothing.keras"], "neither a run directory"),
        (["evaluate", "sudoku9_paper"], "No trained weights"),
        (["evaluate", "sudoku9_paper", "--votes", "0"], "--votes must be at least 1"),
    ],
)
def test_bad_commands_give_one_line_and_exit_code_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
