"""The workers of a training, as the environment variable `TF_CONFIG` names them."""

import collections
import json
import os

_JOBS = ("chief", "worker")
_EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'

Cluster = collections.namedtuple("Cluster", "addresses task index")


def read_cluster():
    """The cluster of `TF_CONFIG`, checked.

    Returns:
        `Cluster(addresses, task, index)`: a dictionary from jobs, `"chief"` and `"worker"`, to lists of addresses, and
        which of them this process is. Without `TF_CONFIG`, there are no addresses.

    Raises:
        ValueError: If it is not what `tf.distribute.MultiWorkerMirroredStrategy` needs.

    Example:

    >>> os.environ.pop("TF_CONFIG", None)
    >>> read_cluster()
    Cluster(addresses={}, task=None, index=None)
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return Cluster({}, None, None)
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _wrong(f"is not JSON ({error})") from None
    if not isinstance(config, dict) or not isinstance(config.get("cluster", {}), dict):
        raise _wrong("is no object with a `cluster`")
    jobs = config.get("cluster", {})
    if not jobs:
        return Cluster({}, None, None)
    for job, addresses in jobs.items():
        if job not in _JOBS:
            raise _wrong(f"has the job '{job}', and only {' and '.join(_JOBS)} take part here")
        if not isinstance(addresses, list) or not addresses:
            raise _wrong(f"has no list of addresses for the job '{job}' but {addresses!r}")
        for address in addresses:
            host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise _wrong(f"has the address {address!r}, which is not host:port")
    if len(jobs.get("chief", [])) > 1:
        raise _wrong("has more than one chief")
    everyone = [address for addresses in jobs.values() for address in addresses]
    if len(set(everyone)) < len(everyone):
        raise _wrong("has an address twice")
    task = config.get("task")
    if not isinstance(task, dict) or task.get("type") not in jobs:
        raise _wrong(f"has no `task` whose `type` is one of {', '.join(jobs)}, but {task!r}")
    index, count = task.get("index"), len(jobs[task["type"]])
    # Some launchers write it as a string, which TensorFlow takes too.
    if not str(index).isdigit() or int(index) >= count:
        raise _wrong(f"has the task index {index!r}, and the {task['type']}s are 0 to {count - 1}")
    return Cluster(jobs, task["type"], int(index))


def _wrong(what):
    return ValueError(f"The environment variable TF_CONFIG {what}. It looks like {_EXAMPLE}.")
