"""The authors' checkpoints as models of this library; the layers' numbers are in the tests of parity."""

import os
import re

import keras
import numpy as np
import pytest
from backend_helpers import evaluate, load_vectors, run_python, to_numpy

from keras_kuramoto.interop import __main__ as command
from keras_kuramoto.interop import akorn

torch = pytest.importorskip("torch", reason="checkpoints are PyTorch's")


@pytest.fixture(scope="module")
def vectors():
    return load_vectors("sudoku")


def tensors(weights, prefix="", shift=0.0):
    return {prefix + name: torch.tensor(value + np.float32(shift)) for name, value in weights.items()}


def convert(tmp_path, checkpoint, *options):
    source, output = tmp_path / "checkpoint.pth", tmp_path / "model.keras"
    torch.save(checkpoint, source)
    return command.main([str(source), str(output), *options]), output


def ema_checkpoint(weights):
    return {
        "initted": torch.tensor(True),
        "step": torch.tensor(3),
        **tensors(weights, "online_model.", shift=0.5),
        **tensors(weights, "ema_model."),
    }


FORMS = {
    "bare": tensors,
    "container": lambda weights: {
        "epoch": 3,
        "model_state_dict": tensors(weights),
        "optimizer_state_dict": {"state": {}},
    },
    "data parallel": lambda weights: {"state_dict": tensors(weights, "module.")},
    "EMA": ema_checkpoint,
    "EMA of data parallel": lambda weights: tensors(weights, "ema_model.module."),
    "EMA in a container": lambda weights: {"model_state_dict": ema_checkpoint(weights)},
    "double precision": lambda weights: {name: value.double() for name, value in tensors(weights).items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_checkpoint_becomes_a_model_with_the_authors_answers(form, vectors, tmp_path, capsys):
    config, weights, expected = vectors
    status, output = convert(tmp_path, FORMS[form](weights), "--T", str(config["T"]))
    assert status == 0, capsys.readouterr().err
    kind = "averaged" if form.startswith("EMA") else "plain"
    assert f"1 block, 64 channels, N = 4, T = 8, 8 heads, {kind} weights." in capsys.readouterr().out
    model = keras.saving.load_model(output)
    for weight, same in zip(model.weights, akorn.sudoku_model(weights, config).weights):
        np.testing.assert_array_equal(to_numpy(weight), to_numpy(same))
    if form == "bare":
        logits = evaluate(lambda b, n: model({"board": b, "noise": n}), expected["board"], expected["noise"])
        np.testing.assert_allclose(logits, expected["logits"], atol=2e-5, rtol=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pth", "model.keras"]


def test_weights_that_are_not_averaged_can_be_asked_for(vectors, tmp_path):
    _, weights, _ = vectors
    status, output = convert(tmp_path, ema_checkpoint(weights), "--no-ema")
    assert status == 0
    embedding = keras.saving.load_model(output).digits.embeddings
    np.testing.assert_allclose(to_numpy(embedding), weights["embedding.weight"] + 0.5, rtol=1e-6)


def images_model(name):
    """The model of the weights of a file, by the command's own reading of them, and what it needs to be told."""
    config, weights, expected = load_vectors(name)
    steps = config["T"]
    if name == "objects":
        return akorn.object_model(weights, config), ("--T", str(steps)), weights, expected
    return akorn.classifier(weights, config), ("--n", "2", "--T", ",".join([str(steps)] * 3)), weights, expected


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("objects", "2 blocks, 32 channels, N = 4, T = 4, 4 heads, averaged"),
        ("cifar_conv", r"3 blocks, 8 channels, N = 2, T = \[3, 3, 3\], averaged"),
    ],
)
def test_checkpoints_of_the_models_of_images_are_recognised(name, told, tmp_path, capsys):
    expected, options, weights, vectors = images_model(name)
    status, output = convert(tmp_path, {"model_state_dict": tensors(weights, "ema_model.")}, *options)
    assert status == 0, capsys.readouterr().err
    assert re.search(f"{told} weights", capsys.readouterr().out)
    model = keras.saving.load_model(output)
    given = vectors["image"], vectors["x0"]
    np.testing.assert_array_equal(evaluate(model.run, *given), evaluate(expected.run, *given))


def test_configs_of_the_models_of_images_are_read_from_the_shapes():
    _, weights, _ = load_vectors("objects")
    config = command.object_config(weights)
    assert (config["imsize"], config["psize"], config["L"], config["T"]) == (16, 4, 2, 8)
    assert (config["gta"], config["c_norm"], config["global_omg"], config["J"]) == (True, "gn", True, ["attn", "attn"])
    with pytest.raises(ValueError, match=r"imsize = 16.*--imsize 32"):
        command.object_config(weights, imsize=32)
    _, weights, _ = load_vectors("cifar_conv")
    config = command.classifier_config(weights, n=2)
    assert (config["ksizes"], config["ro_N"], config["norm"], config["out_classes"]) == ([5, 3, 3], [2, 2, 2], "bn", 10)
    with pytest.raises(ValueError, match="--n"):
        command.classifier_config(weights)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("objects", {"psize": None}, "no 'psize'"),
        ("objects", {"pszie": 4}, "'pszie'.*Did you mean 'psize'"),
        ("objects", {"maxpool": False}, "`maxpool`.*True.*False"),
        ("objects", {"J": "dense"}, "`J`.*'dense'"),
        ("objects", {"gta": False}, "pemb_c"),
        ("objects", {"L": 3}, r"layers\.2"),
        ("objects", {"imsize": 32}, r"shape \(64.*\(16"),
        ("cifar_conv", {"norm": "ln"}, "`norm`.*'ln'"),
        ("cifar_conv", {"ksizes": [9, 7, 5]}, r"shape \(9, 9.*\(5, 5"),
        ("cifar_conv", {"ro_ksize": 1}, "`ro_ksize`.*3.*1"),
    ],
)
def test_configs_of_the_models_of_images_that_do_not_fit_say_so(name, change, message):
    config, weights, _ = load_vectors(name)
    config = {key: value for key, value in {**config, **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        (akorn.object_model if name == "objects" else akorn.classifier)(weights, config)


def test_a_classifier_of_two_strided_convolutions_is_refused():
    config, weights, _ = load_vectors("cifar_conv")
    with pytest.raises(ValueError, match=r"layers\.1\.0\.0\.bias.*differ"):
        akorn.classifier({**weights, "layers.1.0.1.bias": weights["layers.1.0.1.bias"] + 1}, config)


def test_config_is_read_from_the_shapes():
    rng = np.random.default_rng(0)

    def make(blocks, channels, dim, heads, frequencies):
        shapes = {"gamma": (1,), "embedding.weight": (10, channels), "out.1.weight": (9, channels, 1, 1)}
        for index in range(blocks):
            name = f"layers.{index}."
            shapes[name + "0.connectivity.W_qkv.weight"] = (3 * channels, channels, 1, 1)
            shapes[name + "1.0.invconv.weight"] = (channels * dim, channels, 1, 1)
            shapes[name + "1.0.bias"] = (channels,)
            if heads:
                shapes[name + "0.connectivity.mat_q"] = (81, channels // heads // 2, 2, 2)
            if frequencies is not None:
                shapes[name + "0.omg.omg_param"] = frequencies
        return {name: rng.standard_normal(shape).astype("float32") for name, shape in shapes.items()}

    read = command.sudoku_config
    assert read(make(2, 32, 2, 4, None)) == {
        "n": 2, "ch": 32, "L": 2, "T": 16, "heads": 4, "gta": True, "use_omega": False, "global_omg": False,
    }  # fmt: skip
    assert read(make(1, 64, 4, None, (2,)), steps=8) == {
        "n": 4, "ch": 64, "L": 1, "T": 8, "heads": 8, "gta": False, "use_omega": True, "global_omg": True,
    }  # fmt: skip
    each = read(make(1, 64, 4, None, (32, 2)), heads=2, n=4)
    assert (each["heads"], each["use_omega"], each["global_omg"]) == (2, True, False)
    with pytest.raises(ValueError, match=r"n = 4.*--n 2"):
        read(make(1, 64, 4, None, None), n=2)
    with pytest.raises(ValueError, match=r"heads = 4.*--heads 8"):
        read(make(1, 64, 4, 4, None), heads=8)


class Opaque:
    """Something that can't be read without running its code."""


BAD = {
    "other model": (lambda weights: {"conv.weight": torch.zeros(2)}, (), "gamma is missing.*conv.weight"),
    "no tensors": (lambda weights: {"epoch": 3}, (), "no tensors.*epoch"),
    "no dictionary": (lambda weights: torch.zeros(3), (), "no state dict"),
    "code in it": (lambda weights: Opaque(), (), "not a PyTorch checkpoint of weights alone"),
    "extra weights": (lambda weights: {**tensors(weights), "layers.0.0.c_norm.weight": torch.zeros(64)}, (), "c_norm"),
    "missing weights": (
        lambda weights: {k: v for k, v in tensors(weights).items() if "W_o.bias" not in k},
        (),
        "W_o.bias",
    ),
    "no EMA": (tensors, ("--ema",), "no averaged weights.*--ema"),
    "only EMA": (lambda weights: tensors(weights, "ema_model."), ("--no-ema",), "only averaged weights.*--no-ema"),
    "other heads": (tensors, ("--heads", "4"), "heads = 8.*--heads 4"),
    "bad number": (tensors, ("--T", "0"), "--T.*positive integer"),
    "another model's option": (tensors, ("--imsize", "9"), "no 'imsize'.*--imsize"),
    "unknown option": (tensors, ("--what",), "--what"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_checkpoints_and_options_are_one_line_and_status_2(name, vectors, tmp_path, capsys):
    make, options, message = BAD[name]
    status, output = convert(tmp_path, make(vectors[1]), *options)
    error = capsys.readouterr().err
    assert status == 2
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert re.search(message, error), error
    assert not output.exists()


def test_files_are_checked_before_anything_is_written(vectors, tmp_path, capsys):
    source, output = tmp_path / "checkpoint.pth", tmp_path / "model.keras"
    torch.save(tensors(vectors[1]), source)
    output.write_text("mine")
    broken = tmp_path / "broken.pth"
    broken.write_text("not a checkpoint")
    for arguments, message in (
        ([source, output], "exists.*--overwrite"),
        ([tmp_path / "none.pth", tmp_path / "new.keras"], "none.pth"),
        ([broken, tmp_path / "new.keras"], "not a PyTorch checkpoint"),
        ([source, tmp_path / "model.h5"], "something.keras"),
        ([source, tmp_path / "none" / "model.keras"], "not a directory"),
        ([source], "OUTPUT.keras"),
    ):
        assert command.main([*map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert re.search(message, error), error
    assert output.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["broken.pth", "checkpoint.pth", "model.keras"]
    assert command.main([str(source), str(output), "--overwrite"]) == 0
    assert keras.saving.load_model(output).channels == 64


def test_command_runs_as_a_program(vectors, tmp_path):
    torch.save(tensors(vectors[1]), tmp_path / "checkpoint.pth")
    done = run_python("-m", "keras_kuramoto.interop", tmp_path / "checkpoint.pth", tmp_path / "model.keras")
    assert done.returncode == 0, done.stderr
    assert "T = 16" in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 3}, "even `n`.*3"),
        ({"J": "dense"}, "`J`.*'dense'"),
        ({"c_norm": "bn"}, "`c_norm`.*'bn'"),
        ({"ch": 24}, r"shape \(.*24"),
    ],
)
def test_layers_from_weights_that_do_not_fit_say_so(change, message):
    config, weights, _ = load_vectors("klayer_conv_n4")
    with pytest.raises(ValueError, match=message):
        akorn.kuramoto_layer(weights, {**config, **change})


def test_missing_weights_are_named():
    config, weights, _ = load_vectors("klayer_conv_n4")
    del weights["omg.omg_param"]
    with pytest.raises(ValueError, match=r"omg\.omg_param"):
        akorn.kuramoto_layer(weights, config)
