"""Served models of images: objects found, and classes told apart."""

import collections
import json
import shutil
import struct

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_helpers import assert_same

from benchmarks.malformed import Bad
from benchmarks.serving_fuzz import through_c
from export import fresh_process
from export.__main__ import main
from export.golden import differences
from export.images.clusters import k_means, unit_length
from export.images.server import sample_images
from export.oscillators import initial_noise
from export.saved_model import export_model
from export.servers import server_for
from export.serving import read_warmup
from keras_kuramoto.layers import ConvConnectivity
from keras_kuramoto.models import AKOrNClassifier, AKOrNObjects, IterativeObjects, ResNetClassifier

SIZE = (12, 16)


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)
    coupling, norm = ConvConnectivity(3), keras.layers.GroupNormalization(4)
    small = {"image_size": SIZE, "channels": 16}
    return {
        "objects": AKOrNObjects(coupling, patch_size=4, num_steps=2, step_size=0.5, **small),
        "objects, no oscillators": IterativeObjects(coupling, norm, patch_size=4, num_steps=2, **small),
        "classifier": AKOrNClassifier(coupling, num_steps=2, blocks=1, num_classes=3, **small),
        "classifier, no oscillators": ResNetClassifier(SIZE, channels=4, stages=(1,), num_classes=3),
    }


@pytest.fixture(scope="module")
def servers(models):
    return {name: server_for(model) for name, model in models.items()}


@pytest.fixture(scope="module")
def ask(servers):
    """`ask(name, signature, **inputs)` answers with a server's function, as NumPy arrays."""

    def answer(name, signature, **inputs):
        inputs = {key: tf.constant(value) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in servers[name].functions[signature](**inputs).items()}

    return answer


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    """The directory of the model of objects, version 1, with other limits; from a file, by the command."""
    folder = tmp_path_factory.mktemp("objects")
    models["objects"].save(folder / "model.keras")
    limits = ["--clusters", "3", "--max-clusters", "6", "--kmeans-steps", "2", "--max-steps", "9"]
    assert main([str(folder / "model.keras"), str(folder / "served"), *limits]) == 0
    return folder / "served"


@pytest.fixture(scope="module")
def images():
    return sample_images(*SIZE)


def rows(answer, which):
    return {name: value[which] for name, value in answer.items()}


@pytest.mark.parametrize(
    ("name", "signatures", "outputs"),
    [
        ("objects", {"find_objects": ["image", "clusters", "num_steps", "seed"]}, ["features", "labels", "steps"]),
        ("objects, no oscillators", {"find_objects": ["image", "clusters"]}, ["features", "labels"]),
        ("classifier", {"ensemble": ["image", "members", "seed"]}, ["probabilities", "label"]),
        ("classifier, no oscillators", {}, ["probabilities", "label"]),
    ],
)
def test_signatures_answer_as_the_keras_model_does(servers, ask, name, signatures, outputs):
    server, checked = servers[name], set()
    signatures = {"serving_default": ["image"], "encoded": ["image_bytes"], **signatures}
    for case in server.sample_cases():
        checked.add((case.signature, bool(case.fault)))
        assert list(case.inputs) == signatures[case.signature]
        if case.fault:
            with pytest.raises(tf.errors.InvalidArgumentError, match=case.error):
                ask(name, case.signature, **case.inputs)
            continue
        answer = ask(name, case.signature, **case.inputs)
        assert list(answer) == outputs
        assert [str(value.dtype) for value in answer.values()] == ["float32", "int32", "int32"][: len(outputs)]
        assert differences(answer, server.keras_answers(case))[1] == []
        alone = ask(name, case.signature, **case.examples(1).inputs)
        assert differences(alone, rows(answer, slice(1)))[1] == []
    # Each signature has golden answers, and faults.
    assert checked == {(signature, fault) for signature in signatures for fault in (False, True)}
    for function in server.signatures().values():
        assert fresh_process._ops(function.graph.as_graph_def())[1] == []


def test_files_are_read_as_images(ask, images):
    answer = ask("objects", "serving_default", image=images)
    pngs = np.array([tf.io.encode_png(image).numpy() for image in images])
    assert_same(ask("objects", "encoded", image_bytes=pngs), answer, 0)
    grey, alpha = images[:1, :, :, :1], np.full((1, *SIZE, 1), 77, np.uint8)
    in_colour = ask("objects", "serving_default", image=np.concatenate([grey.repeat(3, -1), images[:1]]))
    files = [tf.io.encode_png(grey[0]).numpy(), tf.io.encode_png(np.concatenate([images[:1], alpha], -1)[0]).numpy()]
    assert_same(ask("objects", "encoded", image_bytes=np.array(files)), in_colour, 0)
    jpeg = tf.io.encode_jpeg(grey[0]).numpy()
    assert_same(
        ask("objects", "encoded", image_bytes=np.array([jpeg])),
        ask("objects", "serving_default", image=tf.io.decode_jpeg(jpeg, channels=3).numpy()[None]),
        0,
    )


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", r"must be of 1 to 17920 bytes each, the limit `max_bytes`.*\[0 "),
        (b"\x89PNG\r\n\x1a\n" + 17913 * b"\0", r"must be of 1 to 17920 bytes each, the limit `max_bytes`.* 17921\]"),
        (b"\x89PNG\r\n\x1a", "must be JPEG or PNG files"),
        (b"GIF89a\x10\x00\x0c\x00", r"must be JPEG or PNG files.*\[71 73 70 56 57 97 16 0\]"),
        # What would need 14 GB, in a few bytes.
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 80_000, 60_000), r"12 x 16 pixels.*\[60000 80000\]"),
        (tf.io.encode_jpeg(np.zeros((16, 12, 3), np.uint8)).numpy(), r"12 x 16 pixels.*\[16 12\]"),
        (b"\xff\xd8\xff", "JPEG"),
    ],
)
def test_other_files_are_refused_before_they_are_decoded(ask, images, file, message):
    good = tf.io.encode_png(images[0]).numpy()
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ask("classifier, no oscillators", "encoded", image_bytes=[good, file])


@pytest.mark.parametrize("name", ["objects", "classifier"])
def test_an_empty_batch_is_an_error(ask, servers, name):
    for case in servers[name].sample_cases():
        if not case.fault and not case.has_scalars:
            with pytest.raises(tf.errors.InvalidArgumentError, match="must hold from 1 to 32 examples"):
                ask(name, case.signature, **case.examples(0).inputs)


def test_objects_are_clusters_of_features(models, ask, images):
    answer = ask("objects", "serving_default", image=images)
    features = np.asarray(models["objects"].features(images / np.float32(255), noise=np.stack([noise(0)] * 5)))
    features = features / np.linalg.norm(features, axis=-1, keepdims=True)
    np.testing.assert_allclose(answer["features"], features, atol=1e-5)
    labels = answer["labels"]
    assert labels.shape == (5, *SIZE)
    patches = labels[:, ::4, ::4]
    np.testing.assert_array_equal(labels, patches.repeat(4, 1).repeat(4, 2))
    clusters = k_means(features.reshape(5, 12, 16), tf.fill([5], 4), 10)
    np.testing.assert_array_equal(patches.reshape(5, 12), clusters)
    same = ask("objects", "find_objects", image=images, clusters=4, num_steps=2, seed=[0] * 5)
    assert_same(same, answer, 1e-5)
    fewer = ask("objects", "find_objects", image=images, clusters=[1, 2, 3, 12, 4], num_steps=2, seed=0)
    assert [len(set(one.flat)) for one in fewer["labels"]] == [1, 2, 3, 12, 4]
    for change in ({"seed": 1}, {"num_steps": 3}):
        other = ask("objects", "find_objects", image=images, **{"clusters": 4, "num_steps": 2, "seed": 0, **change})
        assert (abs(other["features"] - features).max((1, 2, 3)) > 1e-3).all()


def noise(seed, sample=0, shape=(3, 4, 16)):
    return initial_noise(tf.constant(seed), tf.constant(sample), shape).numpy()


def test_members_of_an_ensemble_are_averaged(models, ask, images):
    def member(image, seed, sample):
        logits = models["classifier"].run(image[None] / np.float32(255), noise(seed, sample, (*SIZE, 16))[None])
        return tf.nn.softmax(logits).numpy()[0]

    answer = ask("classifier", "ensemble", image=images, members=[1, 2, 3, 1, 1], seed=[0, 0, 5, 0, 0])
    np.testing.assert_allclose(answer["probabilities"].sum(1), 1, rtol=1e-5)
    wanted = np.mean([member(images[2], 5, sample) for sample in range(3)], axis=0)
    np.testing.assert_allclose(answer["probabilities"][2], wanted, atol=1e-5)
    default = ask("classifier", "serving_default", image=images)
    assert_same(rows(default, [0, 3, 4]), rows(answer, [0, 3, 4]), 1e-5)
    assert abs(default["probabilities"][1] - answer["probabilities"][1]).max() > 1e-4
    # As many as was said at the export.
    server = server_for(models["classifier"], members=2)
    assert server.description()["settings"]["members"] == 2
    more = server.functions["serving_default"](images[1:2])["probabilities"]
    np.testing.assert_allclose(more, answer["probabilities"][1:2], atol=1e-5)


def test_k_means():
    rng = np.random.default_rng(0)
    # A large cluster, a small one and a single point, in an order that is not theirs.
    wanted = rng.permutation([0] * 40 + [1] * 9 + [2])
    points = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1]])[wanted] + rng.normal(0, 0.1, (50, 3)).astype("float32")
    labels = k_means(points[None], tf.constant([3]), 5).numpy()[0]
    assert list(dict.fromkeys(labels)) == [0, 1, 2]
    assert len(set(zip(wanted, labels))) == 3
    # Each example has its own number; what is not there is no cluster.
    both = k_means(np.stack([points, points[::-1]]), tf.constant([3, 1]), 5).numpy()
    np.testing.assert_array_equal(both, [labels, np.zeros(50)])
    # Equal points but for rounding: one label, and features of zero stay so.
    equal = unit_length(np.repeat(np.float32([[[3, 4, 0]], [[0, 0, 0]]]), 50, 1) * rng.uniform(1, 2, (2, 50, 1)))
    assert k_means(tf.cast(equal, tf.float32), tf.constant([4, 4]), 5).numpy().max() == 0
    np.testing.assert_allclose(tf.norm(equal, axis=-1)[:, 0], [1, 0])


def test_moving_the_means_brings_them_nearer():
    points = np.random.default_rng(0).normal(size=(1, 60, 2)).astype("float32")

    def spread(steps):
        labels = k_means(points, tf.constant([4]), steps).numpy()[0]
        groups = [points[0][labels == label] for label in range(4)]
        return sum(((group - group.mean(0)) ** 2).sum() for group in groups)

    spreads = [spread(steps) for steps in (0, 1, 4, 30, 31)]
    assert spreads[0] > spreads[1] > spreads[2] >= spreads[3] == spreads[4]


def test_check_passes_in_python_and_through_the_c_api(exported, capsys):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    assert main(["check", str(exported), "--against", str(exported.parent / "model.keras")]) == 0
    text = capsys.readouterr().out
    assert "All checks passed." in text
    assert "SKIPPED" not in text
    for what, number in (("encoded", 3), ("find_objects", 3), ("file of text", 2), ("clusters of 7", 2)):
        assert sum(line.startswith(f"{what}  ") for line in text.splitlines()) == number


def test_images_with_axes_too_many_are_refused_by_the_c_api(exported):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    # Sessions do not look at the shapes of what they are fed, and a convolution took them. Found by fuzzing.
    shapes = [(1, *SIZE, 3, 1, 1), (2, *SIZE, 3, 2, 3), (1, *SIZE, 3, 1, 2, 2)]
    requests = [Bad("serving_default", {"image": np.zeros(shape, np.uint8)}, "shape") for shape in shapes]
    assert through_c(exported / "1", requests, collections.Counter()) == []


def test_a_version_describes_itself_and_warms_up(exported, images):
    extra = exported / "1" / "assets.extra"
    description = json.loads((extra / "export.json").read_text())
    assert description["kind"] == description["name"] == "objects"
    assert description["settings"] == {
        "max_batch": 32,
        "max_bytes": 8 * 12 * 16 + 16384,
        "clusters": 3,
        "max_clusters": 6,
        "kmeans_steps": 2,
        "max_steps": 9,
        "tolerance": 0.0,
    }
    assert (description["image_size"], description["num_steps"]) == ([12, 16], 2)
    assert description["signatures"]["find_objects"]["outputs"]["features"]["shape"] == [3, 4, 16]
    requests = read_warmup(extra / "tf_serving_warmup_requests")
    assert [request.model_spec.signature_name for request in requests[::2]] == [
        "serving_default",
        "encoded",
        "find_objects",
    ]
    np.testing.assert_array_equal(tf.make_ndarray(requests[1].inputs["image"]), images)
    assert requests[2].inputs["image_bytes"].string_val[0] == tf.io.encode_png(images[0]).numpy()


def test_limits_that_do_not_fit(models, exported, tmp_path, capsys):
    for name, limits, message in (
        ("objects", {"clusters": 13}, "`clusters` must be at most `max_clusters`, 12. Received 13"),
        ("objects", {"max_clusters": 13}, "must be at most the number of patches, 3 x 4. Received 13"),
        ("objects", {"kmeans_steps": 0}, "`kmeans_steps` must be an integer of at least 1"),
        ("objects", {"members": 2}, "A served objects model has no limit `members`"),
        ("classifier", {"members": 3, "max_samples": 2}, "`members` must be at most `max_samples`, 2. Received 3"),
        ("classifier, no oscillators", {"members": 2}, "A served image_classifier model has no limit `members`"),
    ):
        with pytest.raises(ValueError, match=message):
            export_model(models[name], tmp_path / "served", **limits)
    assert main([str(exported.parent / "model.keras"), str(tmp_path / "served"), "--clusters", "99"]) == 2
    assert capsys.readouterr().err.startswith("error: `clusters` must be at most `max_clusters`")
    assert not (tmp_path / "served").exists()
