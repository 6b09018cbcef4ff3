"""What a served classifier of images answers: probabilities of the classes, averaged over initial oscillators."""

import numpy as np
import tensorflow as tf

from export.families import IMAGE_CLASSIFIER
from export.images.server import ImageServer, in_floats
from export.oscillators import initial_noise, noise_for_each, same_noise, samples_at_once


class ImageClassifierServer(ImageServer):
    """The functions behind the signatures of a classifier of images, which `export.families.IMAGE_CLASSIFIER` declares.

    The probabilities are averages over initial oscillators: those of `initial_noise(seed, 0 … members - 1)`. The
    signatures `serving_default` and `encoded` (see `ImageServer`) take as many as was said when the model was exported,
    with the seed 0. The numbers of `ensemble` are scalars or have one integer for each image (behind a server that
    batches requests they must). A model without oscillators has no `ensemble`.

    An answer depends on the image and the numbers given with it only, not on what else is in the batch. An error does:
    one number out of range, or one file that is no image, fails the whole batch.

    Args:
        model: An `ImageClassifier` on the TensorFlow backend. Layers with a mixed precision policy are changed to
            float32.
        **settings: `max_batch`, `max_bytes`, and with oscillators `members` and `max_samples`.

    Raises:
        ValueError: If Keras runs on another backend, a setting is not at least 1, or `members` is above `max_samples`.
        tf.errors.InvalidArgumentError: From a signature, if there is no image, there are too many, a file is none of
            such an image, or a number is out of its range.

    Example:

    >>> from keras_kuramoto.models import ImageClassifier
    >>> model = ImageClassifier.from_preset("cifar10_akorn_small", load_weights=False)
    >>> ensemble = ImageClassifierServer(model).functions["ensemble"]
    >>> ensemble(tf.zeros((1, 32, 32, 3), tf.uint8), members=3, seed=0)["probabilities"].shape
    TensorShape([1, 10])
    """

    family = IMAGE_CLASSIFIER

    def sizes(self):
        return {**super().sizes(), "classes": self.model.num_classes}

    def check_settings(self):
        members, most = (self.settings.get(name, 1) for name in ("members", "max_samples"))
        if members > most:
            raise ValueError(f"`members` must be at most `max_samples`, {most}. Received {members}.")

    def other_answers(self):
        return {"ensemble": self._ensemble} if self.model.has_energy else {}

    def sample_numbers(self):
        # Alone, the first image has more members than run in one go.
        numbers = {"members": [9, 1, 3, 2, 4], "seed": [1, 0, -5, 2**31 - 1, 1]}
        return {"ensemble": numbers} if self.model.has_energy else {}

    def keras_answer(self, image, members=None, seed=0):
        odds = []
        for sample in range(members or self.settings.get("members", 1)):
            noise = {}
            if self.model.has_energy:
                noise = {"noise": initial_noise(tf.constant(seed), tf.constant(sample), self.noise_shape)[None]}
            logits = np.asarray(self.model.run(image, **noise), np.float64)[0]
            odds.append(np.exp(logits - logits.max()))
        probabilities = np.mean([one / one.sum() for one in odds], axis=0).astype(np.float32)
        return {"probabilities": probabilities, "label": probabilities.argmax().astype(np.int32)}

    def default(self, image):
        if not self.model.has_energy:
            return _answer(tf.nn.softmax(tf.cast(self.model.run(image), tf.float32)))
        if self.settings["members"] == 1:
            # Drawn once for all images.
            logits = self.model.run(image, noise=same_noise(image, self.noise_shape))
            return _answer(tf.nn.softmax(tf.cast(logits, tf.float32)))
        batch = tf.shape(image)[:1]
        return self._average(image, tf.fill(batch, self.settings["members"]), tf.zeros(batch, tf.int32))

    def _ensemble(self, image, members, seed):
        return self._average(in_floats(image), members, seed)

    def _average(self, image, members, seed):
        """The answer for `members` initial oscillators of each image, found in portions, so that memory is bounded."""
        batch, most = tf.shape(image)[0], tf.reduce_max(members)
        together = samples_at_once(batch, most)
        row = tf.repeat(tf.range(batch), together)
        images, seeds = tf.gather(image, row), tf.gather(seed, row)

        def add(start, total):
            sample = tf.broadcast_to(start + tf.range(together), tf.stack([batch, together]))
            noise = noise_for_each(seeds, tf.reshape(sample, [-1]), self.noise_shape)
            probabilities = tf.nn.softmax(tf.cast(self.model.run(images, noise=noise), tf.float32))
            probabilities = tf.reshape(probabilities, tf.stack([batch, together, self.model.num_classes]))
            # Beyond its own number of members, an image has no answers.
            own = (sample < members[:, None])[..., None]
            return start + together, total + tf.reduce_sum(tf.where(own, probabilities, 0.0), axis=1)

        nothing = tf.zeros(tf.stack([batch, self.model.num_classes]))
        _, total = tf.while_loop(lambda start, _: start < most, add, (tf.constant(0), nothing), parallel_iterations=1)
        return _answer(total / tf.cast(members, tf.float32)[:, None])


def _answer(probabilities):
    return {"probabilities": probabilities, "label": tf.argmax(probabilities, axis=-1, output_type=tf.int32)}
