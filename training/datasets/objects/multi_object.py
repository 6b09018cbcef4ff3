"""DeepMind's multi-object data sets, from their TFRecord files."""

import numpy as np

_LENGTH_DELIMITED = 2


def read_scenes(path, height, width, entities, entities_last=False):
    """Reads the images and masks of a file of DeepMind's multi-object data sets.

    In its `tf.train.Example` records each byte of an image or a mask is a string of its own, some millions for a scene
    of CLEVR. So the bytes are taken from the records as they are: TensorFlow's parser needs a hundred times as long.

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

    number = 0
    try:
        for record in tf.data.TFRecordDataset(str(path), compression_type="GZIP"):
            number += 1
            values = _bytes_features(memoryview(record.numpy()))
            image = _unpacked(values.get(b"image", b""), (height, width, 3))
            shape = (height, width, entities) if entities_last else (entities, height, width)
            masks = _unpacked(values.get(b"mask", b""), shape)
            masks = np.moveaxis(masks, -1, 0) if entities_last else masks
            label = np.zeros((height, width), np.uint8)
            for entity, mask in enumerate(masks):
                label[mask > 0] = entity
            yield image, label
    except tf.errors.OpError as error:
        raise ValueError(
            f"'{path}' is damaged, or no TFRecord file compressed by gzip: after {number:,} records, "
            f"{type(error).__name__}."
        ) from None
    except _RecordError as error:
        raise ValueError(
            f"'{path}' has no scenes of {height}×{width} pixels with {entities} masks: of record {number:,}, {error}."
        ) from None


class _RecordError(Exception):
    """Raised where a record is not what it should be."""


def _bytes_features(record):
    """Of the features of a `tf.train.Example`, the encoded list of each that is a list of bytes."""
    found = {}
    for _, features in _fields(record):
        for _, entry in _fields(features):
            parts = dict(_fields(entry))
            lists = dict(_fields(parts.get(2, b"")))
            if 1 in parts and 1 in lists:
                found[bytes(parts[1])] = lists[1]
    return found


def _fields(message):
    """The fields of an encoded protocol buffer that are strings or messages: pairs of number and content."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        length, position = _varint(message, position)
        if key & 7 != _LENGTH_DELIMITED or position + length > len(message):
            raise _RecordError("the bytes are no tf.train.Example")
        yield key >> 3, message[position : position + length]
        position += length


def _varint(message, position):
    value = shift = 0
    while position < len(message):
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
    raise _RecordError("the bytes end too early")


def _unpacked(encoded, shape):
    """The bytes of an encoded list of strings of one byte each: field 1, length 1, the byte."""
    triples = np.frombuffer(encoded, np.uint8)
    if len(triples) != 3 * np.prod(shape) or (triples[::3] != 10).any() or (triples[1::3] != 1).any():
        raise _RecordError(f"an array of the shape {shape} is missing, or another one")
    return triples[2::3].reshape(shape)
