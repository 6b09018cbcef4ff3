"""Which devices a backend has."""

import keras


def has_tpu():
    """Whether what is computed runs on a TPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return any(device.device_type == "TPU" for device in tf.config.list_logical_devices())
    if backend == "jax":
        import jax

        return jax.default_backend() == "tpu"
    return False


def compiled_for_a_cpu():
    """Whether XLA may compile what is computed, and for a CPU alone."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return {device.device_type for device in tf.config.list_logical_devices()} == {"CPU"}
    if backend == "jax":
        import jax

        return jax.default_backend() == "cpu"
    return False
