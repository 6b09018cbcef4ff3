import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

import export.saved_model
from export.__main__ import main
from export.saved_model import export_model
from export.serving import read_warmup, write_serving_files
from export.sudoku import SudokuServer
from export.versions import existing_versions, latest_version
from training.source import load_model


@pytest.fixture
def quick(monkeypatch):
    """Writing without the SavedModel, for tests of what happens around it."""

    def write(server, path, name, origin):
        path.mkdir()
        (path / "saved_model.pb").write_text(name)

    monkeypatch.setattr(export.saved_model, "_write", write)


def everything(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_versions_are_counted_on(model, tmp_path, quick):
    directory = tmp_path / "a" / "b"
    assert existing_versions(directory) == []
    assert export_model(model, directory) == directory / "1"
    assert export_model(model, directory) == directory / "2"
    assert export_model(model, directory, version=10).name == "10"
    assert export_model(model, directory).name == "11"
    assert export_model(model, directory, version=3).name == "3"
    (directory / ".incomplete-77-1").mkdir()
    (directory / "v50").mkdir()
    assert existing_versions(directory) == [1, 2, 3, 10, 11]
    assert latest_version(directory) == directory / "11"
    assert latest_version(directory / "3") == directory / "3"


def test_an_existing_version_is_not_overwritten(model, tmp_path, quick):
    export_model(model, tmp_path, version=4)
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=r"Version 4 exists.*not overwritten.*next one, 5"):
        export_model(model, tmp_path, version=4, name="other")
    assert everything(tmp_path) == before


def test_a_version_that_appears_meanwhile_is_not_overwritten(model, tmp_path, monkeypatch, quick):
    write = export.saved_model._write

    def slow(server, path, name, origin):
        write(server, path, name, origin)
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "saved_model.pb").write_text("faster")

    monkeypatch.setattr(export.saved_model, "_write", slow)
    with pytest.raises(ValueError, match="in the way"):
        export_model(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "faster"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize(
    ("owner", "step"),
    [(export.saved_model, "write_warmup"), (SudokuServer, "keras_answers"), (export.saved_model, "save_cases")],
)
def test_nothing_is_left_when_it_fails(model, tmp_path, monkeypatch, error, owner, step):
    seen = []

    def fail(*arguments):
        seen.extend(path.name for path in tmp_path.glob("served/*"))
        raise error

    # What goes before is tested elsewhere, and slow.
    monkeypatch.setattr(tf.saved_model, "save", lambda server, path, signatures: tf.io.gfile.makedirs(path))
    monkeypatch.setattr(SudokuServer, "signatures", lambda server: {})
    monkeypatch.setattr(SudokuServer, "keras_answers", lambda server, case: {})
    monkeypatch.setattr(owner, step, fail)
    with pytest.raises(error):
        export_model(model, tmp_path / "served")
    assert len(seen) == 1
    assert not seen[0].lstrip("+-").isdigit()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_other_versions_alone(model, tmp_path, monkeypatch, quick):
    export_model(model, tmp_path)
    before = everything(tmp_path)

    def fail(server, path, name, origin):
        path.mkdir()
        (path / "saved_model.pb").write_text("half")
        raise RuntimeError

    monkeypatch.setattr(export.saved_model, "_write", fail)
    with pytest.raises(RuntimeError):
        export_model(model, tmp_path)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("version", [0, -1, "3", 1.0, True])
def test_bad_versions(model, tmp_path, version):
    with pytest.raises(ValueError, match="`version` must be an integer of at least 1"):
        export_model(model, tmp_path, version)


def test_bad_directories_and_names(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        export_model(model, tmp_path / "file")
    with pytest.raises(ValueError, match="name of a served model"):
        export_model(model, tmp_path / "served", name="a b")
    with pytest.raises(ValueError, match="holds no exported model"):
        latest_version(tmp_path)
    (tmp_path / "7").mkdir()
    with pytest.raises(ValueError, match=r"holds no saved_model.pb"):
        latest_version(tmp_path)


def test_a_version_describes_itself(exported, model):
    description = json.loads((exported / "1" / "assets.extra" / "export.json").read_text())
    assert description["board_size"] == 4
    assert description["num_steps"] == 6
    assert sorted(description["signatures"]) == ["search", "serving_default", "solve_steps", "vote"]
    assert description["parameters"] == model.count_params()
    assert sorted(path.name for path in exported.iterdir()) == ["1", "serving"]


def test_models_config_is_one_that_the_server_reads(exported):
    text = (exported / "serving" / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (entry,) = config.model_config_list.config
    assert (entry.name, entry.base_path, entry.model_platform) == ("sudoku", "/models/sudoku", "tensorflow")


def test_batching_config_is_one_that_the_server_reads(exported):
    # The message is not in the Python package; these are its fields.
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", package="test", syntax="proto3", dependency=["google/protobuf/wrappers.proto"]
    )
    message = file.message_type.add(name="BatchingParameters")
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    for number, name in enumerate(names, start=1):
        message.field.add(name=name, number=number, label=1, type=11, type_name=".google.protobuf.Int64Value")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    parameters = message_factory.GetMessageClass(pool.FindMessageTypeByName("test.BatchingParameters"))()
    text_format.Parse((exported / "serving" / "batching.config").read_text(), parameters)
    assert parameters.max_batch_size.value == 32
    assert parameters.batch_timeout_micros.value > 0


def test_compose_file_fits_the_other_files(exported):
    text = (exported / "serving" / "docker-compose.yml").read_text()
    assert re.search(r"image: \$\{TF_SERVING_IMAGE:-tensorflow/serving:\d+\.\d+\.\d+\}", text)
    for part in ("8501:8501", "8500:8500", "..:/models/sudoku:ro", ".:/serving:ro", "--enable_batching=true"):
        assert part in text
    for option in re.findall(r"=/serving/(\S+)", text):
        assert (exported / "serving" / option).is_file()
    assert "\t" not in text


def test_edited_serving_files_are_kept(tmp_path):
    assert len(write_serving_files(tmp_path, "first", 32)) == 3
    (tmp_path / "serving" / "batching.config").write_text("mine")
    (tmp_path / "serving" / "models.config").unlink()
    assert [path.name for path in write_serving_files(tmp_path, "second", 32)] == ["models.config"]
    assert (tmp_path / "serving" / "batching.config").read_text() == "mine"
    assert "second" in (tmp_path / "serving" / "models.config").read_text()


def test_warmup_requests_can_be_batched_and_answered(exported, served):
    requests = read_warmup(exported / "1" / "assets.extra" / "tf_serving_warmup_requests")
    names = {"serving_default", "solve_steps", "vote", "search"}
    assert {request.model_spec.signature_name for request in requests} == names
    for request in requests:
        assert request.model_spec.name == "sudoku"
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        assert len({len(value) for value in inputs.values()}) == 1
        assert all(value.dtype == np.int32 for value in inputs.values())
        assert len(served(request.model_spec.signature_name, **inputs)["energy"]) == len(inputs["board"])


def test_sources(model, model_file, tmp_path):
    loaded = load_model(model_file)
    np.testing.assert_array_equal(loaded.weights[0], model.weights[0])
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(ValueError, match=r"is no run directory: it holds no model.keras"):
        load_model(run)
    (run / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="has not written its model yet"):
        load_model(run)
    (run / "model.keras").write_bytes(model_file.read_bytes())
    assert load_model(run).board_size == 4
    with pytest.raises(
        ValueError, match=r"neither a run directory nor a .keras file. Unknown preset .*sudoku4_quick, "
    ):
        load_model("sudoku5")
    with pytest.raises(ValueError, match="No trained weights"):
        load_model("sudoku9_paper_transformer")
    (tmp_path / "broken.keras").write_text("no")
    with pytest.raises(ValueError, match="can't be loaded"):
        load_model(tmp_path / "broken.keras")
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="holds a Sequential, which is none of SudokuModel"):
        load_model(tmp_path / "other.keras")


def test_command_line(model_file, tmp_path, capsys, quick):
    assert main([str(model_file), str(tmp_path / "served")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "served" / "1")
    assert main([str(model_file), str(tmp_path / "served"), "--version", "1"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: Version 1 exists")
    assert captured.err.count("\n") == 1
    assert main(["nothing", str(tmp_path / "served")]) == 2
    assert "neither a run directory" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([])


def test_interrupted_command_line(model_file, tmp_path, capsys, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(export.saved_model, "_write", interrupt)
    assert main([str(model_file), str(tmp_path / "served")]) == 130
    assert not (tmp_path / "served").exists()
