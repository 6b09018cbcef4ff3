"""Files from a stranger: loading them runs none of their code, and leaves nothing outside of their directory."""

import hashlib
import json
import os
import pickle
import struct
import zipfile
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from export.golden import load_cases
from export.versions import read_declaration
from keras_kuramoto.layers import CDAMRecall
from training.cdam.frames import read_frames
from training.cdam.graphs import read_graph, read_transitions
from training.checkpoints import Checkpoints
from training.runs import RunDirectory
from training.source import load_model


@pytest.fixture
def trap(tmp_path):
    """A path that code of a hostile file would write to."""
    path = tmp_path / "trap"
    yield path
    assert not path.exists()


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.keras"
    keras.Sequential([keras.Input((4,)), CDAMRecall(np.eye(4))]).save(path)
    return path


def changed(path, **members):
    """A copy of an archive with other members; the names have `__` for a point."""
    target = path.with_name("hostile.keras")
    members = {name.replace("__", "."): text for name, text in members.items()}
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            if name not in members:
                archive.writestr(name, source.read(name))
        for name, text in members.items():
            archive.writestr(name, text)
    return target


class Bomb:
    """What writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_lambda_layer(tmp_path, trap):
    function = eval(f"lambda x: (open({str(trap)!r}, 'w').close(), x)[1]")
    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(function, output_shape=(4,))]).save(tmp_path / "m.keras")
    trap.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="can't be loaded as a Keras model"):
        load_model(tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("module", "name", "config"),
    [
        ("subprocess", "Popen", {"args": ["touch", "TRAP"]}),
        ("os", "system", {"command": "touch TRAP"}),
        ("builtins", "exec", {"source": "open('TRAP', 'w')"}),
        ("keras.layers", "Lambda", {"function": {"class_name": "function", "config": "exec", "module": "builtins"}}),
    ],
)
def test_a_class_that_is_no_layer(good, trap, module, name, config):
    config = json.loads(json.dumps(config).replace("TRAP", str(trap)))
    layer = {"module": module, "class_name": name, "config": config, "registered_name": name}
    with zipfile.ZipFile(good) as archive:
        model = json.loads(archive.read("config.json"))
    model["config"]["layers"][1] = layer
    with pytest.raises(ValueError, match="can't be loaded as a Keras model"):
        load_model(changed(good, config__json=json.dumps(model)))


@pytest.mark.parametrize("name", ["../outside", "/tmp/keras_kuramoto_outside", "assets/../../outside", "..\\outside"])
def test_an_archive_that_would_write_elsewhere(good, tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    path = changed(good, **{name: "text"})
    with pytest.raises(ValueError, match="outside of its directory"):
        load_model(path)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, path])
    assert not os.path.exists("/tmp/keras_kuramoto_outside")


def test_an_archive_with_a_link(good):
    path = changed(good)
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("assets/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="holds 'assets/link', outside of its directory"):
        load_model(path)


def test_an_archive_that_grows(good):
    path = changed(good)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(80_000_000))
    with pytest.raises(ValueError, match="when it is unpacked"):
        load_model(path)


def test_weights_that_are_elsewhere(good, tmp_path):
    import h5py

    with zipfile.ZipFile(good) as archive:
        archive.extract("model.weights.h5", tmp_path)
    weights = tmp_path / "model.weights.h5"
    with h5py.File(weights, "a") as file:
        places = []
        file.visititems(lambda name, value: places.append(name) if isinstance(value, h5py.Dataset) else None)
        del file[places[0]]
        file[places[0]] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "secret")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["secret"] = np.full((4, 4), 7.0, np.float32)
    with pytest.raises(ValueError, match="can't be loaded as a Keras model"):
        load_model(changed(good, **{"model.weights.h5": weights.read_bytes()}))


def test_a_pickle_in_the_place_of_a_model(tmp_path, trap):
    for name in ("model.keras", "model.h5", "model.pkl"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb(trap)))
        with pytest.raises(ValueError, match="can't be loaded as a Keras model"):
            load_model(tmp_path / name)


def test_a_run_directory(tmp_path, trap):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(ValueError, match="is not valid JSON"):
        RunDirectory(run).read_config()
    (run / "model.keras").write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(ValueError, match="can't be loaded as a Keras model"):
        load_model(run)


@pytest.fixture
def checkpoints(tmp_path):
    """Two checkpoints of one variable, which has the number of the update."""
    variable = tf.Variable([0.0])
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", {"model": [variable]}, keep=3)
    for update in (1, 2):
        variable.assign([float(update)])
        checkpoints.save(update)
    checkpoints.wait()
    variable.assign([0.0])
    return checkpoints


def test_a_checkpoint_that_leads_elsewhere(tmp_path, checkpoints):
    newest = checkpoints.path(2)
    (tmp_path / "secret").write_text("secret")
    manifest = json.loads((newest / "manifest.json").read_text())
    for name in ("../../../secret", str(tmp_path / "secret")):
        hostile = {"update": 2, "files": {name: {"SHA-256": ""}, **manifest["files"]}}
        (newest / "manifest.json").write_text(json.dumps(hostile))
        update, (line,) = checkpoints.restore()
        assert update == 1
        assert f"'{name}' leads out of its directory" in line
    (newest / "manifest.json").write_text(json.dumps(manifest))
    data = newest / "state.data-00000-of-00001"
    data.rename(tmp_path / "data")
    data.symlink_to(tmp_path / "data")
    update, (line,) = checkpoints.restore()
    assert update == 1
    assert "'state.data-00000-of-00001' leads out of its directory" in line


def test_a_linked_checkpoint_and_a_state_file_that_names_another(tmp_path, checkpoints):
    other = checkpoints.path(2).rename(tmp_path / "elsewhere")
    checkpoints.path(2).symlink_to(other)
    (checkpoints.directory / "checkpoint").write_text(f'model_checkpoint_path: "{other / "state"}"')
    assert checkpoints.restore() == (1, [])
    # What is deleted when there are too many is no one else's.
    for update in (3, 4, 5):
        checkpoints.save(update)
    checkpoints.wait()
    assert (other / "manifest.json").is_file()


def test_a_pickle_in_the_place_of_a_checkpoint(checkpoints, trap):
    for update in (1, 2):
        path = checkpoints.path(update) / "state.index"
        path.write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(ValueError, match=r"None of the 2 checkpoints .* is whole"):
        checkpoints.restore()
    # Even where the sums are right.
    for update in (1, 2):
        path, manifest = checkpoints.path(update) / "state.index", checkpoints.path(update) / "manifest.json"
        files = json.loads(manifest.read_text())
        files["files"]["state.index"] = {
            "bytes": path.stat().st_size,
            "SHA-256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        manifest.write_text(json.dumps(files))
    with pytest.raises(ValueError, match="can't be read"):
        checkpoints.restore()


def test_an_exported_version_with_pickles(tmp_path, trap):
    extra = tmp_path / "1" / "assets.extra"
    extra.mkdir(parents=True)
    np.savez(extra / "golden.npz", **{"0/serving_default/inputs/board": np.array([Bomb(trap)], object)})
    with pytest.raises(ValueError, match="is damaged: Object arrays cannot be loaded"):
        load_cases(extra / "golden.npz")
    (extra / "export.json").write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(ValueError, match="is not valid JSON"):
        read_declaration(tmp_path / "1")


_LAUGHS = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b0 "ha">
ENTITIES]>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<graph edgedefault="directed"><node id="&b30;"/></graph></graphml>
""".replace("ENTITIES", "\n".join(f'<!ENTITY b{i + 1} "&b{i};&b{i};">' for i in range(30)))
_OUTSIDE = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file://SECRET">]>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="directed"><node id="&b;"/></graph></graphml>
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("laughs.graphml", _LAUGHS),
        ("outside.graphml", _OUTSIDE),
        ("code.txt", "a b {'weight': __import__('os').system('touch TRAP')}"),
        ("deep.txt", "a b {'weight': " + "[" * 100_000 + "}"),
        ("deep.json", '{"nodes": ' + "[" * 200_000),
        ("deep.gml", "graph " + "[ a " * 20_000),
    ],
)
def test_graphs(tmp_path, trap, name, text):
    (tmp_path / "secret").write_text("secret")
    path = tmp_path / name
    path.write_text(text.replace("SECRET", str(tmp_path / "secret")).replace("TRAP", str(trap)))
    with pytest.raises(ValueError, match="holds no graph that can be read") as caught:
        read_graph(path)
    assert "'secret'" not in str(caught.value)


def test_a_pickled_graph(tmp_path, trap):
    for name in ("graph.gpickle", "graph.graphml", "graph.json"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb(trap)))
        for read in (read_graph, read_transitions):
            with pytest.raises(ValueError, match=r"can't be read|holds no graph"):
                read(tmp_path / name)


def _png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_frames_that_lead_out_of_their_folder(tmp_path):
    (tmp_path / "secret.png").write_bytes(_png(2, 2))
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "1.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ValueError, match="leads out of its folder"):
        read_frames(folder, 3)


def test_frames_that_would_fill_the_memory(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for size in ((60_000, 80_000), (9_000, 9_000)):
        (folder / "1.png").write_bytes(_png(*size))
        with pytest.raises(ValueError, match="has more pixels than the 67,108,864 that are read"):
            read_frames(folder, 3)


def test_a_pickled_frame(tmp_path, trap):
    (tmp_path / "1.png").write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(ValueError, match="can't be read as an image"):
        read_frames(tmp_path, 1)
