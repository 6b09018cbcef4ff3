"""What the servers of all models of images have in common: images as numbers or as encoded bytes."""

import numpy as np
import tensorflow as tf

from export.golden import Case
from export.server import Server

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


class ImageServer(Server):
    """Base class of the servers of models of images: `serving_default` takes numbers, and `encoded` takes files.

    - `image`, `(batch, height, width, 3)` uint8, of the size that the model was made for;
    - `image_bytes`, `(batch,)` string, for the signature `encoded`: JPEG or PNG files of images of just this size. Grey
      ones become grey in colour, transparency is dropped, and what a camera says of rotation is not looked at. Other
      sizes are refused, before they are decoded: whether to crop, to pad or to stretch is for a client to choose, as
      it was for the training, and a small file may hold an image that fills the memory. So are files of more bytes than
      `max_bytes`, by default what such an image takes without compression, and 16 kB for what else a file may tell.

    A subclass has `default`, `other_answers`, `sample_numbers` and `keras_answer`.

    Args:
        model: An `ImageModel` on the TensorFlow backend. Layers with a mixed precision policy are changed to float32.
        weights: As for `Server`.
        **settings: As the family has them.

    Raises:
        ValueError: If Keras runs on another backend, or a setting is no such number.
        tf.errors.InvalidArgumentError: From a signature, if there is no image, there are too many, or bytes are no such
            image.
    """

    def __init__(self, model, weights="float32", **settings):
        self.image_size = tuple(model.image_size)
        self.noise_shape = tuple(model.noise_shape())
        super().__init__(model, weights, **settings)

    def sizes(self):
        height, width = self.image_size
        return {"height": height, "width": width}

    def features(self):
        return {"oscillators"} if self.model.has_energy else set()

    def defaults(self):
        height, width = self.image_size
        # With 16 bits for each of four channels.
        return {"max_bytes": 8 * height * width + 16384}

    def facts(self):
        return {"image_size": list(self.image_size)}

    def answers(self):
        return {
            "serving_default": lambda image: self.default(in_floats(image)),
            "encoded": lambda image_bytes: self.default(in_floats(self._decoded(image_bytes))),
            **self.other_answers(),
        }

    def default(self, image):
        """The outputs for images as `in_floats` gives them."""
        raise NotImplementedError

    def other_answers(self):
        """How the signatures besides `serving_default` and `encoded` are answered, as `answers` says it."""
        return {}

    def _decoded(self, image_bytes):
        spec = tf.TensorSpec((*self.image_size, 3), tf.uint8)
        # One file after the other: what decoding one takes is not taken for several at once.
        return tf.map_fn(
            lambda file: _decoded(file, self.image_size), image_bytes, fn_output_signature=spec, parallel_iterations=1
        )

    def good_cases(self):
        images = sample_images(*self.image_size)
        files = np.array([_jpeg(image) if index % 2 else _png(image) for index, image in enumerate(images)])
        cases = [Case("serving_default", {"image": images}), Case("encoded", {"image_bytes": files})]
        for signature, numbers in self.sample_numbers().items():
            each = {name: np.array(values, np.int32) for name, values in numbers.items()}
            for tensor in self.declaration.signatures[signature].inputs:
                if tensor.limit:
                    each[tensor.name] = np.minimum(each[tensor.name], tensor.highest)
            cases.append(Case(signature, {"image": images, **each}))
            cases.append(Case(signature, {"image": images, **{name: values[2] for name, values in each.items()}}))
        return cases

    def sample_cases(self):
        (height, width), cases = self.image_size, super().sample_cases()
        file = _png(sample_images(height, width)[0])
        larger = _png(np.zeros((height + 1, width, 3), np.uint8))
        for fault, wrong, error in (
            ("file of text", b"no image", "`image_bytes` must be JPEG or PNG files"),
            ("file that is cut off", file[:-20], "PNG"),
            ("file of another size", larger, f"must be images of {height} x {width} pixels"),
        ):
            cases.append(Case("encoded", {"image_bytes": np.array([wrong])}, fault=fault, error=error))
        return cases

    def sample_numbers(self):
        """The numbers that signatures take besides images, for golden cases.

        Returns:
            Dictionary by the names of signatures, of dictionaries by the names of inputs, of five integers, one for
            each sample image; those above a limit are lowered to it.
        """
        return {}

    def keras_answers(self, case):
        # Eagerly, one image after the other, with numbers that are Python integers.
        numbers = {name: values for name, values in case.inputs.items() if name not in ("image", "image_bytes")}
        numbers = {name: np.broadcast_to(values, (case.size,)).tolist() for name, values in numbers.items()}
        answers = []
        for index in range(case.size):
            if case.signature == "encoded":
                image = _read(case.inputs["image_bytes"][index])
            else:
                image = case.inputs["image"][index]
            own = {name: values[index] for name, values in numbers.items()}
            answers.append(self.keras_answer(image[None].astype(np.float32) / 255, **own))
        return {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}

    def keras_answer(self, image, **numbers):
        """What the Keras model answers to one image, found in another way than by a signature.

        Args:
            image: `(1, height, width, 3)` float32 in [0, 1].
            **numbers: Integers by name, if the signature takes some.

        Returns:
            Dictionary from names to arrays, as the signature's outputs without their first axis.
        """
        raise NotImplementedError


def sample_images(height, width):
    """Five images of discs and rectangles on a background, no two alike, `(5, height, width, 3)` uint8."""
    rng = np.random.default_rng(0)
    row, column = (np.mgrid[:height, :width].T / (height, width)).T
    images = []
    for _ in range(5):
        image = rng.uniform(0, 80, 3) + 40 * (row + column)[..., None]
        for shape in range(3):
            (y, x), (h, w) = rng.uniform(0.2, 0.8, 2), rng.uniform(0.1, 0.3, 2)
            down, right = abs(row - y) / h, abs(column - x) / w
            image[np.hypot(down, right) < 1 if shape else np.maximum(down, right) < 1] = rng.uniform(80, 250, 3)
        images.append(image + rng.uniform(-5, 5, image.shape))
    return np.stack(images).clip(0, 255).astype(np.uint8)


def in_floats(image):
    """Images as models take them, float32 in [0, 1], of uint8 ones."""
    return tf.cast(image, tf.float32) / 255


def _decoded(file, image_size):
    """The pixels of a JPEG or PNG file: what its header tells is checked before memory is taken for them."""
    start = tf.strings.substr(tf.strings.join([tf.strings.substr(file, 0, 24), b"\0" * 24]), 0, 24)
    start = tf.cast(tf.io.decode_raw(start, tf.uint8), tf.int32)
    is_png, is_jpeg = (tf.reduce_all(start[: len(magic)] == list(magic)) for magic in (_PNG, _JPEG))
    text = "`image_bytes` must be JPEG or PNG files. One starts with the bytes:"
    # By way of the file: what is inside of a `tf.cond` waits for its inputs alone.
    with tf.control_dependencies([tf.debugging.Assert(tf.logical_or(is_png, is_jpeg), [text, start[:8]], 8)]):
        file = tf.identity(file)
    # In a PNG file, width and height are the first two numbers of the first chunk.
    numbers = tf.reduce_sum(tf.reshape(start[16:], (2, 4)) * [1 << 24, 1 << 16, 1 << 8, 1], axis=1)
    size = tf.cond(is_png, lambda: numbers[::-1], lambda: tf.image.extract_jpeg_shape(file)[:2])
    height, width = image_size
    text = f"`image_bytes` must be images of {height} x {width} pixels. Height and width of one are:"
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(size == image_size), [text, size])]):
        pixels = tf.io.decode_image(file, channels=3, expand_animations=False)
    return tf.ensure_shape(pixels, (height, width, 3))


def _png(image):
    return tf.io.encode_png(image).numpy()


def _jpeg(image):
    return tf.io.encode_jpeg(image, quality=90).numpy()


def _read(file):
    decode = tf.io.decode_png if file.startswith(_PNG) else tf.io.decode_jpeg
    return decode(file, channels=3).numpy()
