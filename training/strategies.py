"""Where the training runs."""

import json
import os

import tensorflow as tf

NAMES = ("auto", "cpu", "mirrored", "multiworker", "tpu")


def make_strategy(name="auto"):
    """The `tf.distribute` strategy of that name. Call it before anything else touches a device.

    Args:
        name: `"cpu"`: this machine's processor, whatever else there is. `"mirrored"`: all GPUs of this machine (or all
            logical CPUs, where there is none). `"multiworker"`: the workers of the cluster in the environment variable
            `TF_CONFIG`. `"tpu"`: the TPU of this VM, or the one that the environment variable `TPU_NAME` names.
            `"auto"`: the first of TPU, several workers, several GPUs that there is, else TensorFlow's default device.

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
        if _worker_count() < 1:
            raise ValueError(
                "The strategy 'multiworker' needs the environment variable TF_CONFIG with the cluster's workers and "
                "this process's index."
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])
    if name == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    return tf.distribute.get_strategy()


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
    if _worker_count() > 1:
        return "multiworker"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "default"


def _worker_count():
    try:
        cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
    except ValueError as error:
        raise ValueError(f"The environment variable TF_CONFIG is not JSON: {error}.") from None
    return len(cluster.get("worker", [])) + len(cluster.get("chief", []))


def _tpu_strategy():
    # On a TPU VM the chips are local; TPU_NAME names a TPU reached over the network.
    name = os.environ.get("TPU_NAME", "local")
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
