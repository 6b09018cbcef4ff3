"""TF_CONFIG: what is wrong with it is said in one line. Shares of workers make up the batch."""

import json

import numpy as np
import pytest
import tiny

from training.__main__ import main
from training.cluster import read_cluster
from training.inputs import check_batch_size
from training.strategies import describe, make_strategy

HOSTS = ["host0:2222", "host1:2222"]


def config(cluster, task):
    return json.dumps({"cluster": cluster, "task": task})


def test_a_cluster_is_read(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config({"chief": HOSTS[:1], "worker": HOSTS[1:]}, {"type": "worker", "index": "0"}))
    assert read_cluster() == ({"chief": HOSTS[:1], "worker": HOSTS[1:]}, "worker", 0)
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert read_cluster().addresses == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is no object with a `cluster`"),
        (config({"worker": HOSTS, "ps": ["a:1"]}, {"type": "worker", "index": 0}), "has the job 'ps'"),
        (config({"worker": []}, {"type": "worker", "index": 0}), "no list of addresses for the job 'worker'"),
        (config({"worker": "host0:2222"}, {"type": "worker", "index": 0}), "no list of addresses"),
        (
            config({"worker": ["host0"]}, {"type": "worker", "index": 0}),
            "has the address 'host0', which is not host:port",
        ),
        (config({"worker": ["host0:99999"]}, {"type": "worker", "index": 0}), "has the address 'host0:99999'"),
        (config({"worker": [HOSTS[0]] * 2}, {"type": "worker", "index": 0}), "has an address twice"),
        (config({"chief": HOSTS}, {"type": "chief", "index": 0}), "more than one chief"),
        (json.dumps({"cluster": {"worker": HOSTS}}), "has no `task`"),
        (config({"worker": HOSTS}, {"type": "chief", "index": 0}), "has no `task` whose `type` is one of worker"),
        (config({"worker": HOSTS}, {"type": "worker", "index": 2}), "has the task index 2, and the workers are 0 to 1"),
        (config({"worker": HOSTS}, {"type": "worker"}), "has the task index None"),
    ],
)
def test_a_wrong_cluster_is_one_line(text, message, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_CONFIG", text)
    assert main(["sudoku", "--preset", "sudoku4_quick"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: The environment variable TF_CONFIG ")
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_on_a_pod_only_the_first_host_runs_the_command(monkeypatch):
    monkeypatch.setenv("TPU_NAME", "pod")
    monkeypatch.setenv("TPU_WORKER_ID", "3")
    with pytest.raises(ValueError, match="only the first runs this command, and this is host 3"):
        make_strategy("auto")


def test_a_strategy_is_told_in_words():
    assert describe(make_strategy("cpu")) == "one CPU"
    assert describe(make_strategy("auto")) == "one CPU"


@pytest.mark.parametrize(("size", "replicas", "words"), [(10, 4, "8 or 12"), (3, 4, ": 4 would")])
def test_sizes_that_would_divide_are_named(size, replicas, words):
    with pytest.raises(ValueError, match=words):
        check_batch_size(size, replicas)
    check_batch_size(12, 4)


def test_the_shares_of_workers_make_up_the_batch():
    experiment = tiny.TinyExperiment(tiny.options())
    (whole, shared), *_ = experiment.batches(3).take(1)
    shares = [next(iter(experiment.shares(3, worker, 4))) for worker in range(4)]
    for name, value in whole.items():
        np.testing.assert_array_equal(np.concatenate([examples[name] for examples, _ in shares]), value)
    for _, other in shares:
        np.testing.assert_array_equal(other["num_steps"], shared["num_steps"])
