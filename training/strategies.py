"""Where the training runs."""

import os

import tensorflow as tf

from training.cluster import read_cluster

NAMES = ("auto", "cpu", "mirrored", "multiworker", "tpu")


def make_strategy(name="auto"):
    """The `tf.distribute` strategy of that name. Call it before anything else touches a device.

    Args:
        name: `"cpu"`: this machine's processor, whatever else there is. `"mirrored"`: all GPUs of this machine (or all
            logical CPUs, where there is none). `"multiworker"`: the workers of the cluster in the environment variable
            `TF_CONFIG`. `"tpu"`: the TPU of this VM, or the one that the environment variable `TPU_NAME` names: a pod,
            whose hosts each run TensorFlow's server, while this command runs on the first of them. `"auto"`: the first
            of TPU, several workers, several GPUs that there is, else TensorFlow's default device.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        ValueError: If the name is unknown, or what it asks for is not there.

    Example:

    >>> make_strategy("cpu").num_replicas_in_sync
    1
    """
    if name not in NAMES:
        raise ValueError(f"Unknown strategy '{name}'. Known: {', '.join(NAMES)}.")
    if name == "auto":
        name = _best_strategy()
    if name == "tpu":
        return _tpu_strategy()
    if name == "multiworker":
        return _multiworker_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])
    if name == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    return tf.distribute.get_strategy()


def describe(strategy):
    """What a strategy runs on, in words.

    Args:
        strategy: A `tf.distribute.Strategy`.

    Example:

    >>> describe(make_strategy("cpu"))
    'one CPU'
    """
    replicas = strategy.num_replicas_in_sync
    if isinstance(strategy, tf.distribute.TPUStrategy):
        hosts = strategy.extended.num_hosts
        return f"{replicas} TPU cores of {hosts} host{'s' if hosts > 1 else ''}"
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    if isinstance(strategy, tf.distribute.OneDeviceStrategy):
        return "one CPU"
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        cluster = read_cluster()
        count = sum(map(len, cluster.addresses.values()))
        return (
            f"{count} workers with {replicas // count} {kind}{'s' if replicas > count else ''} each; this is "
            f"{cluster.task} {cluster.index}"
        )
    return f"{replicas} {kind}s of this machine" if replicas > 1 else f"one {kind}"


def num_workers(strategy):
    """How many processes train together."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return max(sum(map(len, strategy.cluster_resolver.cluster_spec().as_dict().values())), 1)
    return 1


def is_chief(strategy):
    """Whether this process writes the checkpoints, logs and results that all workers agree on."""
    resolver = strategy.cluster_resolver
    if resolver is None or not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    return (resolver.task_type, resolver.task_id) in ((None, None), ("chief", 0), ("worker", 0)) and not (
        resolver.task_type == "worker" and resolver.cluster_spec().as_dict().get("chief")
    )


def _best_strategy():
    if os.environ.get("TPU_NAME") or os.path.exists("/dev/accel0") or os.path.exists("/dev/vfio/0"):
        return "tpu"
    if sum(map(len, read_cluster().addresses.values())) > 1:
        return "multiworker"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "default"


def _multiworker_strategy():
    cluster = read_cluster()
    if not cluster.addresses:
        raise ValueError(
            "The strategy 'multiworker' needs the environment variable TF_CONFIG with the cluster's workers and "
            "this process's index."
        )
    address = cluster.addresses[cluster.task][cluster.index]
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise ValueError(
            f"The workers of TF_CONFIG don't come together ({type(error).__name__}). This process is {cluster.task} "
            f"{cluster.index}, which must be able to listen at {address}, and each other one must be running."
        ) from None


def _tpu_strategy():
    # On a TPU VM the chips are local; TPU_NAME names a TPU reached over the network, such as a pod's hosts.
    name = os.environ.get("TPU_NAME", "local")
    host = os.environ.get("TPU_WORKER_ID", "0")
    if name != "local" and host not in ("", "0"):
        raise ValueError(
            f"Of a TPU pod's hosts only the first runs this command, and this is host {host} (TPU_WORKER_ID). The "
            "others run TensorFlow's TPU server, which it calls."
        )
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise ValueError(
            f"No TPU answers as '{name}' ({type(error).__name__}). Run this on a Cloud TPU VM with the extra 'tpu' "
            "installed, or set TPU_NAME."
        ) from None
    return tf.distribute.TPUStrategy(resolver)
