"""Models with batch normalisation and dropout: the loop on one replica, on two, and Keras' `fit` agree."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_images

from training.strategies import make_strategy

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two replicas give, of each experiment."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "tests/training/tiny_images.py"), str(tmp_path_factory.mktemp("two"))],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"},
        timeout=500,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("OUTCOMES ")]
    return json.loads(line.removeprefix("OUTCOMES "))


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """Trainers that have trained on one replica, by experiment."""
    done = {}
    for name in ("synchronized", "contrastive"):
        experiment = tiny_images.EXPERIMENTS[name]()
        done[name] = tiny_images.trainer(experiment, tmp_path_factory.mktemp("one") / name, make_strategy("cpu"))
        done[name].train()
    return done


@pytest.fixture(scope="module")
def fitted():
    """A model trained by `fit` on the same batches, and its losses."""
    experiment = tiny_images.ImageExperiment()
    keras.utils.set_random_seed(experiment.options.seed)
    model = experiment.build_model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # As the loop does where statistics are synchronized: a compiled dropout draws other numbers.
    model.compile(experiment.build_optimizer(), loss, jit_compile=False)
    batches = experiment.batches(0).map(lambda e, _: ({n: e[n] for n in ("image", "noise")}, e["label"]))
    # An epoch is an update: the losses that Keras tells are means over an epoch.
    history = model.fit(batches, steps_per_epoch=1, epochs=experiment.options.steps, shuffle=False, verbose=0)
    return model, history.history["loss"]


def check_weights(found, wanted, atol=1e-5):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted):
        np.testing.assert_allclose(a, b, atol=atol)


def statistics(model):
    return [w for w in model.weights if "moving" in w.path]


def test_the_loop_is_fit(one, fitted):
    model, losses = fitted
    trainer = one["synchronized"]
    np.testing.assert_allclose(tiny_images.losses(trainer.run.path), losses, rtol=1e-5)
    check_weights(trainer.model.get_weights(), model.get_weights())
    # Away from where they start, 0 and 1: the model was told that it is trained.
    assert all(np.abs(w.numpy() - ("variance" in w.path)).max() > 0.01 for w in statistics(trainer.model))
    assert len(statistics(trainer.model)) == 4


@pytest.mark.parametrize("name", ["synchronized", "contrastive"])
def test_two_replicas_train_as_one_does(one, two, name):
    np.testing.assert_allclose(two[name]["losses"], tiny_images.losses(one[name].run.path), rtol=1e-5)
    check_weights(two[name]["weights"], one[name].model.get_weights())
    assert two[name]["apart"] == 0


def test_a_loss_of_the_whole_batch_sees_it(one):
    assert json.loads(one["contrastive"].run.results.read_text())[-1]["train"]["rows"] == 8


def test_statistics_of_shares_are_the_same_on_both_replicas(two):
    # Each replica normalises its own share, as in Keras unless `synchronized`; what is kept is the mean of both.
    assert two["plain"]["apart"] == 0
    assert not np.allclose(two["plain"]["losses"], two["synchronized"]["losses"], rtol=1e-5)


def test_the_trained_model_is_saved_loaded_and_exported(one, fitted, tmp_path):
    trainer = one["synchronized"]
    inputs = {"image": tiny_images.IMAGES, "noise": np.ones((16, 6, 6, 8), "float32")}
    wanted = trainer.average(inputs, training=False).numpy()
    loaded = keras.saving.load_model(trainer.run.model)
    np.testing.assert_allclose(loaded(inputs).numpy(), wanted, atol=1e-6)
    check_weights([w.numpy() for w in statistics(loaded)], [w.numpy() for w in statistics(trainer.model)], atol=0)
    loaded.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(inputs).numpy(), wanted, atol=1e-5)


def test_a_resumed_run_draws_the_dropout_that_it_would_have_drawn(one, tmp_path):
    path = tmp_path / "run"
    first = tiny_images.trainer(tiny_images.ImageExperiment(), path, make_strategy("cpu"))
    first.options = first.options.__class__(**{**first.options.__dict__, "steps": 2})
    first.train()
    second = tiny_images.trainer(tiny_images.ImageExperiment(), path, make_strategy("cpu"))
    assert second.restore() == 2
    second.train()
    for a, b in zip(second.model.get_weights(), one["synchronized"].model.get_weights()):
        np.testing.assert_array_equal(a, b)
