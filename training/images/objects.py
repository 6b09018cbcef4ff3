"""Object discovery, Sec. 6.1 and C.1 of the AKOrN paper: SimCLR on images without labels, then clusters of features."""

import dataclasses
import functools
import itertools

from keras_kuramoto.metrics import foreground_ari, mean_best_overlap, mean_over_images
from keras_kuramoto.models import ObjectsModel
from training.datasets.images import ImageStream
from training.datasets.objects import load
from training.images.clustering import AgglomerativeClustering, KMeansClustering, UpTiling, feature_maps, find_objects
from training.images.contrast import ContrastiveExperiment, ContrastiveOptions
from training.images.pictures import films, objects_figure
from training.images.running import ImageRunner, trajectories
from training.options import option

CLUSTERINGS = {"agglomerative": AgglomerativeClustering, "kmeans": KMeansClustering}
# Images that a report shows.
_DRAWN = 8


@dataclasses.dataclass(frozen=True)
class ObjectsOptions(ContrastiveOptions):
    """Options of object discovery, besides those of learning without labels.

    The data sets are named as `training.datasets.objects.load` does. To train on there is `images/` and the name of an
    `ImageStream`, too, which is read from the disk during the training; `test_data` then names scenes.

    Attributes:
        test_data: Data set to evaluate on; empty for that of the training.
        test_images: How many images an evaluation takes, the first ones; 0 for all.
        test_steps: Number of Kuramoto steps of each block, 0 for the model's own.
        clusters: Number of clusters in each image.
        clustering: How they are found: `"agglomerative"` or `"kmeans"`.
        components: Principal components of an image's features to which they are reduced before, 0 for none.
        up_tiling: How many times finer the features are made by shifted images, see `UpTiling`.
        test_batch: Images that are computed at once, on all replicas.
    """

    test_data: str = option("", evaluation=True)
    test_images: int = option(0, least=0, evaluation=True)
    test_steps: int = option(0, least=0, evaluation=True)
    clusters: int = option(4, least=1, evaluation=True)
    clustering: str = option("agglomerative", choices=tuple(CLUSTERINGS), evaluation=True)
    components: int = option(0, least=0, evaluation=True)
    up_tiling: int = option(1, least=1, evaluation=True)
    test_batch: int = option(160, least=1, evaluation=True)


def _paper(data, examples, epochs, batch_size=256, **options):
    """Tables 9 to 11: no schedule, and as many updates as the epochs have."""
    updates = examples // batch_size * epochs
    return ObjectsOptions(
        data=data,
        batch_size=batch_size,
        steps=updates - updates % 10,
        final_learning_rate=1.0,
        warmup_steps=0,
        # Ten times: the clusters of large data sets take long.
        evaluate_every=updates // 100 * 10,
        checkpoint_every=500,
        **options,
    )


def _small(batch_size, **options):
    """What a CPU trains."""
    return ObjectsOptions(batch_size=batch_size, learning_rate=2e-3, checkpoint_every=250, **options)


# The authors' evaluation takes at most 128 components, and Tables 1 and 2 have features four times finer.
_CLEVRTEX = {"learning_rate": 5e-4, "clusters": 11, "components": 128, "up_tiling": 4}
_SETTINGS = {
    "objects_tetrominoes": _paper("tetrominoes", 60_000, 50, clusters=4),
    "objects_dsprites": _paper("multi_dsprites", 60_000, 50, clusters=7),
    "objects_clevr": _paper("multi_object/clevr", 50_000, 300, clusters=11, components=128),
    "objects_shapes": _paper("shapes", 40_000, 100, clusters=5, components=128),
    "objects_clevrtex": _paper("clevrtex/full", 40_000, 500, **_CLEVRTEX),
    "objects_clevrtex_large": _paper("clevrtex/full", 40_000, 1000, **_CLEVRTEX),
    # For COCO: --set test_data=coco --set clusters=7.
    "objects_imagenet": _paper(
        "images/imagenet2012", 1_281_167, 400, 512, **{**_CLEVRTEX, "clusters": 4}, flip=True, test_data="voc"
    ),
    "objects_tetrominoes_small": _small(128, steps=6000, warmup_steps=200, evaluate_every=500),
    # Outlines have no colours to be told by: a view must not be too small a part of the image.
    "objects_shapes_small": _small(32, data="shapes", clusters=5, crop=0.3, steps=1500, evaluate_every=300),
}
# Each for AKOrN and for the baselines that there are of its size, whose features the paper does not make finer.
PRESETS = {
    name + kind: dataclasses.replace(options, model=name + kind, up_tiling=1 if kind else options.up_tiling)
    for name, options in _SETTINGS.items()
    for kind in ("", "_conv", "_iterative", "_iterative_conv", "_vit")
    if name + kind in ObjectsModel.presets
}


class ObjectsExperiment(ContrastiveExperiment):
    """Trains a model to tell views of one image from those of others; its features then show the objects.

    Args:
        options: An `ObjectsOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.

    Raises:
        ValueError: As for `ContrastiveExperiment`, or if the data set is unknown.
    """

    models = ObjectsModel

    def __init__(self, options, data_dir=None):
        super().__init__(options, data_dir)
        self.test = self.test_scenes()
        self._runners = {}

    def train_scenes(self):
        """The scenes to train on, a dictionary with `image`, uint8 `(count, height, width, 3)`."""
        return load(self.options.data, "train", self.data_dir)

    def test_scenes(self):
        """The scenes to evaluate on, likewise, with `mask`, `(count, height, width)`."""
        scenes = load(self.options.test_data or self.options.data, "test", self.data_dir)
        return {name: values[: self.options.test_images or None] for name, values in scenes.items()}

    def examples(self):
        return {"image": self.train_scenes()["image"]}

    def source(self):
        kind, _, name = self.options.data.partition("/")
        return ImageStream(name, "train", self.size, self.data_dir) if kind == "images" else super().source()

    def check_model(self, model):
        if not isinstance(model, ObjectsModel):
            raise ValueError(f"A {type(model).__name__} has no features of objects; this experiment's model has.")
        rows, columns, _ = model.noise_shape(*self.test["image"].shape[1:3])
        if self.options.clusters > rows * columns * self.options.up_tiling**2:
            raise ValueError(
                f"`clusters` must be at most the number of features of an image, {rows} x {columns}, times `up_tiling` "
                f"twice. Received {self.options.clusters} and {self.options.up_tiling}."
            )

    def features_of(self, model, strategy):
        """The function from images to features that are clustered, each time with other initial oscillators."""
        options = self.options
        # Kept from one evaluation to the next: compiling takes long.
        if id(model) not in self._runners:
            steps = {"num_steps": options.test_steps} if options.test_steps else {}
            features = functools.partial(model.features, **steps)
            self._runners[id(model)] = ImageRunner(features, model, strategy, options.test_batch, options.seed)
        runner, draws = self._runners[id(model)], itertools.count()

        def features_of(images):
            return runner(images, next(draws))

        if options.up_tiling == 1:
            return features_of
        return UpTiling(features_of, options.up_tiling, model.patch_size, options.test_batch)

    def _clustering(self):
        return CLUSTERINGS[self.options.clustering](self.options.clusters, self.options.components or None)

    def trajectories(self, model):
        return trajectories(model, self.test["image"], self.options.seed)

    def evaluate(self, model, strategy):
        """FG-ARI and mean best overlap, means over the test images, from 0 to 1.

        Where the data set has classes, the overlap with all objects of a class too (MBO_c).
        """
        images = self.test["image"].astype("float32") / 255
        labels = find_objects(self.features_of(model, strategy), images, self._clustering(), self.options.test_batch)
        return {
            "fg_ari": mean_over_images(foreground_ari(self.test["mask"], labels)),
            "mean_best_overlap": mean_over_images(mean_best_overlap(self.test["mask"], labels)),
            **(
                {"mean_best_overlap_of_classes": mean_over_images(mean_best_overlap(self.test["classes"], labels))}
                if "classes" in self.test
                else {}
            ),
        }

    def report(self, model, strategy):
        images = self.test["image"][:_DRAWN].astype("float32") / 255
        truth = self.test["mask"][:_DRAWN].astype("int32")
        features = feature_maps(self.features_of(model, strategy), images, self.options.test_batch)
        labels = find_objects(lambda _: features, images, self._clustering(), len(images))
        return {}, {
            "objects.png": objects_figure(images, labels, features, truth),
            **films(model, images[0], self.options.seed, self.options.test_steps or None),
        }
