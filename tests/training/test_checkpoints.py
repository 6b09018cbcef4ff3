"""Checkpoints: whole or not there, the newest whole one is restored, the best one is kept."""

import json
import resource

import numpy as np
import pytest
import tensorflow as tf

from training.checkpoints import Checkpoints
from training.failures import FilesError


def variables():
    return {
        "model": [tf.Variable(np.arange(6, dtype="float32").reshape(2, 3)), tf.Variable(tf.ones(4, tf.bfloat16))],
        "seeds": [tf.Variable([7, 8], dtype=tf.uint32), tf.Variable(2**40 + 1, dtype=tf.int64)],
    }


def saved(path, updates, **options):
    """Checkpoints in which the first number is that of the update."""
    state = variables()
    checkpoints = Checkpoints(path, state, **{"keep": 3, **options})
    for update in updates:
        state["model"][0][0, 0].assign(update)
        checkpoints.save(update)
        # It was copied: what happens to the variable now is not in it.
        state["model"][0].assign(-tf.ones((2, 3)))
    checkpoints.wait()
    return checkpoints


def names(path):
    return sorted(entry.name for entry in path.iterdir())


def test_variables_of_all_types_come_back_bit_for_bit(tmp_path):
    saved(tmp_path, [5])
    state = variables()
    for variable in tf.nest.flatten(state):
        variable.assign(tf.zeros_like(variable))
    assert Checkpoints(tmp_path, state, keep=3).restore() == (5, [])
    wanted = variables()
    wanted["model"][0][0, 0].assign(5)
    for found, value in zip(tf.nest.flatten(state), tf.nest.flatten(wanted)):
        np.testing.assert_array_equal(found.numpy(), value.numpy())


def test_without_a_checkpoint_nothing_changes(tmp_path):
    assert Checkpoints(tmp_path / "none", variables(), keep=3).restore() == (0, [])


def test_the_latest_and_the_best_are_kept(tmp_path):
    checkpoints = saved(tmp_path, [], keep=2, best="min")
    better = []
    for update, rating in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 5.0), (5, float("nan"))):
        checkpoints.save(update)
        better.append(checkpoints.rate(update, rating))
    assert better == [True, True, False, False, False]
    assert names(tmp_path) == ["update-00000002", "update-00000004", "update-00000005"]


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGES = {
    "a file that is cut": (lambda p: cut(p / "state.data-00000-of-00001"), "has bytes"),
    "a bit that flipped": (lambda p: flip(p / "state.data-00000-of-00001"), "has SHA-256"),
    "another bit": (lambda p: flip(p / "state.index"), "has SHA-256"),
    "a file that is gone": (lambda p: (p / "state.index").unlink(), "'state.index' is missing"),
    "no manifest": (lambda p: (p / "manifest.json").unlink(), "'manifest.json' is missing"),
    "half a manifest": (lambda p: cut(p / "manifest.json"), "can't be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(tmp_path, damage):
    checkpoints = saved(tmp_path, [1, 2, 3])
    change, words = DAMAGES[damage]
    change(tmp_path / "update-00000003")
    update, lines = checkpoints.restore()
    assert update == 2
    assert len(lines) == 1
    assert "update-00000003' is damaged" in lines[0]
    assert words in lines[0]
    # It is written anew when the training comes there.
    checkpoints.save(3)
    checkpoints.wait()
    assert checkpoints.restore() == (3, [])


def test_no_whole_checkpoint_is_no_start_from_the_beginning(tmp_path):
    checkpoints = saved(tmp_path, [1, 2])
    for path in tmp_path.iterdir():
        cut(path / "manifest.json")
    with pytest.raises(ValueError, match=r"None of the 2 checkpoints in .* is whole") as error:
        checkpoints.restore()
    assert "\n" not in str(error.value)
    assert names(tmp_path) == ["update-00000001", "update-00000002"]


def test_what_a_killed_process_leaves_is_no_checkpoint_and_is_cleared_away(tmp_path):
    checkpoints = saved(tmp_path, [1])
    left = tmp_path / "incomplete-update-00000002"
    left.mkdir()
    (left / "state.index").write_bytes(b"half")
    assert checkpoints.restore() == (1, [])
    checkpoints.save(3)
    checkpoints.wait()
    assert names(tmp_path) == ["update-00000001", "update-00000003"]


def test_a_file_that_can_not_be_written_leaves_the_last_checkpoint(tmp_path):
    state = variables()
    state["model"].append(tf.Variable(tf.zeros(300_000)))
    checkpoints = Checkpoints(tmp_path, state, keep=2)
    checkpoints.save(1)
    checkpoints.wait()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As on a full disk, the system refuses in the middle of the file.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        checkpoints.save(2)
        with pytest.raises(FilesError, match=r"checkpoint of update 2 can't be written.*last whole one is of update 1"):
            checkpoints.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["update-00000001"]
    assert checkpoints.restore() == (1, [])


def test_checkpoints_of_version_0_4_are_restored(tmp_path):
    state = variables()
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(**state), str(tmp_path), 2)
    for update in (10, 20):
        state["model"][0][0, 0].assign(update)
        manager.save(checkpoint_number=update)
    found = variables()
    checkpoints = Checkpoints(tmp_path, found, keep=2)
    assert checkpoints.restore() == (20, [])
    assert found["model"][0][0, 0].numpy() == 20
    flip(tmp_path / "ckpt-20.data-00000-of-00001")
    update, lines = checkpoints.restore()
    assert (update, len(lines)) == (10, 1)
    assert found["model"][0][0, 0].numpy() == 10


def test_the_manifest_says_what_is_there(tmp_path):
    saved(tmp_path, [7])
    manifest = json.loads((tmp_path / "update-00000007" / "manifest.json").read_text())
    assert manifest["update"] == 7
    assert sorted(manifest["files"]) == ["state.data-00000-of-00001", "state.index"]
