"""Scenes that others publish, from little files of the formats in which they do."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from training.datasets.objects import load
from training.datasets.objects.multi_object import read_scenes
from training.datasets.objects.published import CocoObjects, MultiObject, coco_masks
from training.datasets.pictures import middle
from training.datasets.records import read_split

BYTES = [bytes([byte]) for byte in range(256)]


def scene(height, width, entities, seed, most=None):
    """An image, and masks of which one has each pixel."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 1 + (entities - 1 if most is None else most), (height, width))
    masks = 255 * (label == np.arange(entities)[:, None, None]).astype(np.uint8)
    return random.integers(0, 256, (height, width, 3)).astype(np.uint8), masks, label.astype(np.uint8)


def write_records(path, scenes, entities_last=False):
    """A file as DeepMind's: each byte is a string of its own."""

    def strings(array):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[BYTES[byte] for byte in array.ravel().tolist()]))

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for image, masks, _ in scenes:
            features = {
                "image": strings(image),
                "mask": strings(np.moveaxis(masks, 0, -1)[..., None] if entities_last else masks[..., None]),
                "visibility": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 0.0])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


@pytest.mark.parametrize("entities_last", [False, True])
def test_deepminds_records_are_read(tmp_path, entities_last):
    scenes = [scene(6, 5, 4, seed) for seed in range(3)]
    write_records(tmp_path / "few.tfrecords", scenes, entities_last)
    read = list(read_scenes(tmp_path / "few.tfrecords", 6, 5, 4, entities_last))
    assert len(read) == 3
    for (image, mask), (wanted, _, label) in zip(read, scenes):
        np.testing.assert_array_equal(image, wanted)
        np.testing.assert_array_equal(mask, label)
        assert image.dtype == mask.dtype == np.uint8


def test_what_is_no_file_of_that_kind_is_named(tmp_path):
    path = tmp_path / "few.tfrecords"
    write_records(path, [scene(6, 5, 4, 0)])
    with pytest.raises(ValueError, match=r"few.tfrecords' is .* of scenes of 6×6 pixels with 4 masks. After 0 of them"):
        list(read_scenes(path, 6, 6, 4))
    for content in (path.read_bytes()[:-20], b"something"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="After 0 of them: DataLossError"):
            list(read_scenes(path, 6, 5, 4))
    config = MultiObject.builder_configs["tetrominoes"]
    write_records(path, [scene(*config.shape, 0)])
    with pytest.raises(ValueError, match="has no scenes for the split 'test', which begins after 64"):
        list(MultiObject(config=config, data_dir=tmp_path)._generate_examples(path, "test"))


def test_splits_and_cuts_of_deepminds_data_sets_are_those_of_akorns_authors():
    configs = MultiObject.builder_configs
    assert {name: config.splits["test"] for name, config in configs.items()} == dict.fromkeys(configs, (64, 384))
    assert {name: config.splits["train"][0] for name, config in configs.items()} == dict.fromkeys(configs, 10_384)
    assert configs["clevr"].most == 6


@pytest.mark.parametrize("name", ["tetrominoes", "multi_dsprites", "clevr"])
def test_deepminds_data_sets_are_prepared(tmp_path, name):
    config = MultiObject.builder_configs[name]
    config = dataclasses.replace(config, name=f"{name}_few", splits={"test": (1, 3), "train": (3, 9)})
    # The third of CLEVR has too many objects.
    scenes = [scene(*config.shape, seed, None if seed == 2 else config.most) for seed in range(5)]
    write_records(tmp_path / "downloads" / "manual" / config.file, scenes, config.entities_last)
    builder = MultiObject(config=config, data_dir=tmp_path)
    builder.download_and_prepare()
    kept = [s for s in scenes if s[2].max() <= config.most]
    assert len(kept) == (4 if name == "clevr" else 5)
    for split, wanted in (("test", kept[1:3]), ("train", kept[3:])):
        data = read_split(builder, split)
        size = {"tetrominoes": 32, "multi_dsprites": 64, "clevr": 128}[name]
        assert data["image"].shape == (len(wanted), size, size, 3)
        expected = set()
        for image, _, label in wanted:
            if name == "tetrominoes":
                image, label = (a[1:33, 1:33] for a in (image, label))
            if name == "clevr":
                image, label = (
                    np.asarray(Image.fromarray(a[29:221, 64:256]).resize((128, 128), Image.Resampling.NEAREST))
                    for a in (image, label)
                )
            expected.add((image.tobytes(), label.tobytes()))
        assert {(i.tobytes(), m.tobytes()) for i, m in zip(data["image"], data["mask"])} == expected


# --- CLEVRTex -------------------------------------------------------------------------------------------------------


def write_clevrtex(folder, variant, count):
    """Scenes in folders of two, as CLEVRTex has them in folders of a thousand."""
    written = []
    for number in range(count):
        image, _, label = scene(24, 32, 11, number)
        path = folder / f"clevrtex_{variant}" / str(number // 2) / f"CLEVRTEX_{variant}_{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.dstack([image, np.full((24, 32), 255, np.uint8)])).save(path)
        mask = Image.fromarray(label).convert("P")
        mask.putdata(label.ravel().tolist())
        mask.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
        mask.save(path.with_name(f"{path.stem}_flat.png"))
        path.with_suffix(".json").write_text("{}")
        written.append((image, label))
    return written


def test_clevrtex_is_read(tmp_path):
    folder = tmp_path / "downloads" / "manual"
    for variant, sizes in (
        ("full", {"test": (0, 1), "validation": (1, 2), "train": (2, 10)}),
        ("camo", {"test": (0, 1), "validation": (1, 2), "train": (2, 10)}),
        ("outd", {"test": (0, 10)}),
    ):
        written = write_clevrtex(folder, variant, 10)
        for split, (first, last) in sizes.items():
            data = load(f"clevrtex/{variant}", split, tmp_path)
            assert data["image"].shape == (last - first, 128, 128, 3)
            # Of 24×32 pixels the middle 19×19.
            masks = {
                np.asarray(Image.fromarray(label[2:21, 6:25]).resize((128, 128), Image.Resampling.NEAREST)).tobytes()
                for _, label in written[first:last]
            }
            assert {mask.tobytes() for mask in data["mask"]} == masks
            means = sorted(image[2:21, 6:25].mean() for image, _ in written[first:last])
            np.testing.assert_allclose(sorted(data["image"].mean(axis=(1, 2, 3))), means, atol=2)
    with pytest.raises(ValueError, match=r"'clevrtex/outd' has no split 'train'. It has test"):
        load("clevrtex/outd", "train", tmp_path)


def test_missing_files_are_named_with_where_they_come_from(tmp_path):
    manual = tmp_path / "downloads" / "manual"
    for name, message in (
        (
            "clevrtex/full",
            r"Missing: clevrtex_full. Get the archives from www.robots.ox.ac.uk/.*put what is missing into",
        ),
        (
            "multi_object/clevr",
            r"Missing: clevr_with_masks_train.tfrecords. Get it from the bucket gs://multi-object-data",
        ),
        ("voc", r"Missing: VOCdevkit/VOC2012/JPEGImages, .*val.txt. Get VOCtrainval_11-May-2012.tar from host.robots"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            load(name, "test", tmp_path)
        assert str(manual) in str(error.value)
    write_clevrtex(manual, "full", 5)
    (manual / "clevrtex_full" / "1" / "CLEVRTEX_full_000003.png").unlink()
    (manual / "clevrtex_full" / "2" / "CLEVRTEX_full_000004_flat.png").unlink()
    with pytest.raises(ValueError, match=r"no CLEVRTEX_full_000003.png, CLEVRTEX_full_000004_flat.png \(2 missing\)"):
        load("clevrtex/full", "test", tmp_path)
    for name in ("clevrtex/half", "multi_object/rooms", "voc/2007"):
        with pytest.raises(ValueError, match=f"Unknown data set of scenes '{name}'. Known: {name.split('/')[0]}"):
            load(name, "test", tmp_path)


# --- Pascal VOC and COCO --------------------------------------------------------------------------------------------


def test_voc_is_read(tmp_path):
    folder = tmp_path / "downloads" / "manual" / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "SegmentationObject", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    (folder / "ImageSets/Segmentation/train.txt").write_text("one\n")
    (folder / "ImageSets/Segmentation/val.txt").write_text("two\nthree\n")
    instances = np.zeros((64, 96), np.uint8)
    instances[:, 20:40], instances[:, 40:44], instances[:, 44:60] = 1, 255, 2
    for name in ("one", "two", "three"):
        Image.fromarray(np.full((64, 96, 3), 99, np.uint8)).save(folder / "JPEGImages" / f"{name}.jpg")
        Image.fromarray(instances).save(folder / "SegmentationObject" / f"{name}.png")
        Image.fromarray(np.where(instances == 2, 15, instances)).save(folder / "SegmentationClass" / f"{name}.png")
    data = load("voc", "test", tmp_path)
    assert data["image"].shape == (2, 256, 256, 3)
    assert np.abs(data["image"].astype(int) - 99).max() < 3
    assert data["mask"].dtype == data["classes"].dtype == np.int32
    # The middle 64 of 96 columns, enlarged by four.
    wanted = np.repeat(instances[0, 16:80].astype(int), 4)
    np.testing.assert_array_equal(data["mask"][0, 100], np.where(wanted == 255, -1, wanted))
    assert set(np.unique(data["classes"])) == {-1, 0, 1, 15}


def test_cocos_things_are_objects_and_its_stuff_is_background():
    panoptic = np.zeros((2, 4, 3), np.uint8)
    segments = np.array([[7, 7, 300, 300], [70_000, 70_000, 9, 0]])
    panoptic[..., 0], panoptic[..., 1], panoptic[..., 2] = segments % 256, segments // 256 % 256, segments // 256**2
    objects = {
        "id": np.array([7, 300, 9, 70_000]),
        "label": np.array([79, 100, 5, 0]),
        "is_crowd": np.array([False, False, True, False]),
    }
    mask, classes = coco_masks(panoptic, objects)
    np.testing.assert_array_equal(mask, [[1, 1, 0, 0], [2, 2, 255, 0]])
    np.testing.assert_array_equal(classes, [[80, 80, 0, 0], [1, 1, 255, 0]])


def test_coco_is_read_from_tensorflow_datasets(tmp_path, monkeypatch):
    panoptic = np.zeros((40, 30, 3), np.uint8)
    panoptic[10:20, ..., 1] = 1
    objects = {"id": np.array([256]), "label": np.array([2]), "is_crowd": np.array([False])}
    example = {
        "image/id": 5,
        "panoptic_image": panoptic,
        "panoptic_objects": objects,
    }
    source = types.SimpleNamespace(
        download_and_prepare=lambda: None,
        as_dataset=lambda split: tf.data.Dataset.from_tensors(
            {**example, "image": np.full((40, 30, 3), {"train": 9, "validation": 7}[split], np.uint8)}
        ),
    )
    builder = tfds.builder

    def fake(name, **options):
        return source if name == "coco/2017_panoptic" else builder(name, **options)

    monkeypatch.setattr("training.datasets.objects.published.tfds.builder", fake)
    data = load("coco", "test", tmp_path)
    assert CocoObjects.name == "coco_objects"
    assert data["image"].shape == (1, 256, 256, 3)
    assert set(np.unique(data["image"])) == {7}
    # Of 40 rows the middle 30.
    rows = np.flatnonzero(data["mask"][0, :, 0])
    assert (rows[0], rows[-1]) == (round(5 / 30 * 256), round(15 / 30 * 256) - 1)
    assert set(np.unique(data["classes"])) == {0, 3}


def test_the_middle_of_pictures_is_taken():
    column = np.tile(np.arange(9, dtype=np.uint8), (3, 1))
    np.testing.assert_array_equal(middle(Image.fromarray(column), 3)[..., 0], column[:, 3:6])
    assert middle(Image.fromarray(np.zeros((5, 8, 3), np.uint8)), 4).shape == (4, 4, 3)
