"""What a served classifier of images answers: probabilities of the classes, averaged over initial oscillators."""

import numpy as np
import tensorflow as tf

from export.images.server import ImageServer, in_floats
from export.oscillators import initial_noise, noise_for_each, same_noise, samples_at_once
from export.server import check_limits

MAX_SAMPLES = 256


class ImageClassifierServer(ImageServer):
    """The functions behind the signatures of an exported classifier of images.

    | signature         | inputs                                             |
    | ----------------- | -------------------------------------------------- |
    | `serving_default` | `image` `(batch, height, width, 3)` uint8          |
    | `encoded`         | `image_bytes` `(batch,)` string, see `ImageServer` |
    | `ensemble`        | `image`, `members`, `seed`                         |

    All of them answer with

    - `probabilities`, `(batch, num_classes)` float32;
    - `label`, `(batch,)` int32: the most probable class.

    The probabilities are averages over initial oscillators: those of `initial_noise(seed, 0 … members - 1)`. The first
    two signatures take as many as was said when the model was exported, with the seed 0. The two further inputs of
    `ensemble`, int32, are scalars or have one integer for each image (behind a server that batches requests they must).
    A model without oscillators has no `ensemble`.

    An answer depends on the image and the numbers given with it only, not on what else is in the batch. An error does:
    one number out of range, or one file that is no image, fails the whole batch.

    Args:
        model: An `ImageClassifier` on the TensorFlow backend. Layers with a mixed precision policy are changed to
            float32.
        members: Number of initial oscillators where a request doesn't say.
        max_samples: Largest `members` that is accepted, so that one request can't block a server.

    Raises:
        ValueError: If Keras runs on another backend, a limit is not at least 1, `members` is above `max_samples`, or it
            is above 1 and the model has no oscillators.
        tf.errors.InvalidArgumentError: From a signature, if there is no image, a file is none of such an image, or a
            number is out of its range.

    Example:

    >>> from keras_kuramoto.models import ImageClassifier
    >>> model = ImageClassifier.from_preset("cifar10_akorn_small", load_weights=False)
    >>> ensemble = ImageClassifierServer(model).functions["ensemble"]
    >>> ensemble(tf.zeros((1, 32, 32, 3), tf.uint8), members=3, seed=0)["probabilities"].shape
    TensorShape([1, 10])
    """

    kind = "image_classifier"

    def __init__(self, model, members=1, max_samples=MAX_SAMPLES):
        super().__init__(model)
        check_limits(members=members, max_samples=max_samples)
        if members > 1 and not model.has_energy:
            raise ValueError(f"A model without oscillators has one answer: `members` must be 1. Received {members}.")
        if members > max_samples:
            raise ValueError(f"`members` must be at most `max_samples`, {max_samples}. Received {members}.")
        self.members, self.max_samples = members, max_samples
        self._has_oscillators, self._run, self._num_classes = model.has_energy, model.run, model.num_classes
        others = {"ensemble": self._ensemble} if model.has_energy else {}
        self.make_functions(self._default, **others)

    def description(self):
        limits = {"members": self.members, "max_samples": self.max_samples} if self._has_oscillators else {}
        return {**super().description(), "num_classes": self.model.num_classes, **limits}

    def sample_numbers(self):
        if not self._has_oscillators:
            return {}
        # Alone, the first image has more members than run in one go.
        members = [min(number, self.max_samples) for number in (9, 1, 3, 2, 4)]
        return {"ensemble": {"members": (members, "max_samples"), "seed": ([1, 0, -5, 2**31 - 1, 1], None)}}

    def keras_answer(self, image, members=None, seed=0):
        odds = []
        for sample in range(members or self.members):
            noise = {}
            if self._has_oscillators:
                noise = {"noise": initial_noise(tf.constant(seed), tf.constant(sample), self.noise_shape)[None]}
            logits = np.asarray(self.model.run(image, **noise), np.float64)[0]
            odds.append(np.exp(logits - logits.max()))
        probabilities = np.mean([one / one.sum() for one in odds], axis=0).astype(np.float32)
        return {"probabilities": probabilities, "label": probabilities.argmax().astype(np.int32)}

    def _default(self, image):
        if not self._has_oscillators:
            return _answer(tf.nn.softmax(tf.cast(self._run(image), tf.float32)))
        if self.members == 1:
            # Drawn once for all images.
            logits = self._run(image, noise=same_noise(image, self.noise_shape))
            return _answer(tf.nn.softmax(tf.cast(logits, tf.float32)))
        batch = tf.shape(image)[:1]
        return self._average(image, tf.fill(batch, self.members), tf.zeros(batch, tf.int32))

    def _ensemble(self, image, members, seed):
        image = in_floats(image)
        members = self.number_for_each("members", members, image, "max_samples")
        return self._average(image, members, self.number_for_each("seed", seed, image))

    def _average(self, image, members, seed):
        """The answer for `members` initial oscillators of each image, found in portions, so that memory is bounded."""
        batch, most = tf.shape(image)[0], tf.reduce_max(members)
        together = samples_at_once(batch, most)
        row = tf.repeat(tf.range(batch), together)
        images, seeds = tf.gather(image, row), tf.gather(seed, row)

        def add(start, total):
            sample = tf.broadcast_to(start + tf.range(together), tf.stack([batch, together]))
            noise = noise_for_each(seeds, tf.reshape(sample, [-1]), self.noise_shape)
            probabilities = tf.nn.softmax(tf.cast(self._run(images, noise=noise), tf.float32))
            probabilities = tf.reshape(probabilities, tf.stack([batch, together, self._num_classes]))
            # Beyond its own number of members, an image has no answers.
            own = (sample < members[:, None])[..., None]
            return start + together, total + tf.reduce_sum(tf.where(own, probabilities, 0.0), axis=1)

        nothing = tf.zeros(tf.stack([batch, self._num_classes]))
        _, total = tf.while_loop(lambda start, _: start < most, add, (tf.constant(0), nothing), parallel_iterations=1)
        return _answer(total / tf.cast(members, tf.float32)[:, None])


def _answer(probabilities):
    return {"probabilities": probabilities, "label": tf.argmax(probabilities, axis=-1, output_type=tf.int32)}
