"""Versions beside each other: labels, the way back, pruning, and what a version tells of itself."""

import json
import pathlib
import shutil
import subprocess

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from export.__main__ import main
from export.card import content_hash, origin, wrong_files
from export.check import check
from export.labels import labels, promote, prune, rollback, serve_beside
from export.serving import write_serving_files
from export.versions import existing_versions


@pytest.fixture
def versions(tmp_path):
    """A directory with three versions that only look like ones."""
    directory = tmp_path / "sudoku"
    for version in (1, 2, 3):
        (directory / str(version)).mkdir(parents=True)
        (directory / str(version) / "saved_model.pb").write_text(str(version))
    write_serving_files(directory, "sudoku", 32)
    return directory


def config(directory):
    text = (directory / "serving" / "models.config").read_text()
    message = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return message.model_config_list.config[0]


def served(directory):
    return list(config(directory).model_version_policy.specific.versions)


def test_a_label_goes_forth_and_back(versions):
    assert labels(versions) == {}
    assert promote(versions, 1) == {"stable": 1}
    # What was served, the latest version, still is.
    assert served(versions) == [1, 3]
    assert promote(versions, 2) == {"stable": 2, "stable-previous": 1}
    assert served(versions) == [1, 2, 3]
    assert promote(versions, 2) == {"stable": 2, "stable-previous": 1}
    assert rollback(versions) == {"stable": 1, "stable-previous": 2}
    assert rollback(versions) == {"stable": 2, "stable-previous": 1}
    assert promote(versions, 3, "canary") == {"stable": 2, "stable-previous": 1, "canary": 3} == labels(versions)
    assert config(versions).base_path == "/models/sudoku"
    assert (versions / "serving" / "models.config").read_text().startswith("# Which models the server serves")


def test_an_export_is_served_beside_the_others_once_there_are_labels(versions):
    serve_beside(versions, 3)
    assert not config(versions).HasField("model_version_policy")
    promote(versions, 3)
    (versions / "4").mkdir()
    serve_beside(versions, 4)
    assert served(versions) == [3, 4]
    assert labels(versions) == {"stable": 3}


def test_only_what_has_no_label_is_pruned_when_it_is_asked_for(versions):
    promote(versions, 1)
    promote(versions, 2)
    (versions / "4").mkdir()
    serve_beside(versions, 4)
    (versions / "notes").mkdir()
    assert prune(versions, keep=4) == []
    assert prune(versions) == [3]
    assert existing_versions(versions) == served(versions) == [1, 2, 4]
    assert sorted(path.name for path in versions.iterdir()) == ["1", "2", "4", "notes", "serving"]
    assert rollback(versions)["stable"] == 1


def test_versions_without_labels_are_pruned_to_the_latest(versions):
    assert prune(versions, keep=2) == [1]
    assert prune(versions) == [2]
    assert existing_versions(versions) == [3]
    assert not config(versions).HasField("model_version_policy")


def test_the_configuration_is_replaced_as_a_whole(versions, monkeypatch):
    promote(versions, 1)
    path = versions / "serving" / "models.config"
    before = path.read_text()

    def fail(self, target):
        assert target == path
        assert path.read_text() == before
        raise KeyboardInterrupt

    monkeypatch.setattr(pathlib.Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        promote(versions, 2)
    assert path.read_text() == before
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "batching.config",
        "docker-compose.yml",
        "models.config",
    ]


def test_other_models_in_the_configuration_stay(versions):
    path = versions / "serving" / "models.config"
    other = 'config { name: "other" base_path: "/models/other" model_version_policy { latest { num_versions: 2 } } }'
    path.write_text(path.read_text().replace("model_config_list {", "model_config_list {\n" + other, 1))
    promote(versions, 2)
    message = text_format.Parse(path.read_text(), model_server_config_pb2.ModelServerConfig())
    first, second = message.model_config_list.config
    assert first.model_version_policy.latest.num_versions == 2
    assert not first.version_labels
    assert dict(second.version_labels) == {"stable": 2}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["promote", "DIR", "7"], "holds no version 7. It holds: 1, 2, 3."),
        (["promote", "DIR", "1", "--label", "a b"], "A label must be letters"),
        (["promote", "DIR", "1", "--label", "stable-previous"], "not end with '-previous'"),
        (["promote", "NOTHING", "1"], "can't be read as a configuration of models"),
        (["rollback", "DIR"], "The label 'stable' has no earlier version"),
        (["prune", "DIR", "--keep", "0"], "`keep` must be an integer of at least 1. Received 0"),
        (["describe", "DIR"], "model_card.md"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(versions, tmp_path, capsys, words, message):
    before = (versions / "serving" / "models.config").read_text()
    places = {"DIR": str(versions), "NOTHING": str(tmp_path / "nothing")}
    assert main([places.get(word, word) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert (versions / "serving" / "models.config").read_text() == before
    assert existing_versions(versions) == [1, 2, 3]


def test_a_version_to_go_back_to_may_be_gone(versions):
    promote(versions, 1)
    promote(versions, 2)
    shutil.rmtree(versions / "1")
    with pytest.raises(ValueError, match="Version 1, where 'stable' was before, is not in"):
        rollback(versions)
    assert labels(versions) == {"stable": 2, "stable-previous": 1}


def test_a_damaged_configuration_is_named(versions):
    (versions / "serving" / "models.config").write_text("model_config_list { config {")
    with pytest.raises(ValueError, match=r"models.config' can't be read as a configuration"):
        promote(versions, 1)


def test_command_line(versions, capsys):
    assert main(["promote", str(versions), "1"]) == 0
    assert main(["promote", str(versions), "3"]) == 0
    assert main(["rollback", str(versions)]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["stable: 1", "stable-previous: 3"]
    assert main(["prune", str(versions)]) == 0
    assert capsys.readouterr().out == "deleted: 2\n"
    assert main(["describe"]) == 0
    out = capsys.readouterr().out
    assert "## sudoku" in out
    assert "| `start` | in | `index` | int32 (B,) | 0 to last_state | index of a state |" in out


def test_the_sums_are_those_that_a_shell_checks(exported, tmp_path, monkeypatch):
    version = exported / "1"
    assert wrong_files(version) == []
    if shutil.which("sha256sum"):
        words = ["sha256sum", "--quiet", "-c", "assets.extra/SHA256SUMS"]
        assert subprocess.run(words, cwd=version, capture_output=True).returncode == 0
    copy = shutil.copytree(version, tmp_path / "1")
    assert content_hash(copy) == content_hash(version)
    (copy / "saved_model.pb").write_bytes((copy / "saved_model.pb").read_bytes() + b"\0")
    (copy / "assets.extra" / "model_card.md").unlink()
    (copy / "more").write_text("")
    wanted = ["assets.extra/model_card.md is missing", "more is not of the export", "saved_model.pb was changed"]
    assert wrong_files(copy) == wanted
    monkeypatch.setenv("CC", "compiler-that-is-not-there")
    (copy / "saved_model.pb").write_bytes((version / "saved_model.pb").read_bytes())
    (row,) = [row for row in check(copy).rows if row.what == "sums of files"]
    assert row.problems == wanted[:2]


def test_where_a_model_comes_from(tmp_path):
    assert origin("sudoku9_hard") == {
        "source": "sudoku9_hard",
        "experiment": "sudoku",
        "preset": "sudoku9_hard",
        "data": "9x9_mixed",
        "licence": "Apache-2.0",
    }
    run = tmp_path / "run"
    run.mkdir()
    assert origin(run, "CC0") == {"source": "run", "licence": "CC0"}
    options = {"data": "9x9", "steps": 9}
    (run / "config.json").write_text(json.dumps({"experiment": "sudoku", "preset": "small", "options": options}))
    results = [
        {"step": 4, "train": {}, "test": {"solved": 0.1}},
        {"step": 8, "train": {"loss": 1.0}, "test": {"solved": 0.5, "by steps": {"16": 0.25}, "name": "a"}},
        {"evaluation": {}, "test": {"solved": 0.75}},
    ]
    (run / "results.json").write_text(json.dumps(results))
    assert origin(run) == {
        "source": "run",
        "experiment": "sudoku",
        "preset": "small",
        "data": "9x9",
        "steps": 8,
        "metrics": {"solved": 0.5, "by steps/16": 0.25},
    }
    # Other experiments' results are no list.
    (run / "results.json").write_text('{"rand": 0.9}')
    assert "metrics" not in origin(run)


def test_the_card_tells_what_is_known(exported, capsys):
    assert main(["describe", str(exported)]) == 0
    card = capsys.readouterr().out
    assert card.startswith("# sudoku\n\nSolves Sudoku boards.")
    assert "| licence of the weights | not stated |" in card
    assert "| `max_samples` | 4096 |" in card
    assert "| `serving_default` | in | `board` | int32 (B, 4, 4) | 0 to 4 | digits, 0 for a blank cell |" in card
