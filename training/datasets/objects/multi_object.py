"""DeepMind's multi-object data sets, from their TFRecord files."""

import numpy as np


def read_scenes(path, height, width, entities, entities_last=False):
    """Reads the images and masks of a file of DeepMind's multi-object data sets.

    In its records each byte of an image or a mask is a string of its own.

    Args:
        path: Path of the TFRecord file, compressed by gzip.
        height: Height of the images.
        width: Width of the images.
        entities: Number of masks of a scene, with that of the background, which is the first.
        entities_last: Whether masks have the axes height, width, entities, and not entities, height, width.

    Yields:
        Pairs of an image, `(height, width, 3)` uint8, and a mask, `(height, width)` uint8, 0 for the background.

    Raises:
        ValueError: If the file is damaged, or its records are not like that.
    """
    import tensorflow as tf

    shapes = {
        "image": (height, width, 3),
        "mask": (height, width, entities, 1) if entities_last else (entities, height, width, 1),
    }
    features = {name: tf.io.FixedLenFeature(shape, tf.string) for name, shape in shapes.items()}

    def parse(record):
        strings = tf.io.parse_single_example(record, features)
        # The last axis is that of a string's bytes.
        return {name: tf.io.decode_raw(values, tf.uint8)[..., :1] for name, values in strings.items()}

    number = 0
    try:
        records = tf.data.TFRecordDataset(str(path), compression_type="GZIP")
        for scene in records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator():
            number += 1
            masks = np.moveaxis(scene["mask"], 2, 0) if entities_last else scene["mask"]
            label = np.zeros((height, width), np.uint8)
            for entity, mask in enumerate(masks[..., 0, 0]):
                label[mask > 0] = entity
            yield scene["image"][..., 0], label
    except tf.errors.OpError as error:
        raise ValueError(
            f"'{path}' is damaged, or no TFRecord file, compressed by gzip, of scenes of {height}×{width} pixels with "
            f"{entities} masks. After {number:,} of them: {type(error).__name__}."
        ) from None
