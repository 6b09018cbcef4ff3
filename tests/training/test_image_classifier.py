"""Classifiers of images, from JPEG files to calibration."""

import importlib.util
import json

import numpy as np
import pytest
import tensorflow as tf
from picture_helpers import check_picture, film_length

from training.__main__ import main
from training.images.classifier import PRESETS, ClassifierExperiment
from training.options import with_settings
from training.source import load_model
from training.strategies import make_strategy

SMALL = [
    "data=colours",
    "arguments.channels=8",
    "arguments.num_classes=3",
    "batch_size=8",
    "test_batch=9",
]
AKORN = [*SMALL, "arguments.num_steps=1"]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Where a data set of red, green and blue images is."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    words = []
    for split, count in (("train", 24), ("test", 9)):
        labels = np.arange(count) % 3
        images = rng.integers(0, 80, (count, 32, 32, 3))
        images[np.arange(count), :, :, labels] += 150
        files = [tf.io.encode_jpeg(image.astype("uint8")).numpy() for image in images]
        arrays = {"jpeg": np.frombuffer(b"".join(files), "uint8"), "lengths": [*map(len, files)], "labels": labels}
        np.savez(folder / f"{split}.npz", **arrays)
        words += [f"--{split}", str(folder / f"{split}.npz")]
    assert main(["prepare-images", "--name", "colours", *words, "--data-dir", str(folder)]) == 0
    return str(folder)


def words(*changes):
    return [word for change in changes for word in ("--set", change)]


def experiment(data_dir, preset, *changes):
    return ClassifierExperiment(with_settings(PRESETS[preset], changes), data_dir)


def test_a_classifier_is_trained_and_evaluated_with_an_ensemble(data_dir, tmp_path):
    run = tmp_path / "run"
    few = ["steps=4", "steps_per_call=2", "evaluate_every=4", "checkpoint_every=4", "warmup_steps=0"]
    places = ["--data-dir", data_dir]
    start = ["image_classifier", "--preset", "cifar10_akorn_small", "--run-dir", str(run), *places]
    assert main([*start, *words(*AKORN, *few)]) == 0
    check_picture(run / "calibration.png")
    assert film_length(run / "oscillators.gif") == 2
    assert main(["evaluate", str(run), *places, *words("members=3")]) == 0
    trained, ensemble = [result["test"] for result in json.loads((run / "results.json").read_text())]
    assert sorted(trained) == ["accuracy", "calibration_error", "cross_entropy"]
    assert trained["cross_entropy"] == pytest.approx(np.log(3), abs=0.5)
    assert trained["accuracy"] * 9 == pytest.approx(round(trained["accuracy"] * 9))
    assert 0 < abs(ensemble["cross_entropy"] - trained["cross_entropy"]) < 0.1
    few = ["robustness=attacks", "attack_images=6", "attack_steps=2", "auto_attack_steps=2"]
    few += ["attack_queries=4", "attack_draws=2"]
    assert main(["evaluate", str(run), *places, *words(*few, "epsilon=0.3")]) == 0
    attacked = json.loads((run / "results.json").read_text())[-1]["test"]
    names = ["clean", "noise", "signed_noise", "fgsm", "pgd", "pgd_euclidean", "square", "autoattack"]
    assert list(attacked["attacks"]) == names
    accuracy = {name: values["accuracy"] for name, values in attacked["attacks"].items()}
    assert accuracy["autoattack"] <= min(accuracy["pgd"], accuracy["square"], accuracy["noise"])
    assert attacked["gradients"]["white_box"] <= accuracy["clean"]


def test_a_classifier_is_evaluated_on_other_data_than_it_was_trained_on(data_dir):
    evaluated = experiment(data_dir, "cifar10_resnet_small", *SMALL, "data=cifar10", "test_data=colours")
    assert len(evaluated.test.label) == 9


def test_probabilities_are_means_over_initial_oscillators(data_dir):
    three = experiment(data_dir, "cifar10_akorn_small", *AKORN, "members=3")
    model = three.build_model()
    images = three.test.image.astype("float32") / 255
    found = three.probabilities(model, make_strategy("cpu"), images)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
    runner = three._runners[id(model)]
    members = [tf.nn.softmax(runner(images, draw)).numpy() for draw in range(3)]
    assert np.abs(members[0] - members[1]).max() > 1e-6
    np.testing.assert_allclose(found, np.mean(members, 0), rtol=1e-6)


def test_a_classifier_starts_from_what_it_learned_without_labels(data_dir, tmp_path):
    small = ["data=colours", "arguments.channels=8", "arguments.stages=[1, 1]", "batch_size=8", "test_batch=9"]
    few = ["steps=2", "steps_per_call=2", "evaluate_every=2", "checkpoint_every=2"]
    run, places = tmp_path / "run", ["--data-dir", data_dir]
    start = ["image_pretraining", "--preset", "cifar10_resnet18_pretraining", "--run-dir", str(run), *places]
    assert main([*start, *words(*small, *few, "arguments.num_classes=6")]) == 0
    (result,) = json.loads((run / "results.json").read_text())
    assert sorted(result["test"]) == ["accuracy", "loss"]
    assert 0 < result["test"]["loss"] < 2 * np.log(17)
    assert main(["evaluate", str(run), *places, *words("test_images=5")]) == 0
    fine = [*small[1:3], f"start={run}", "data=colours"]
    model = experiment(data_dir, "cifar10_resnet18", *fine, "arguments.num_classes=3").build_model()
    pretrained = load_model(str(run))
    assert (model.num_classes, pretrained.num_classes) == (3, 6)
    for mine, theirs in zip(model.body.get_weights(), pretrained.body.get_weights()):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match="differs from 'cifar10_resnet18'"):
        experiment(data_dir, "cifar10_resnet18", *fine, "arguments.num_classes=3", "arguments.channels=4").build_model()


def test_training_images_get_the_noise_that_is_asked_for(data_dir):
    settings = [*SMALL, "mixture=none"]
    (plain, _), (noisy, _) = (
        next(iter(experiment(data_dir, f"cifar10_resnet_small{name}", *settings).batches(3))) for name in ("", "_noise")
    )
    np.testing.assert_array_equal(plain["label"], noisy["label"])
    change = np.abs(plain["image"] - noisy["image"])
    # Of one size for all values of an image, but where they are cut to [0, 1].
    sizes = change.reshape(8, -1).max(1)
    assert (sizes <= 64 / 255 + 1e-6).all()
    assert sizes.max() > 0.1
    assert (np.isclose(change, sizes[:, None, None, None], atol=1e-5).mean((1, 2, 3)) > 0.5).all()


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("cifar10_resnet_small", ["members=2"], "has no oscillators"),
        ("cifar10_resnet_small", ["test_steps=2"], "takes none"),
        ("cifar10_akorn_small", ["arguments.image_size=16"], "of 16 x 16, and those of 'colours' to evaluate on"),
        ("cifar10_resnet_small", ["arguments.num_classes=10"], "tells 10 classes of colour images apart"),
        ("cifar10_akorn_small", ["data=digits8"], "images of 1 channels"),
        ("cifar10_akorn_small", ["mixture=mixup"], "augmix"),
        ("cifar10_akorn_smal", [], "Did you mean 'cifar10_akorn_small'"),
    ],
)
def test_bad_options_are_refused_before_a_run_is_made(data_dir, tmp_path, capsys, preset, changes, message):
    run = tmp_path / "run"
    start = ["image_classifier", "--preset", preset, "--run-dir", str(run), "--data-dir", data_dir]
    assert main([*start, *words(*(AKORN if "akorn" in preset else SMALL), *changes)]) == 2
    assert message in capsys.readouterr().err
    assert not run.exists()


@pytest.mark.parametrize(
    ("robustness", "module", "package"),
    [
        ("attacks", "art", "adversarial-robustness-toolbox"),
        ("corruptions", "imagecorruptions", "imagecorruptions-imaug"),
    ],
)
def test_a_missing_package_is_named_before_anything_is_evaluated(data_dir, monkeypatch, robustness, module, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    with pytest.raises(ValueError, match=rf"{package}: pip install .*\[robustness\]"):
        experiment(data_dir, "cifar10_resnet_small", *SMALL, f"robustness={robustness}")
