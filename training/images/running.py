"""Models of images applied to arrays of them."""

import numpy as np
import tensorflow as tf

from training.batch_runner import BatchRunner


def trajectories(model, images, seed):
    """The energy of the last block along the steps of the first images: what `Experiment.trajectories` asks for.

    Args:
        model: An `ImageModel`.
        images: `(count, height, width, 3)`, uint8; sixteen are taken.
        seed: Seed of the initial oscillators.

    Returns:
        Array `(examples, steps)`, or `None` for a model without oscillators.
    """
    if not model.has_energy:
        return None
    image = images[:16].astype("float32") / 255
    noise = tf.random.stateless_normal((len(image), *model.noise_shape(*image.shape[1:3])), (seed, 0), alg="philox")
    return model.run(image, noise, return_energy=True)[1].numpy()


class ImageRunner:
    """Applies a method of a model to images in batches, on all replicas, with initial oscillators of its own choice.

    Compiled at the first call, and again for images of another size.

    Args:
        method: Method of an `ImageModel` that takes images and initial oscillators, such as its `run`.
        model: The model.
        strategy: A `tf.distribute.Strategy`.
        batch_size: How many images are computed at once, over all replicas.
        seed: Seed of the initial oscillators.

    Call arguments:
        images: `(count, height, width, 3)`, float32 in [0, 1].
        draw: An integer. Each has other initial oscillators.

    Returns:
        What the method gives, a NumPy array with `count` rows.
    """

    def __init__(self, method, model, strategy, batch_size, seed=0):
        self.seed = seed

        def run(image, seeds):
            noise = None
            if model.has_energy:
                shape = (image.shape[0], *model.noise_shape(*image.shape[1:3]))
                # XLA's own choice of an algorithm takes thirty times as long on a CPU.
                noise = tf.random.stateless_normal(shape, seeds[0], alg="philox")
            return {"result": method(image, noise)}

        self._runner = BatchRunner(strategy, run, batch_size)

    def __call__(self, images, draw=0):
        # Each batch takes the seed of its first image.
        seeds = np.stack([np.full(len(images), self.seed), np.arange(len(images)) + 1_000_003 * draw], 1)
        return self._runner([images, seeds.astype("int64")])["result"]
