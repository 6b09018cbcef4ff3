"""What a served model that finds objects answers: features, and which object each pixel belongs to."""

import numpy as np
import tensorflow as tf

from export.images.clusters import k_means, unit_length
from export.images.server import ImageServer, in_floats
from export.oscillators import initial_noise, noise_for_each, same_noise
from export.server import check_limits

MAX_STEPS = 128
MAX_CLUSTERS = 32


class ObjectsServer(ImageServer):
    """The functions behind the signatures of an exported model that finds objects.

    | signature         | inputs                                             |
    | ----------------- | -------------------------------------------------- |
    | `serving_default` | `image` `(batch, height, width, 3)` uint8          |
    | `encoded`         | `image_bytes` `(batch,)` string, see `ImageServer` |
    | `find_objects`    | `image`, `clusters`, `num_steps`, `seed`           |

    All of them answer with

    - `features`, `(batch, rows, columns, channels)` float32, of unit length: those of the image's patches;
    - `labels`, `(batch, height, width)` int32: which cluster of features each pixel's patch belongs to, numbered from 0
      in the order in which they appear. There are fewer labels than clusters where patches have equal features.

    The clusters are those of k-means with a start that is not random, see `k_means`. The first two signatures find as
    many as was said when the model was exported, with the model's own number of steps, from `initial_noise(0, 0)` for
    every image. The three further inputs of `find_objects`, int32, are scalars or have one integer for each image
    (behind a server that batches requests they must): it starts from `initial_noise(seed, 0)`, and `num_steps` is that
    of each block. Of a model without oscillators it takes `clusters` alone.

    An answer depends on the image and the numbers given with it only, not on what else is in the batch. An error does:
    one number out of range, or one file that is no image, fails the whole batch.

    Args:
        model: An `ObjectsModel` on the TensorFlow backend. Layers with a mixed precision policy are changed to float32.
        clusters: Number of clusters where a request doesn't say: the most objects of an image, and its background.
        max_clusters: Largest `clusters` that is accepted; by default 32, or the number of patches if there are fewer.
        kmeans_steps: How often k-means moves its means.
        max_steps: Largest `num_steps` that is accepted, so that one request can't block a server.

    Raises:
        ValueError: If Keras runs on another backend, a limit is not at least 1, or there are more clusters than are
            accepted, or more of these than patches.
        tf.errors.InvalidArgumentError: From a signature, if there is no image, a file is none of such an image, or a
            number is out of its range.

    Example:

    >>> from keras_kuramoto.models import ObjectsModel
    >>> model = ObjectsModel.from_preset("objects_tetrominoes_small", load_weights=False)
    >>> find_objects = ObjectsServer(model).functions["find_objects"]
    >>> answer = find_objects(tf.zeros((1, 32, 32, 3), tf.uint8), clusters=3, num_steps=2, seed=0)
    >>> answer["features"].shape, answer["labels"].shape
    (TensorShape([1, 8, 8, 64]), TensorShape([1, 32, 32]))
    """

    kind = "objects"

    def __init__(self, model, clusters=4, max_clusters=None, kmeans_steps=10, max_steps=MAX_STEPS):
        super().__init__(model)
        rows, columns, _ = self.noise_shape
        if max_clusters is None:
            max_clusters = min(MAX_CLUSTERS, rows * columns)
        check_limits(clusters=clusters, max_clusters=max_clusters, kmeans_steps=kmeans_steps, max_steps=max_steps)
        if max_clusters > rows * columns:
            raise ValueError(
                f"`max_clusters` must be at most the number of patches, {rows} x {columns}. Received {max_clusters}."
            )
        if clusters > max_clusters:
            raise ValueError(f"`clusters` must be at most `max_clusters`, {max_clusters}. Received {clusters}.")
        self.clusters, self.max_clusters = clusters, max_clusters
        self.kmeans_steps, self.max_steps = kmeans_steps, max_steps
        self._has_oscillators, self._features = model.has_energy, model.features
        find_objects = self._find_objects if model.has_energy else self._find_clusters
        self.make_functions(self._default, find_objects=find_objects)

    def description(self):
        limits = {"clusters": self.clusters, "max_clusters": self.max_clusters, "kmeans_steps": self.kmeans_steps}
        steps = {"num_steps": self.model.num_steps, "max_steps": self.max_steps} if self._has_oscillators else {}
        return {**super().description(), "feature_map": list(self.noise_shape), **limits, **steps}

    def sample_numbers(self):
        def up_to(most, *values):
            return [min(value, most) for value in values]

        numbers = {"clusters": (up_to(self.max_clusters, 3, 1, 5, 4, 2), "max_clusters")}
        if self._has_oscillators:
            numbers["num_steps"] = (up_to(self.max_steps, 3, 8, 1, 2, 4), "max_steps")
            numbers["seed"] = ([1, 0, -5, 2**31 - 1, 1], None)
        return {"find_objects": numbers}

    def keras_answer(self, image, clusters=None, num_steps=None, seed=0):
        options = {}
        if self._has_oscillators:
            noise = initial_noise(tf.constant(seed), tf.constant(0), self.noise_shape)[None]
            options = {"noise": noise, "num_steps": num_steps}
        features = np.asarray(self.model.features(image, **options), np.float64)[0]
        length = np.linalg.norm(features, axis=-1, keepdims=True)
        features /= np.where(length > 0, length, 1)
        labels = _labels(features, clusters or self.clusters, self.kmeans_steps)
        height, width = (new // old for new, old in zip(self.image_size, labels.shape))
        return {"features": features.astype(np.float32), "labels": np.kron(labels, np.ones((height, width), np.int32))}

    def _default(self, image):
        noise = {"noise": same_noise(image, self.noise_shape)} if self._has_oscillators else {}
        return self._answer(self._features(image, **noise), tf.fill(tf.shape(image)[:1], self.clusters))

    def _find_objects(self, image, clusters, num_steps, seed):
        image = in_floats(image)
        clusters = self.number_for_each("clusters", clusters, image, "max_clusters")
        num_steps = self.number_for_each("num_steps", num_steps, image, "max_steps")
        seed = self.number_for_each("seed", seed, image)
        noise = noise_for_each(seed, tf.zeros_like(seed), self.noise_shape)
        return self._answer(self._features(image, noise=noise, num_steps=num_steps), clusters)

    def _find_clusters(self, image, clusters):
        image = in_floats(image)
        return self._answer(self._features(image), self.number_for_each("clusters", clusters, image, "max_clusters"))

    def _answer(self, features, clusters):
        features = unit_length(tf.cast(features, tf.float32))
        rows, columns, channels = features.shape[1:]
        labels = k_means(tf.reshape(features, (-1, rows * columns, channels)), clusters, self.kmeans_steps)
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
