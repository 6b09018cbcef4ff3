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
