"""Object discovery, from scenes to masks."""

import json

import numpy as np
import pytest
from picture_helpers import check_picture, film_length

from keras_kuramoto.models import ObjectsModel
from training.__main__ import main
from training.images.objects import PRESETS, ObjectsExperiment
from training.options import with_settings
from training.source import load_model
from training.strategies import make_strategy

DATA = "tetrominoes/32x32_train64_test12"
SMALL = [
    f"data={DATA}",
    "arguments.channels=16",
    "arguments.num_steps=2",
    "arguments.connectivity.heads=2",
    "batch_size=8",
    "test_batch=8",
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("data"))


def settings(*changes):
    return [word for change in (*SMALL, *changes) for word in ("--set", change)]


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory):
    """A run directory of four updates, and where its data is."""
    path = tmp_path_factory.mktemp("runs") / "objects"
    arguments = ["objects", "--preset", "objects_tetrominoes_small", "--data-dir", data_dir, "--run-dir", str(path)]
    few = settings("steps=4", "steps_per_call=2", "evaluate_every=2", "checkpoint_every=2", "warmup_steps=0")
    assert main([*arguments, *few]) == 0
    return path


def results(run):
    return json.loads((run / "results.json").read_text())


def test_objects_are_learned_without_labels_and_found(run):
    first, last = results(run)
    # NT-Xent of views that are not told apart is the logarithm of how many others there are.
    assert first["train"]["loss"] < 2 * np.log(15)
    assert last["train"]["loss"] != first["train"]["loss"]
    assert all(0 < last["test"][name] < 1 for name in ("fg_ari", "mean_best_overlap"))
    check_picture(run / "objects.png")
    assert film_length(run / "oscillators.gif") == 3


def test_a_run_is_evaluated_with_other_clusters(run, data_dir, capsys):
    before = (run / "results.json").read_text()
    found = []
    for changes in ([], ["seed=1"], ["clusters=1"], ["clustering=kmeans", "up_tiling=2", "test_images=3"]):
        words = [word for change in changes for word in ("--set", change)]
        assert main(["evaluate", str(run), "--data-dir", data_dir, *words]) == 0
        found.append(results(run)[-1]["test"])
        (run / "results.json").write_text(before)
    assert found[0] == json.loads(before)[-1]["test"]
    # Other initial oscillators.
    assert found[1] != found[0]
    # Objects that are not told apart from each other agree with the truth no more than by chance.
    assert found[2]["fg_ari"] == pytest.approx(0, abs=1e-6)
    assert found[3] != found[0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("fg_ari")
    # The results that are there are those of the training: of the evaluations, one after another, number 2.
    assert lines[2] == f"Pictures: {run / 'evaluations' / '2'}"
    check_picture(run / "evaluations" / "2" / "objects.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("clusters=100", "number of features of an image, 8 x 8"),
        ("clustering=means", "agglomerative"),
        ("test_data=tetrominos", "tetrominoes"),
    ],
)
def test_bad_options_of_an_evaluation_are_refused(run, data_dir, capsys, change, message):
    before = (run / "results.json").read_text()
    assert main(["evaluate", str(run), "--data-dir", data_dir, "--set", change]) == 2
    assert message in capsys.readouterr().err
    assert (run / "results.json").read_text() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("clusters=100", "number of features of an image, 8 x 8"),
        ("test_data=tetrominoes/35x35_train1_test2", "multiples of `patch_size` = 4. Received (35, 35)"),
    ],
)
def test_what_an_evaluation_would_refuse_is_refused_before_a_run_is_made(data_dir, tmp_path, capsys, change, message):
    path = tmp_path / "run"
    arguments = ["objects", "--preset", "objects_tetrominoes_small", "--data-dir", data_dir, "--run-dir", str(path)]
    assert main([*arguments, *settings(change)]) == 2
    assert message in capsys.readouterr().err
    assert not path.exists()


def test_pictures_go_where_they_are_asked_for_and_never_over_others(run, data_dir, tmp_path, capsys):
    before = (run / "results.json").read_text()
    start = ["evaluate", str(run), "--data-dir", data_dir, "--set", "test_images=2", "--pictures"]
    assert main([*start, str(tmp_path / "new")]) == 0
    check_picture(tmp_path / "new" / "objects.png", colours=10)
    (run / "results.json").write_text(before)
    assert main([*start, str(tmp_path)]) == 2
    assert "is not written over" in capsys.readouterr().err
    assert (run / "results.json").read_text() == before


def test_training_goes_on_from_a_run(run, data_dir):
    options = with_settings(PRESETS["objects_tetrominoes_small"], [*SMALL, f"start={run}"])
    model = ObjectsExperiment(options, data_dir).build_model()
    for mine, theirs in zip(model.get_weights(), load_model(str(run)).get_weights()):
        np.testing.assert_array_equal(mine, theirs)


def test_views_of_a_batch_depend_on_its_step_alone(data_dir):
    experiment = ObjectsExperiment(with_settings(PRESETS["objects_tetrominoes_small"], SMALL), data_dir)
    examples, _ = next(iter(experiment.batches(5)))
    again, _ = list(experiment.batches(3).take(3))[2]
    for name, values in examples.items():
        np.testing.assert_array_equal(values, again[name])
    # Two views of one image, of its own oscillators each.
    for name in ("", "_noise"):
        assert np.abs(examples[f"first{name}"] - examples[f"second{name}"]).max() > 0.1


def test_a_baseline_without_oscillators_learns_and_is_evaluated_in_the_same_way(data_dir):
    changes = [*SMALL, "test_images=3"]
    experiment = ObjectsExperiment(with_settings(PRESETS["objects_tetrominoes_small_iterative"], changes), data_dir)
    examples, shared = next(iter(experiment.batches(0)))
    assert sorted(examples) == ["first", "second"]
    model = experiment.build_model()
    outputs = experiment.outputs(model, examples, shared, training=True)
    loss, metrics = experiment.loss(outputs, examples, shared)
    assert 0 < float(loss) < 2 * np.log(15)
    assert 0 <= float(metrics["accuracy"]) <= 1
    assert 0 <= experiment.evaluate(model, make_strategy("cpu"))["mean_best_overlap"] <= 1


@pytest.mark.parametrize(
    ("name", "scenes", "least"),
    [
        ("objects_tetrominoes_small", "tetrominoes/32x32", 0.8),
        ("objects_tetrominoes", "tetrominoes/32x32", 0.8),
        ("objects_shapes_small", "shapes/40x40", 0.4),
    ],
)
def test_the_weights_that_come_with_the_library_find_objects(name, scenes, least, data_dir):
    options = with_settings(PRESETS[name], [f"data={scenes}_seed7_train1_test48", "test_batch=48"])
    experiment = ObjectsExperiment(options, data_dir)
    assert experiment.evaluate(ObjectsModel.from_preset(name), make_strategy("cpu"))["fg_ari"] >= least
