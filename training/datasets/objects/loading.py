"""Reading prepared data sets into memory."""

import contextlib
import logging
import re

import numpy as np

from training.datasets.records import prepare, read_split


def load(name, split, data_dir=None):
    """Reads a split of a data set of scenes into memory, preparing the data set first if that was not done before.

    Args:
        name: `"tetrominoes"`, `"multi_dsprites"` or `"shapes"`, or one of these with a configuration, such as
            `"tetrominoes/35x35"`. After the configuration may stand what is to differ from it: a seed and numbers of
            examples, such as `"tetrominoes/32x32_seed1_train512_test64"`. Or a name that was given to
            `python -m training prepare-scenes`. Or what others publish: `"multi_object/tetrominoes"`,
            `"multi_object/multi_dsprites"`, `"multi_object/clevr"`, `"clevrtex/full"`, `"clevrtex/outd"`,
            `"clevrtex/camo"` and `"voc"`, whose files belong into the folder `downloads/manual` of the data directory,
            and `"coco"`, which is downloaded.
        split: `"train"` or `"test"`; `"clevrtex/full"` and `"clevrtex/camo"` have `"validation"`, too, and
            `"clevrtex/outd"` has `"test"` only. Of `"voc"` and `"coco"`, `"test"` is what the publishers call
            validation: the annotations of their own test split are secret.
        data_dir: Directory for prepared data sets; that of TensorFlow Datasets by default (`~/tensorflow_datasets`,
            or the environment variable `TFDS_DATA_DIR`).

    Returns:
        Dictionary of uint8 arrays: `image`, `(count, height, width, 3)`, and `mask`, `(count, height, width)`, with 0
        for the background and 1, 2, … for the objects of an image. Of `"voc"` and `"coco"` the masks are int32, with -1
        where it is not known what there is, and there are `classes`, the same of the classes of objects.

    Raises:
        ValueError: If the data set or the split is unknown, or damaged on the disk, or files of the publisher are
            missing, or others than they should be.

    Example:

    >>> load("tetrominoes/32x32_train512_test64", "train")["image"].shape
    (512, 32, 32, 3)
    """
    from training.datasets.objects.builder import GENERATED
    from training.datasets.objects.published import IGNORED, PUBLISHED

    builder_name, _, config = name.partition("/")
    if builder_name in GENERATED:
        kind = GENERATED[builder_name]
        with _warnings_kept_back():
            builder = kind(config=_variant(kind, config), data_dir=data_dir)
        _check_split(name, split, builder.builder_config.examples)
    elif builder_name in PUBLISHED:
        builder = _published(PUBLISHED[builder_name], name, config, data_dir)
    else:
        builder = _prepared(name, data_dir)
    prepare(builder)
    data = read_split(builder, split, name)
    masks = {key: data[key][..., 0] for key in ("mask", "classes") if key in data}
    if "classes" in masks:
        masks = {key: np.where(mask == IGNORED, -1, mask.astype(np.int32)) for key, mask in masks.items()}
    return {"image": data["image"], **masks}


@contextlib.contextmanager
def _warnings_kept_back():
    """TensorFlow Datasets warns of every variant of a configuration, by all that the variant is."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _check_split(name, split, splits):
    if split not in splits:
        raise ValueError(f"The data set '{name}' has no split '{split}'. It has {', '.join(splits)}.")


def _published(builder, name, config, data_dir):
    """The builder of a data set that others publish."""
    configs = builder.builder_configs
    if config not in (configs or [""]):
        known = ", ".join(f"{name.partition('/')[0]}/{config}" for config in configs) or name.partition("/")[0]
        raise ValueError(f"Unknown data set of scenes '{name}'. Known: {known}.")
    return builder(data_dir=data_dir, **({"config": config} if configs else {}))


def _prepared(name, data_dir):
    """The builder of a data set of scenes that is on the disk."""
    import tensorflow_datasets as tfds

    from training.datasets.objects.builder import GENERATED
    from training.datasets.objects.published import PUBLISHED

    try:
        builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise ValueError(
            f"Unknown data set of scenes '{name}'. Known: {', '.join([*GENERATED, *PUBLISHED])}, and what "
            "`python -m training prepare-scenes` has made in the same data directory."
        ) from error
    if not {"image", "mask"} <= set(builder.info.features or {}):
        raise ValueError(f"The data set '{name}' does not have images with masks, but {builder.info.features}.")
    return builder


def _variant(builder, name):
    """The configuration of a builder that has a name, the first for an empty one."""
    configs = builder.builder_configs
    if not name:
        return next(iter(configs.values()))
    for known, config in configs.items():
        if name.startswith(known) and re.fullmatch(r"(_[a-z]+\d+)*", name[len(known) :]):
            changes = {what: int(number) for what, number in re.findall(r"_([a-z]+)(\d+)", name[len(known) :])}
            return config.variant(changes.pop("seed", None), changes)
    raise ValueError(
        f"'{builder.name}' has no configuration '{name}'. Known: {', '.join(configs)}, and variants such as "
        f"'{next(iter(configs))}_seed1_train512_test64'."
    )
