"""Plays the scenes of `test_survival.py` one after the other and writes what came of them.

Nothing here may use a device: processes that are forked after that hang.

python tests/training/scenes.py DIRECTORY
"""

import json
import os
import pathlib
import re
import resource
import signal
import socket
import sys
import time

import lives
import numpy as np
import tensorflow as tf
from lives import Life, checkpoints, differing, weights

# In the sixth batch.
SPOILT = 19


def results(run):
    return [(entry["step"], entry["test"]) for entry in json.loads((run / "results.json").read_text())]


def newest(run):
    return max(checkpoints(run), default=0)


def logged(run):
    """The values that are in the files for TensorBoard."""
    files = (run / "logs").glob("events*")
    return [
        value
        for file in files
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    ]


def reaches(life, run, update):
    assert life.wait_for(lambda: newest(run) >= update), life.text()


def alone(path):
    run = path / "alone"
    assert Life(run).end() == 0
    files = sorted(entry.name for entry in run.iterdir())
    return {"results": results(run), "checkpoints": checkpoints(run), "files": files}


def killed(path):
    run = path / "killed"
    at = lives.killed_again_and_again(run, 4)
    return {"at": at, "differ": differing(run, path / "alone"), "results": results(run)}


def terminated(path):
    run = path / "terminated"
    life = Life(run)
    reaches(life, run, 20)
    life.kill(signal.SIGTERM)
    code, update = life.end(), newest(run)
    resumed = Life(run, "--resume").end()
    return {
        "code": code,
        "text": life.text(),
        "newest": update,
        "resumed": resumed,
        "differ": differing(run, path / "alone"),
    }


def impatient(path):
    """One call that takes for ever, and a second command for the same directory."""
    run = path / "impatient"
    endless = [f"{name}={10**8}" for name in ("steps", "steps_per_call", "evaluate_every", "checkpoint_every")]
    arguments = [word for setting in endless for word in ("--set", setting)]
    life = Life(run, *arguments)
    assert life.wait_for(lambda: "Updates" in life.text()), life.text()
    second = Life(run, *arguments, "--resume")
    refused = second.end(), second.text()
    life.kill(signal.SIGINT)
    assert life.wait_for(lambda: "Stopping with a checkpoint" in life.text()), life.text()
    time.sleep(0.2)
    lives_on = life.wait_for(lambda: True)
    life.kill(signal.SIGINT)
    return {"lives_on": lives_on, "code": life.end(), "text": life.text(), "second": refused, "pid": life.pid}


def spoilt(path):
    run = path / "spoilt"
    life = Life(run, "--set", f"spoilt={SPOILT}", "--set", "checkpoint_every=2")
    return {
        "code": life.end(),
        "text": life.text(),
        "row": SPOILT,
        "diverged": json.loads((run / "diverged.json").read_text()),
        "newest": newest(run),
        "finite": all(np.isfinite(value).all() for value in weights(run).values() if value.dtype.kind == "f"),
    }


def damaged(path):
    """A file of records, one of which changes on the disk while the run reads them."""
    run, file = path / "damaged", path / "records"
    with tf.io.TFRecordWriter(str(file)) as writer:
        for row in np.ones((64, 4), "float32"):
            writer.write(tf.make_tensor_proto(row).SerializeToString())
    endless = [f"{name}={10**8}" for name in ("steps", "evaluate_every")]
    life = Life(run, "--set", f"records={file}", *[word for setting in endless for word in ("--set", setting)])
    reaches(life, run, 20)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    return {"code": life.end(), "text": life.text(), "newest": newest(run)}


def misnamed(path):
    """A metric by which no checkpoint can be the best."""
    run = path / "misnamed"
    life = Life(run, "--set", "best_metric=accuracy")
    return {"code": life.end(), "text": life.text(), "newest": newest(run)}


def full(path):
    """The system refuses to write more than some bytes to a file, as a full disk does."""
    run = path / "full"
    wide = ["--set", "width=20000", "--set", "steps=40", "--set", "evaluate_every=40"]
    life = Life(run, *wide)
    reaches(life, run, 10)
    life.kill()
    life.end()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    life = Life(run, *wide, "--resume", before=limit)
    return {"code": life.end(), "text": life.text(), "resumed": Life(run, *wide, "--resume").end()}


def forbidden(path):
    """As another user than root, who may do everything."""
    parent = path / "forbidden"
    parent.mkdir(mode=0o755)
    # The directories of temporary files are for their owner alone.
    for above in (path, *path.parents):
        if above.stat().st_uid == os.geteuid():
            above.chmod(above.stat().st_mode | 0o011)

    def other_user():
        if os.geteuid() == 0:
            os.seteuid(65534)
        else:
            parent.chmod(0o555)

    life = Life(path / "outputs" / "run", "--run-dir", parent / "run", before=other_user)
    return {"code": life.end(), "text": life.text(), "files": [str(file) for file in parent.iterdir()]}


def profiled(path):
    run = path / "profiled"
    life = Life(run, "--profile", "203:203")
    assert life.end() == 0, life.text()
    return {
        "files": [str(file) for file in (run / "logs").rglob("*")],
        "differ": differing(run, path / "alone"),
        "tags": sorted({value.tag for value in logged(run)}),
    }


def in_one_thread(path):
    """Operations run one by one, as on a machine with one core; the update is what takes long."""
    run = path / "one"
    life = Life(
        run,
        *("--set", "width=5000", "--set", "batch_size=64", "--set", "steps=40"),
        before=lambda: tf.config.threading.set_inter_op_parallelism_threads(1),
    )
    assert life.end() == 0, life.text()
    waits = [tf.make_ndarray(value.tensor).item() for value in logged(run) if value.tag == "train/input_wait"]
    return {"waits": waits}


def workers_of(path, *arguments):
    """Two workers, each in a process."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    hosts = [f"localhost:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    configs = [{"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}} for index in range(2)]
    return [
        Life(path, "--strategy", "multiworker", *arguments, environment={"TF_CONFIG": json.dumps(config)})
        for config in configs
    ]


def workers(path):
    run = path / "workers"
    first, second = workers_of(run)
    reaches(first, run, 20)
    second.kill()
    second.end()
    died = time.monotonic()
    code = first.end()
    seconds = time.monotonic() - died
    again = workers_of(run, "--resume")
    return {
        "code": code,
        "text": first.text(),
        "seconds": seconds,
        "resumed": [life.end() for life in again],
        "failures": [life.text().count("Traceback") for life in again],
        "steps": newest(run),
    }


def preempted(path):
    run = path / "preempted"
    both = workers_of(run)
    reaches(both[0], run, 20)
    both[1].kill(signal.SIGTERM)
    codes = [life.end() for life in both]
    stopped = [re.findall(r"Stopped after update (\d+)", life.text())[-1:] for life in both]
    return {"codes": codes, "stopped": [update for (update,) in stopped], "newest": newest(run)}


SCENES = (
    alone,
    killed,
    terminated,
    impatient,
    spoilt,
    damaged,
    misnamed,
    full,
    forbidden,
    profiled,
    in_one_thread,
    workers,
    preempted,
)

if __name__ == "__main__":
    directory = pathlib.Path(sys.argv[1])
    chosen = [scene for scene in SCENES if len(sys.argv) < 3 or scene.__name__ in sys.argv[2:]]
    told = {}
    for scene in chosen:
        began = time.monotonic()
        told[scene.__name__] = scene(directory)
        print(f"{scene.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    (directory / "told.json").write_text(json.dumps(told))
