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
        ("step=3", "Unknown option 'step'. Did you mean 'steps'"),
        ("learning_rate=-1", "`learning_rate` must be a finite number above 0. Received -1"),
        ("learning_rate=NaN", "a finite number above 0"),
        ("learning_rate=fast", "a finite number above 0. Received 'fast'"),
        ("warmup_steps=-5", "`warmup_steps` must be an integer of at least 0"),
        ('test_steps=["a", null]', "`test_steps` must be a list of integers of at least 1"),
        ("test_steps=[]", "a list of integers"),
        ("test_steps=4", "a list of integers"),
        ("vote_by=mean", "`vote_by` must be one of solution, sum, last, unrest. Received 'mean'"),
        ("symmetries=1", "true or false"),
        ("data=4", "a text"),
        ("final_learning_rate=1.5", "at least 0 and at most 1"),
        ("arguments.connectivity.=3", "is a group"),
        ("steps=3.5", "an integer of at least 1. Received 3.5"),
        ("steps=true", "an integer"),
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
    with pytest.raises(ValueError, match="steps is 1000 there and 7 here, seed is 0 there and 1 here"):
        run.check({**config, "options": LoopOptions(steps=7, seed=1)}, resume=True)
    run.check({**config, "options": LoopOptions(evaluate_every=10, checkpoint_every=20)}, resume=True)
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


def test_settings_reach_into_groups_of_groups():
    options = with_settings(
        SudokuOptions(), ["arguments.connectivity.heads=2", "arguments.connectivity.use_bias=false"]
    )
    assert options.arguments == {"connectivity": {"heads": 2, "use_bias": False}}
    with pytest.raises(ValueError, match="no group but 2"):
        with_settings(options, ["arguments.connectivity.heads.more=2"])


def test_a_solver_is_chosen_by_its_name():
    from keras_kuramoto.solvers import AdaptiveSolver, FixedStepSolver
    from training.memories.classifiers import ClassifierExperiment
    from training.memories.hopfield_mnist import PRESETS as HOPFIELD

    def solver(options):
        experiment = object.__new__(ClassifierExperiment)
        experiment.options = options
        return experiment.solver()

    adaptive = HOPFIELD["hopfield_digits"]
    assert isinstance(solver(adaptive), AdaptiveSolver)
    assert solver(adaptive).rtol == 1e-2
    # Another name drops the arguments of the old one.
    fixed = with_settings(adaptive, ["solver.name=fixed_step", "solver.num_steps=7"])
    assert isinstance(solver(fixed), FixedStepSolver)
    assert solver(fixed).num_steps == 7
    with pytest.raises(ValueError, match=r"Unknown argument of the solver 'adaptive', 'num_steps'\."):
        solver(with_settings(adaptive, ["solver.num_steps=7"]))
    with pytest.raises(ValueError, match=r"Unknown solver 'adaptiv'. Did you mean 'adaptive'"):
        with_settings(adaptive, ["solver.name=adaptiv"])


def test_an_evaluation_changes_what_concerns_it_alone():
    options = with_settings(SudokuOptions(), ["votes=3", "test_steps=[7]"], evaluation=True)
    assert (options.votes, options.test_steps) == (3, [7])
    with pytest.raises(ValueError, match="'steps' is an option of the training"):
        with_settings(SudokuOptions(), ["steps=3"], evaluation=True)
    with pytest.raises(ValueError, match=r"Unknown option of the evaluation 'vote'. Did you mean 'votes'"):
        with_settings(SudokuOptions(), ["vote=3"], evaluation=True)


def test_runs_of_version_0_2_go_on(tmp_path):
    """Their configurations lack newer options, and write down solvers and heads in another way."""
    from training.memories.memory_editing import PRESETS as EDITING
    from training.memories.memory_editing import EditingOptions

    old = {"steps": 600, "solver": {"num_steps": 12}}
    assert EditingOptions.from_saved(old).solver == {"name": "fixed_step", "num_steps": 12}
    assert EditingOptions.from_saved({"solver": {"rtol": 0.1}}).solver == {"name": "adaptive", "rtol": 0.1}
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "experiment": "sudoku",
                "preset": "sudoku9_small",
                "options": {"model": "sudoku9_small", "arguments": {"heads": 2}, "test_steps": [16, 64, 128]},
            }
        )
    )
    options = SudokuOptions(arguments={"connectivity": {"heads": 2}}, test_steps=[16, 64, 128])
    config = {"experiment": "sudoku", "preset": "sudoku9_small", "options": options}
    RunDirectory(tmp_path).check(config, resume=True)
    with pytest.raises(ValueError, match="votes is 1 there and 3 here"):
        RunDirectory(tmp_path).check({**config, "options": with_settings(options, ["votes=3"])}, resume=True)
    assert EDITING["swap_digits"].solver["name"] == "fixed_step"


def test_every_preset_names_a_model_that_exists():
    from keras_kuramoto.models import SudokuModel

    assert {options.model for options in PRESETS.values()} <= set(SudokuModel.presets)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sudoku", "--preset", "sudoku5"], "Unknown preset 'sudoku5'. Did you mean"),
        (["sudoku", "--preset", "sudoku4_quik"], "Did you mean 'sudoku4_quick'"),
        (["sudoku", "--preset", "sudoku4_quick", "--set", "arguments.chanels=3"], "Did you mean 'channels'?"),
        (["sudoku", "--preset", "sudoku4_quick", "--set", "arguments.connectivity.head=3"], "Did you mean 'heads'?"),
        (["sudoku", "--preset", "sudoku4_quick", "--set", "stepz=3"], "Unknown option 'stepz'"),
        (["sudoku", "--preset", "sudoku4_quick", "--strategy", "abacus"], "Unknown strategy 'abacus'"),
        (["evaluate", "nothing"], "neither a run directory"),
        (["evaluate", "nothing.keras"], "neither a run directory"),
        (["evaluate", "sudoku9_paper"], "No trained weights"),
        (["evaluate", "sudoku9_paper", "--set", "votes=0"], "`votes` must be an integer of at least 1"),
        (["evaluate", "sudoku9_small", "--set", "steps=3"], "'steps' is an option of the training"),
        (["evaluate", "sudoku9_small", "--preset", "sudoku9_smal"], "Did you mean 'sudoku9_small'"),
        (["evaluate", "sudoku9_small", "--set", "test_data=nothing.txt"], "nothing.txt"),
    ],
)
def test_bad_commands_give_one_line_and_exit_code_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
