"""The Hopfield memory that tells digits apart, and oscillators beside it."""

import json

import numpy as np
import pytest
from picture_helpers import check_picture

from training.__main__ import main
from training.source import load_model


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def hopfield(data_dir, tmp_path_factory):
    """The run of the preset for scikit-learn's digits."""
    path = tmp_path_factory.mktemp("runs") / "hopfield"
    run = ["--data-dir", data_dir, "--run-dir", str(path)]
    assert main(["hopfield_mnist", "--preset", "hopfield_digits", *run]) == 0
    return path


def table(path):
    return json.loads((path / "results.json").read_text())[-1]["table"]


def test_the_hopfield_memory_learns_the_digits(hopfield):
    test = table(hopfield)["accuracy"]["test"]
    assert test["original"] >= 0.95
    # A fifth of the images are zeros and ones: swapped, they are all wrong, conflated every second one.
    assert test["original"] - test["swap"] == pytest.approx(0.2, abs=0.03)
    assert test["original"] - test["conflation"] == pytest.approx(0.1, abs=0.03)
    assert test["associative_swap"] == pytest.approx((test["original"] + test["swap"]) / 2)
    check_picture(hopfield / "accuracy.png")
    check_picture(hopfield / "energy.png")


def test_a_run_is_evaluated_on_as_many_images_as_one_asks_for(hopfield, data_dir, capsys):
    before = table(hopfield)
    assert main(["evaluate", str(hopfield), "--data-dir", data_dir, "--set", "test_images=50"]) == 0
    results = hopfield / "results.json"
    *kept, last = json.loads(results.read_text())
    results.write_text(json.dumps(kept))
    assert kept[-1]["table"] == before
    assert last["evaluation"]["test_images"] == 50
    assert last["test"]["accuracy"] == last["table"]["accuracy"]["test"]["original"]
    # Of fifty images.
    assert last["test"]["accuracy"] * 50 == pytest.approx(round(last["test"]["accuracy"] * 50))
    assert capsys.readouterr().out.startswith(f"accuracy  {last['test']['accuracy']:.4f}")


# Fewer updates than the presets make, and enough. An associative conflation takes all of them, in the same code.
@pytest.mark.parametrize(("task", "steps"), [("swap", 100), ("conflation", 150), ("associative_swap", 200)])
def test_oscillators_edit_what_the_hopfield_memory_knows_and_leave_it_as_it_was(
    hopfield, data_dir, tmp_path, task, steps
):
    path = tmp_path / "edit"
    run = ["--data-dir", data_dir, "--run-dir", str(path), "--hopfield", str(hopfield), "--set", f"steps={steps}"]
    assert main(["memory_editing", "--preset", f"{task}_digits", *run]) == 0
    edited, trained = load_model(str(path)), load_model(str(hopfield))
    for mine, theirs in zip(edited.memory.hopfield.get_weights(), trained.memory.get_weights()):
        np.testing.assert_array_equal(mine, theirs)
    row, pretrained = table(path)["test"], table(hopfield)["accuracy"]["test"]
    assert row["pretrained"] == pytest.approx(pretrained["original"])
    assert row["before"] == pytest.approx(pretrained[task], abs=0.01)
    assert row["recovered"] == pytest.approx((row["after"] - row["before"]) / (row["pretrained"] - row["before"]))
    assert row["recovered"] >= 0.5
    for name in ("accuracy.png", "energy.png", "gram.png"):
        check_picture(path / name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([], "--hopfield"),
        (["--hopfield", "nowhere"], "nowhere"),
        (["--set", "task=rotation"], "rotation"),
        (["--set", "oscillator_dim=1"], "oscillator_dim"),
    ],
)
def test_bad_options_are_refused_before_a_run_is_made(data_dir, tmp_path, capsys, changes, message):
    run = ["--data-dir", data_dir, "--run-dir", str(tmp_path / "run")]
    assert main(["memory_editing", "--preset", "swap_digits", *run, *changes]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_too_many_neighbours_are_refused(hopfield, data_dir, tmp_path, capsys):
    run = ["--data-dir", data_dir, "--run-dir", str(tmp_path / "run"), "--hopfield", str(hopfield)]
    assert main(["memory_editing", "--preset", "swap_digits", *run, "--set", "neighbours=200"]) == 2
    assert "neighbours" in capsys.readouterr().err


def test_the_same_units_do_what_the_oscillators_choose(data_dir, tmp_path):
    path = tmp_path / "run"
    # A third of the preset's updates.
    run = ["--data-dir", data_dir, "--run-dir", str(path), "--set", "steps=200"]
    assert main(["multiplexing", "--preset", "multiplexing_digits", *run]) == 0
    # Input A aligns the two groups of oscillators, input B makes them orthogonal: Example 4.
    assert table(path)["input_A"]["alignment_1"] == pytest.approx(1, abs=0.01)
    assert table(path)["input_B"]["alignment_1"] == pytest.approx(0, abs=0.01)
    # Each time the classes are those of the one task and of no other.
    for own, other in ("AB", "BA"):
        assert table(path)[f"input_{own}"][f"task_{own}"] >= 0.85
        assert table(path)[f"input_{own}"][f"task_{other}"] <= 0.05
    for name in ("accuracy.png", "energy.png", "gram.png"):
        check_picture(path / name)
