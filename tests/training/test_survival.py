"""Trainings that are killed, told to end, or hindered: each in a process of its own, forked from one.

`lives.py` has the experiment. All is told by what a user sees: the exit code, the last lines, and what is on the disk.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from training.experiment import shuffled_rows
from training.options import LoopOptions

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each of the scenes came to, by name; see `scenes.py`."""
    path = tmp_path_factory.mktemp("lives")
    result = subprocess.run(
        [sys.executable, str(ROOT / "tests/training/scenes.py"), str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"},
        timeout=550,
    )
    assert result.returncode == 0, (result.stdout[-1000:], result.stderr[-3000:])
    return json.loads((path / "told.json").read_text())


def last_line(text):
    return text.strip().splitlines()[-1]


def test_killed_at_random_moments_it_ends_with_the_same_weights(told):
    assert len(told["killed"]["at"]) == 4
    assert told["killed"]["differ"] == []
    assert told["killed"]["results"] == told["alone"]["results"]


def test_the_best_checkpoint_and_model_are_kept(told):
    assert 400 in told["alone"]["checkpoints"]
    assert {"model.keras", "best.keras"} <= set(told["alone"]["files"])


def test_sigterm_leaves_a_checkpoint_and_an_exit_status_of_its_own(told):
    scene = told["terminated"]
    assert scene["code"] == 143
    assert f"Stopped after update {scene['newest']}. Go on with --resume." in scene["text"]
    assert scene["resumed"] == 0
    assert scene["differ"] == []


def test_a_second_ctrl_c_ends_at_once(told):
    scene = told["impatient"]
    assert scene["lives_on"]
    assert scene["code"] == 130
    assert "Ended at once" in scene["text"]


def test_two_runs_in_one_directory(told):
    code, text = told["impatient"]["second"]
    assert code == 2
    assert "error: Another process trains in " in last_line(text)
    assert f"process {told['impatient']['pid']} on " in last_line(text)


def test_a_loss_that_is_not_a_number(told):
    scene = told["spoilt"]
    assert scene["code"] == 3
    line = last_line(scene["text"])
    assert f"The loss is not finite at update {scene['diverged']['update']}, of the training examples " in line
    assert f"The last good checkpoint is of update {scene['newest']}" in line
    assert "a lower learning_rate (here 0.01)" in line
    # The row is in the batch of that update, and in none before.
    with_it = (
        update + 1
        for update in range(8)
        if scene["row"] in shuffled_rows(tf.constant(update, tf.int64), 64, LoopOptions(batch_size=8))
    )
    assert scene["diverged"]["update"] == next(with_it)
    assert scene["row"] in scene["diverged"]["rows"]
    assert scene["newest"] < scene["diverged"]["update"]
    assert scene["finite"]


def test_data_that_is_damaged_while_a_run_reads_it(told):
    scene = told["damaged"]
    assert scene["code"] == 4
    line = last_line(scene["text"])
    assert line.startswith("error: The training data is damaged: corrupted record at ")
    assert line.endswith("Delete the data set, so that it is prepared again, and go on with --resume.")
    assert scene["newest"] >= 20


def test_a_name_of_no_metric_is_refused_before_the_first_update(told):
    scene = told["misnamed"]
    assert scene["code"] == 1
    assert last_line(scene["text"]) == (
        "error: `best_metric` must be a number of the evaluation: error. Received 'accuracy'."
    )
    assert scene["newest"] == 0


def test_a_full_disk(told):
    scene = told["full"]
    assert scene["code"] == 4
    line = last_line(scene["text"])
    assert line.startswith("error: The checkpoint of update ")
    assert "File too large. The last whole one is of update " in line
    assert scene["resumed"] == 0


def test_a_directory_without_rights(told):
    scene = told["forbidden"]
    assert scene["code"] == 2
    assert "can't be written: Permission denied" in last_line(scene["text"])
    assert scene["files"] == []


def test_a_profile_of_some_updates(told):
    assert any(name.endswith(".xplane.pb") for name in told["profiled"]["files"])
    assert told["profiled"]["differ"] == []
    assert {"train/input_wait", "train/step_seconds", "test/error"} <= set(told["profiled"]["tags"])


def test_an_update_is_no_time_that_input_was_waited_for(told):
    assert 0 < np.median(told["in_one_thread"]["waits"]) < 0.5


def test_a_worker_that_dies_stops_the_others_and_all_go_on(told):
    scene = told["workers"]
    assert scene["code"] == 5
    assert "Another worker does not answer any more" in scene["text"]
    assert scene["seconds"] < 60
    assert scene["resumed"] == [0, 0]
    assert scene["failures"] == [0, 0]
    assert scene["steps"] == 400


def test_a_worker_that_is_told_to_end_stops_all_at_the_same_update(told):
    scene = told["preempted"]
    assert scene["codes"] == [143, 143]
    assert len(set(scene["stopped"])) == 1
    assert scene["newest"] == int(scene["stopped"][0])
