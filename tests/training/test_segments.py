"""Training in segments: what is carried from one update to the next, on any strategy and through a resumption."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tiny
from test_loop import losses_of, start

from training.strategies import make_strategy
from training.update import Update

# How many segments each board is still to have, in a checkpoint.
LEFT = "carried/3/.ATTRIBUTES/VARIABLE_VALUE"
SEGMENTS = {"segments": 3, "segment_noise": 0.05, "weight_decay": 0.1}


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A run in segments on one device, from its first update to its last."""
    trainer = tiny.make_trainer(tmp_path_factory.mktemp("segments") / "run", steps=40, **SEGMENTS)
    trainer.train()
    return trainer


def whole(update):
    """What is carried, of the whole batch."""
    update.carried.collect()
    return dict(update.carried.collected)


def test_the_next_segment_goes_on_from_the_last_state_of_the_same_boards():
    experiment = tiny.TinyExperiment(tiny.options(**{**SEGMENTS, "segment_noise": 0.0}))
    update = Update(experiment, make_strategy("cpu"))
    function, carried, stayed, numbers = tf.function(update), whole(update), 0, set()
    assert not any(value.any() for value in carried.values())
    for batch, shared in experiment.batches(0).take(8):
        goes_on = carried["segments"] > 0
        rows = goes_on[:, None, None]
        puzzle = np.where(rows, carried["puzzle"], batch["puzzle"])
        noise = np.where(rows[..., None], carried["noise"], batch["noise"])
        # The model as it is before this update.
        _, oscillators = update.model.run(
            puzzle, noise, num_steps=int(shared["num_steps"]), goes_on=goes_on, return_oscillators=True
        )
        function((batch, shared))
        left = np.where(goes_on, carried["segments"], batch["segments"]) - 1
        found = whole(update)
        np.testing.assert_array_equal(found["puzzle"], puzzle)
        np.testing.assert_array_equal(found["solution"], np.where(rows, carried["solution"], batch["solution"]))
        np.testing.assert_array_equal(found["segments"], left)
        np.testing.assert_allclose(found["noise"], oscillators, atol=1e-5)
        carried, stayed, numbers = found, stayed + goes_on.sum(), numbers | set(batch["segments"].numpy())
    # Some boards stay, some go.
    assert 0 < stayed < 7 * 8
    assert numbers == {1, 2, 3}


def test_a_resumed_run_carries_on_bit_for_bit(single, tmp_path):
    first = tiny.make_trainer(tmp_path / "run", steps=40, **SEGMENTS)
    first.options = first.options.__class__(**{**first.options.__dict__, "steps": 20})
    first.train()
    assert whole(first._update)["segments"].any()
    second = tiny.make_trainer(tmp_path / "run", steps=40, **SEGMENTS)
    assert second.restore() == 20
    for name, value in whole(second._update).items():
        np.testing.assert_array_equal(value, whole(first._update)[name])
    second.train()
    for a, b in zip(second.average.get_weights(), single.average.get_weights()):
        np.testing.assert_array_equal(a, b)
    for name, value in whole(second._update).items():
        np.testing.assert_array_equal(value, whole(single._update)[name])


def test_two_logical_devices_go_on_as_one_does(tmp_path):
    changes = {**SEGMENTS, "steps": 8}
    one = tiny.make_trainer(tmp_path / "one", **changes)
    one.train()
    # The checkpoint of the fourth update, when boards are in the middle of their segments, is gone on with by two.
    assert np.any(tf.train.load_variable(str(one.checkpoints.path(4) / "state"), LEFT))
    shutil.copytree(one.checkpoints.path(4), tmp_path / "two/checkpoints" / one.checkpoints.path(4).name)
    (two,) = losses_of(start(["mirrored", "2", str(tmp_path / "two"), json.dumps(changes)]))
    # Sums in another order, through four updates: float32's 1e-7, some tens of times over.
    np.testing.assert_allclose(two[-1], tiny.losses(one.run.path)[-1], rtol=1e-5)
    # And one goes on from what both carry.
    other = tiny.make_trainer(tmp_path / "two", **changes)
    assert other.restore() == 8
    found, wanted = whole(other._update), whole(one._update)
    for name in ("puzzle", "solution", "segments"):
        np.testing.assert_array_equal(found[name], wanted[name])
    np.testing.assert_allclose(found["noise"], wanted["noise"], atol=1e-4)


def test_training_in_segments_learns(single):
    _, losses, _ = zip(*tiny.losses(single.run.path))
    assert losses[-1] < 0.8 * losses[0]


def test_the_rows_of_a_batch_are_not_known(single):
    assert single.experiment.rows(3) is None


def test_a_model_without_oscillators_has_no_segments(tmp_path):
    with pytest.raises(ValueError, match="`segments` is for AKOrN"):
        tiny.make_trainer(
            tmp_path, model="sudoku9_small_iterative", arguments={"board_size": 4}, segments=2, min_steps=0, max_steps=0
        )


def test_noise_between_segments_needs_segments():
    with pytest.raises(ValueError, match=r"`segment_noise` needs `segments` of at least 2. Received 0.1 and 1"):
        tiny.options(segment_noise=0.1, segments=1)


def test_weights_decay_and_biases_do_not():
    experiment = tiny.TinyExperiment(tiny.options(weight_decay=0.5, warmup_steps=0, learning_rate=0.01))
    model, optimizer = experiment.build_model(), experiment.build_optimizer()
    optimizer.build(model.trainable_variables)
    for variable in model.trainable_variables:
        variable.assign(tf.ones(variable.shape))
    optimizer.apply([tf.zeros(variable.shape) for variable in model.trainable_variables], model.trainable_variables)
    left = {variable.path: float(tf.reduce_mean(variable.value)) for variable in model.trainable_variables}
    assert {name.split("/")[-1] for name, value in left.items() if value == 1} == {
        "step_size",
        "upper",
        "bias",
        "qkv_bias",
        "output_bias",
    }
    assert all(value in (1, pytest.approx(0.995)) for value in left.values())
