"""The training loop: strategies agree, a resumed run is the run, an interruption loses nothing."""

import gc
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny
import tiny_synapses

from training.__main__ import main
from training.batch_runner import BatchRunner
from training.loop import Trainer
from training.runs import RunDirectory
from training.source import load_model
from training.strategies import make_strategy
from training.sudoku import BoardSolver
from training.sudoku.voting import Lowest

ROOT = pathlib.Path(__file__).parents[2]


def start(arguments, script="tiny.py", **environment):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests/training" / script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow", **environment},
    )


def losses_of(process, prefix="LOSSES "):
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error[-3000:]
    return [json.loads(line.removeprefix(prefix)) for line in out.splitlines() if line.startswith(prefix)]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("localhost", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A run on one device, from its first update to its last."""
    trainer = tiny.make_trainer(tmp_path_factory.mktemp("single") / "run")
    trainer.train()
    return trainer


def test_two_logical_devices_train_as_one_does(single, tmp_path):
    (two,) = losses_of(start(["mirrored", "2", str(tmp_path / "run")]))
    # Sums in another order, through eight updates: float32's 1e-7, some tens of times over.
    np.testing.assert_allclose(two, tiny.losses(single.run.path), rtol=1e-5)


def test_two_processes_train_as_one_does(single, tmp_path):
    workers = [f"localhost:{port}" for port in free_ports(2)]
    processes = [
        start(
            ["multiworker", "1", str(tmp_path / "run")],
            TF_CONFIG=json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]
    outputs = [losses_of(process) for process in processes]
    assert [len(output) for output in outputs] == [1, 0]
    np.testing.assert_allclose(outputs[0][0], tiny.losses(single.run.path), rtol=1e-5)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "checkpoints",
        "config.json",
        "logs",
        "model.keras",
        "results.json",
    ]


def test_memories_learn_in_the_loop_alike_on_one_device_and_on_two(tmp_path):
    process = start([str(tmp_path / "two")], "tiny_synapses.py")
    (one,) = tiny_synapses.trained_memories(tmp_path / "one", make_strategy("cpu"))
    (two,) = losses_of(process, "MEMORIES ")
    assert np.abs(one - 0.5 * tiny_synapses.STATES[:3]).max() > 0.05
    assert len(two) == 2
    for copy in two:
        np.testing.assert_allclose(copy, one, atol=1e-6)


def test_a_resumed_run_continues_as_if_never_stopped(single, tmp_path):
    first = tiny.make_trainer(tmp_path / "run")
    first.options = first.options.__class__(**{**first.options.__dict__, "steps": 4})
    first.train()
    second = tiny.make_trainer(tmp_path / "run")
    assert second.restore() == 4
    second.train()
    assert second.step == 8
    for a, b in zip(second.model.get_weights(), single.model.get_weights()):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(second.average.get_weights(), single.average.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_an_interruption_leaves_a_checkpoint_of_the_last_update(tmp_path, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)
    trainer = tiny.make_trainer(tmp_path / "run", steps=100, evaluate_every=100, checkpoint_every=100)
    updates = trainer._compiled

    def interrupted(*arguments):
        result = updates(*arguments)
        if trainer.step == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return result

    trainer._compiled = interrupted
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    again = tiny.make_trainer(tmp_path / "run", steps=100, evaluate_every=100, checkpoint_every=100)
    assert again.restore() == 6
    for a, b in zip(again.model.get_weights(), trainer.model.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert signal.getsignal(signal.SIGINT) is handler
    for a, b in zip(load_model(trainer.run.path).get_weights(), trainer.average.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_the_saved_model_has_the_averaged_weights(single):
    model = keras.saving.load_model(single.run.model)
    for a, b in zip(model.get_weights(), single.average.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(single.average.get_weights(), single.model.get_weights()))


def test_training_learns_and_logs(single):
    trainer = single
    files = [path.name for path in trainer.run.logs.iterdir()]
    assert len(files) == 1
    tags = {
        value.tag
        for event in tf.compat.v1.train.summary_iterator(str(trainer.run.logs / files[0]))
        for value in event.summary.value
    }
    assert {"train/loss", "train/accuracy", "train/energy", "train/step_seconds", "test/board_accuracy_4_steps"} <= tags
    assert {"train/input_wait", "energy/first", "energy/last", "energy/trajectory"} <= tags
    # The one block has γ, and no Ω in this preset or one.
    assert any(tag.startswith("gamma/") for tag in tags)
    assert any(tag.startswith("omega/") for tag in tags)
    (_, first, _), (_, last, _) = tiny.losses(trainer.run.path)
    assert last < first


def test_only_the_thread_that_trains_collects_garbage(tmp_path):
    collectors, stop = set(), threading.Event()

    class Garbage:
        def __init__(self):
            self.itself = self

        def __del__(self):
            collectors.add(threading.get_ident())

    def litter():
        while not stop.wait(1e-4):
            [Garbage() for _ in range(100)]

    class Littered(tiny.TinyExperiment):
        def evaluate(self, model, strategy):
            # From the first evaluation to the second.
            if other.is_alive():
                stop.set()
                other.join()
            else:
                other.start()
            return super().evaluate(model, strategy)

    other = threading.Thread(target=litter)
    run = RunDirectory(tmp_path / "run")
    settings = tiny.options(steps=8, evaluate_every=4)
    run.create({"experiment": "sudoku", "preset": "tiny", "options": settings})
    Trainer(Littered(settings), run, make_strategy("cpu"), verbose=False).train()
    assert gc.isenabled()
    assert collectors == {threading.get_ident()}


def test_a_checkpoint_of_another_model_is_refused(single, tmp_path):
    other = tiny.make_trainer(tmp_path / "run", arguments={"channels": 8, "connectivity": {"heads": 2}})
    shutil.copytree(single.run.checkpoints, other.run.checkpoints)
    before = other.model.get_weights()
    with pytest.raises(ValueError, match="of another model"):
        other.restore()
    for a, b in zip(other.model.get_weights(), before):
        np.testing.assert_array_equal(a, b)


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    class Three(tf.distribute.OneDeviceStrategy):
        num_replicas_in_sync = 3

    with pytest.raises(ValueError, match=r"multiple of the number of replicas, 3: 6 or 9 would do\. Received 8"):
        tiny.make_trainer(tmp_path / "run", Three("/cpu:0"))


def test_batches_depend_on_their_step_alone(single):
    late = next(iter(single.experiment.batches(11)))
    third = list(single.experiment.batches(9).take(3))[2]
    tf.nest.map_structure(np.testing.assert_array_equal, late, third)
    assert not np.array_equal(late[0]["noise"], next(iter(single.experiment.batches(12)))[0]["noise"])


def test_an_epoch_shows_every_board_once(single):
    experiment = single.experiment
    seen = np.concatenate(
        [np.sort(e["solution"].numpy().reshape(len(e["solution"]), -1), 1) for e, _ in experiment.batches(0).take(8)]
    )
    assert len(seen) == 64  # Symmetries change the boards themselves; their number is that of an epoch.
    plain = tiny.TinyExperiment(tiny.options(symmetries=False))
    seen = np.concatenate([e["puzzle"].numpy() for e, _ in plain.batches(8).take(8)])
    order = lambda boards: boards.reshape(64, -1)[np.lexsort(boards.reshape(64, -1).T)]  # noqa: E731
    np.testing.assert_array_equal(order(seen), order(plain.train_boards()["puzzle"]))


def test_a_batch_runner_fills_up_and_cuts_the_last_batch():
    calls = []

    def double(x):
        calls.append(x.shape)
        return {"double": 2 * x}

    runner = BatchRunner(make_strategy("cpu"), double, 4)
    np.testing.assert_array_equal(runner([np.arange(6)])["double"], 2 * np.arange(6))
    np.testing.assert_array_equal(runner([np.arange(2)])["double"], 2 * np.arange(2))
    assert calls == [(4,)]


def test_voting_keeps_given_digits_and_never_raises_the_energy(single):
    puzzle, strategy = single.experiment.test["puzzle"][:5], make_strategy("cpu")
    solver = BoardSolver(single.average, strategy, batch_size=4)
    one, many = solver(puzzle), solver(puzzle, votes=7)
    assert (many["energy_sum"] <= one["energy_sum"] + 1e-4).all()
    assert (many["energy_sum"] < one["energy_sum"] - 1e-4).any()
    np.testing.assert_array_equal(many["solution"][puzzle > 0], puzzle[puzzle > 0])


def test_votes_do_not_depend_on_the_batch_size(single):
    puzzle, strategy = single.experiment.test["puzzle"][:5], make_strategy("cpu")
    small = BoardSolver(single.average, strategy, selection=Lowest("energy"), batch_size=4)(puzzle, votes=6)
    large = BoardSolver(single.average, strategy, selection=Lowest("energy"), batch_size=30)(puzzle, votes=6)
    np.testing.assert_array_equal(small["solution"], large["solution"])
    np.testing.assert_allclose(small["energy"], large["energy"], rtol=1e-5)


def test_a_run_is_evaluated_with_options_of_its_own(single, tmp_path, capsys):
    boards = single.experiment.test["puzzle"][:6]
    path = tmp_path / "boards.txt"
    path.write_bytes("\n".join("".join(map(str, board.ravel())) for board in boards).encode("utf-8-sig"))
    before = json.loads(single.run.results.read_text())
    settings = [f"test_data={path}", "test_steps=[2, 4]", "votes=3", "seed=1"]
    assert main(["evaluate", str(single.run.path), *(word for s in settings for word in ("--set", s))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"6 boards of {path}, 3 initial oscillators each; boards solved, in %, by givens:"
    assert [line.split()[0] for line in lines[1:]] == ["steps", "2", "4"]
    *kept, last = json.loads(single.run.results.read_text())
    assert kept == before
    assert last["evaluation"]["votes"] == 3
    answers = BoardSolver(single.average, make_strategy("cpu"), 4)(boards, votes=3, seed=1)
    assert last["test"]["energy_4_steps"] == pytest.approx(float(answers["energy"].mean()), rel=1e-5)
    single.run.results.write_text(json.dumps(before))


def test_a_baseline_without_oscillators_trains_in_the_same_loop(tmp_path):
    trainer = tiny.make_trainer(
        tmp_path / "run",
        model="sudoku9_small_iterative",
        arguments={"board_size": 4, "channels": 16, "attention": {"heads": 2}, "num_steps": 2},
        min_steps=0,
        max_steps=0,
        steps=4,
    )
    before = trainer.model.get_weights()
    results = trainer.train()
    assert sorted(results) == ["blank_cell_accuracy", "board_accuracy", "board_accuracy_by_givens"]
    assert any((a != b).any() for a, b in zip(before, trainer.model.get_weights()))
    with pytest.raises(ValueError, match="has no oscillators"):
        tiny.make_trainer(tmp_path / "other", model="sudoku9_small_iterative", arguments={"board_size": 4})


def test_training_starts_from_the_weights_of_another_run(single, tmp_path):
    trainer = tiny.make_trainer(tmp_path / "run", start=str(single.run.path))
    for a, b in zip(trainer.model.get_weights(), single.average.get_weights()):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="differs from 'sudoku4_quick'"):
        tiny.make_trainer(
            tmp_path / "other", start=str(single.run.path), arguments={"channels": 8, "connectivity": {"heads": 2}}
        )


def test_a_strategy_that_is_not_there_says_so(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="TF_CONFIG"):
        make_strategy("multiworker")
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(ValueError, match="not JSON"):
        make_strategy("multiworker")


def test_a_directory_without_a_trained_model_says_so(tmp_path):
    tiny.make_trainer(tmp_path / "run")
    assert RunDirectory(tmp_path / "run").exists
    with pytest.raises(ValueError, match="has not written its model yet"):
        load_model(tmp_path / "run")
