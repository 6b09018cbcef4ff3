"""What a served model that finds objects answers: features, and which object each pixel belongs to."""

import keras
import numpy as np
import tensorflow as tf

from export.families import OBJECTS
from export.images.clusters import k_means, unit_length
from export.images.server import ImageServer, in_floats
from export.oscillators import initial_noise, noise_for_each, run_until_rest, same_noise
from keras_kuramoto.layers import UntilRest
from keras_kuramoto.models.image_model import of_each_block

MAX_CLUSTERS = 32


class ObjectsServer(ImageServer):
    """The functions behind the signatures of a model that finds objects, which `export.families.OBJECTS` declares.

    The labels are those of clusters of features, numbered in the order in which they appear, of k-means with a start
    that is not random, see `k_means`. There are fewer labels than clusters where patches have equal features. The
    signatures `serving_default` and `encoded` (see `ImageServer`) find as many as was said when the model was exported,
    with the model's own number of steps, from `initial_noise(0, 0)` for every image. The numbers of `find_objects` are
    scalars or have one integer for each image (behind a server that batches requests they must): it starts from
    `initial_noise(seed, 0)`, and `num_steps` is that of each block. Of a model without oscillators it takes `clusters`
    alone.

    An answer depends on the image and the numbers given with it only, not on what else is in the batch. An error does:
    one number out of range, or one file that is no image, fails the whole batch.

    Args:
        model: An `ObjectsModel` on the TensorFlow backend. Layers with a mixed precision policy are changed to float32.
        **settings: `max_batch`, `max_bytes`, `clusters`, `max_clusters`, `kmeans_steps`, and with oscillators
            `max_steps` and `tolerance`.

    Raises:
        ValueError: If Keras runs on another backend, a setting is not at least 1, or there are more clusters than are
            accepted, or more of these than patches.
        tf.errors.InvalidArgumentError: From a signature, if there is no image, there are too many, a file is none of
            such an image, or a number is out of its range.

    Example:

    >>> from keras_kuramoto.models import ObjectsModel
    >>> model = ObjectsModel.from_preset("objects_tetrominoes_small", load_weights=False)
    >>> find_objects = ObjectsServer(model).functions["find_objects"]
    >>> answer = find_objects(tf.zeros((1, 32, 32, 3), tf.uint8), clusters=3, num_steps=2, seed=0)
    >>> answer["features"].shape, answer["labels"].shape
    (TensorShape([1, 8, 8, 64]), TensorShape([1, 32, 32]))
    """

    family = OBJECTS

    def sizes(self):
        rows, columns, channels = self.noise_shape
        return {**super().sizes(), "rows": rows, "columns": columns, "channels": channels}

    def defaults(self):
        rows, columns, _ = self.noise_shape
        return {**super().defaults(), "max_clusters": min(MAX_CLUSTERS, rows * columns)}

    def check_settings(self):
        rows, columns, _ = self.noise_shape
        clusters, most = self.settings["clusters"], self.settings["max_clusters"]
        if most > rows * columns:
            raise ValueError(
                f"`max_clusters` must be at most the number of patches, {rows} x {columns}. Received {most}."
            )
        if clusters > most:
            raise ValueError(f"`clusters` must be at most `max_clusters`, {most}. Received {clusters}.")

    def facts(self):
        steps = {"num_steps": self.model.num_steps} if self.model.has_energy else {}
        return {**super().facts(), **steps}

    def other_answers(self):
        return {"find_objects": self._find_objects}

    def sample_numbers(self):
        numbers = {"clusters": [3, 1, 5, 4, 2]}
        if self.model.has_energy:
            numbers |= {"num_steps": [3, 8, 1, 2, 4], "seed": [1, 0, -5, 2**31 - 1, 1]}
        return {"find_objects": numbers}

    def keras_answer(self, image, clusters=None, num_steps=None, seed=0):
        options = {}
        if self.model.has_energy:
            noise = initial_noise(tf.constant(seed), tf.constant(0), self.noise_shape)[None]
            options = {"noise": noise, "num_steps": num_steps}
            if self.settings["tolerance"] > 0:
                options["num_steps"] = UntilRest(self.settings["tolerance"], num_steps)
        features, *taken = keras.tree.flatten(self.model.features(image, **options))
        features = np.asarray(features, np.float64)[0]
        length = np.linalg.norm(features, axis=-1, keepdims=True)
        features /= np.where(length > 0, length, 1)
        labels = _labels(features, clusters or self.settings["clusters"], self.settings["kmeans_steps"])
        height, width = (new // old for new, old in zip(self.image_size, labels.shape))
        answer = {
            "features": features.astype(np.float32),
            "labels": np.kron(labels, np.ones((height, width), np.int32)),
        }
        if self.model.has_energy:
            own = of_each_block("num_steps", num_steps or self.model.num_steps, len(self.model.network.blocks))
            answer["steps"] = np.int32(taken[0][0] if taken else sum(own))
        return answer

    def default(self, image):
        clusters = tf.fill(tf.shape(image)[:1], self.settings["clusters"])
        noise = same_noise(image, self.noise_shape) if self.model.has_energy else None
        return self._answer(image, clusters, None, noise)

    def _find_objects(self, image, clusters, num_steps=None, seed=None):
        noise = noise_for_each(seed, tf.zeros_like(seed), self.noise_shape) if self.model.has_energy else None
        return self._answer(in_floats(image), clusters, num_steps, noise)

    def _answer(self, image, clusters, num_steps, noise):
        if not self.model.has_energy:
            return self._clustered(self.model.features(image), clusters)
        features, taken = run_until_rest(
            self.model, self.model.features, self.settings["tolerance"], image, num_steps, noise=noise
        )
        return {**self._clustered(features, clusters), "steps": taken}

    def _clustered(self, features, clusters):
        features = unit_length(tf.cast(features, tf.float32))
        rows, columns, channels = features.shape[1:]
        labels = k_means(tf.reshape(features, (-1, rows * columns, channels)), clusters, self.settings["kmeans_steps"])
        # Each pixel has the label of the patch that it is in.
        labels = tf.reshape(labels, (-1, rows, columns))
        for axis, (new, old) in enumerate(zip(self.image_size, (rows, columns)), start=1):
            labels = tf.gather(labels, np.arange(new) * old // new, axis=axis)
        return {"features": features, "labels": labels}


def _labels(features, clusters, num_steps):
    """What `k_means` gives for one image, point by point in float64, `(rows, columns)` int32."""
    points = features.reshape(-1, features.shape[-1])

    def squares(mean):
        return ((points - mean) ** 2).sum(-1)

    means = [points[squares(points.mean(0)).argmin()]]
    while len(means) < clusters:
        distance = np.min([squares(mean) for mean in means], axis=0)
        if distance.max() <= 1e-5:
            break
        means.append(points[distance.argmax()])
    for _ in range(num_steps):
        nearest = np.argmin([squares(mean) for mean in means], axis=0)
        means = [points[nearest == index].mean(0) if index in nearest else mean for index, mean in enumerate(means)]
    nearest = np.argmin([squares(mean) for mean in means], axis=0).tolist()
    order = list(dict.fromkeys(nearest))
    return np.array([order.index(label) for label in nearest], np.int32).reshape(features.shape[:2])
