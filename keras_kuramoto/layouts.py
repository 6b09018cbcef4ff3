"""How weights are split over devices where one device can't hold them: layouts for Keras' distribution API, on JAX."""

import re

import keras


def split_patterns(device_mesh, axis="model"):
    """Patterns of a `CDAMRecall` or `CDAMAttention` over the devices of an axis of a mesh, each with its share of them.

    Choose `block_size` at least as large as the number of patterns: they are then read in one product, which is split
    as they are, and each step sums its result over the devices.

    Args:
        device_mesh: A `keras.distribution.DeviceMesh`. The length of `axis` must divide the number of patterns.
        axis: Name of the axis.

    Returns:
        A `keras.distribution.LayoutMap` for `keras.distribution.ModelParallel`.

    Example:

    >>> mesh = keras.distribution.DeviceMesh((4,), ("model",), ["cpu:0", "cpu:1", "cpu:2", "cpu:3"])
    >>> split_patterns(mesh)["cdam_recall/patterns"].axes
    ('model', None)
    """
    layout = keras.distribution.LayoutMap(device_mesh)
    layout[r"(.*/)?patterns"] = (axis, None)
    return layout


def split_channels(model, device_mesh, axis="model"):
    """Channels of AKOrN over the devices of an axis of a mesh, of which each computes its share of the channels.

    The kernels of projections and convolutions in the blocks are split by the channels that they give; those that come
    second in a pair, such as the attention's output, by the channels that they take. What is small stays whole on each
    device: biases, statistics, embeddings, the head. The results are those of one device, to rounding.

    Args:
        model: A model of `keras_kuramoto.models` with a `KuramotoNetwork`, for the names and shapes of its weights:
            any of the same configuration.
        device_mesh: A `keras.distribution.DeviceMesh`.
        axis: Name of the axis. Kernels whose channels its length does not divide stay whole.

    Returns:
        A `keras.distribution.LayoutMap` for `keras.distribution.ModelParallel`.

    Raises:
        ValueError: If no kernel of the model can be split like that.

    Example:

    >>> from keras_kuramoto.models import SudokuModel
    >>> mesh = keras.distribution.DeviceMesh((2,), ("model",), ["cpu:0", "cpu:1"])
    >>> model = SudokuModel.from_preset("sudoku9_small")
    >>> layout = split_channels(model, mesh)
    >>> layout["network/block_0/network/stimuli/kernel"].axes
    (None, 'model')
    """
    parts = device_mesh.shape[device_mesh.axis_names.index(axis)]
    layouts = {}
    for weight in model.trainable_weights:
        shape = tuple(weight.shape)
        if "/block_" not in weight.path or not weight.path.endswith("kernel") or len(shape) < 2:
            continue
        takes = re.search(r"(/output/kernel|/output_kernel)$", weight.path)
        position = len(shape) - 2 if takes else len(shape) - 1
        if shape[position] % parts == 0:
            axes = [None] * len(shape)
            axes[position] = axis
            layouts[_pattern(weight.path)] = tuple(axes)
    if not layouts:
        raise ValueError(f"The model '{model.name}' has no kernels of AKOrN whose channels {parts} devices can share.")
    layout = keras.distribution.LayoutMap(device_mesh)
    for path, axes in layouts.items():
        layout[path] = axes
    return layout


def _pattern(path):
    """A pattern for a weight's path, whatever number Keras gives to the names of the layers that have none."""
    return "/".join(re.escape(re.sub(r"_\d+$", "", part)) + r"(_\d+)?" for part in path.split("/"))
