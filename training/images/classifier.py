"""Classification of images, Sec. 6.3 and C.3 of the AKOrN paper."""

import dataclasses
import functools

import numpy as np
import scipy.special
import tensorflow as tf
from keras import ops

from keras_kuramoto.metrics import ExpectedCalibrationError
from keras_kuramoto.models import ImageClassifier
from training.datasets.augmentations import AugMix, ClassifierAugmentation, RandomSignedNoise
from training.datasets.images import load_images
from training.images.pictures import calibration_figure, films
from training.images.running import ImageRunner, trajectories
from training.images.toolbox import require_packages
from training.options import AdamOptions, option
from training.preset_experiment import PresetExperiment

# What makes a function of images and a seed.
MIXTURES = {"none": lambda: lambda images, seed: images, "augmix": AugMix}


@dataclasses.dataclass(frozen=True)
class ClassifierOptions(AdamOptions):
    """Options of image classifiers, besides those of the loop and of Adam.

    Attributes:
        data: Data set, as `training.datasets.images.load_images` names them.
        model: Name of the model's preset.
        arguments: Arguments of the model in place of the preset's, set as `arguments.name=value`.
        start: Run directory, `.keras` file or preset whose trained weights are the first ones, but those of a last
            layer for other classes, as of a pre-training; none if empty.
        mixture: What is done to an image after it was cropped and its colours changed: `"augmix"` or `"none"`.
        noise: Largest size of noise of random sign that is added to a training image, from 0 to 1.
        test_data: Data set to evaluate on, such as `"cifar10_corrupted/fog_5"`; empty for that of the training.
        test_images: How many images an evaluation takes, the first ones; 0 for all.
        members: Initial oscillators of each image, over which probabilities are averaged.
        test_steps: Number of Kuramoto steps of each block; 0 for the model's own.
        test_batch: Images that are computed at once, on all replicas.
        robustness: What else an evaluation measures: `"attacks"`, `"corruptions"`, `"all"` or `"none"`.
        attack_images: How many images are attacked and corrupted, the first ones.
        epsilon: ε of the attacks in the maximum norm.
        euclidean_epsilon: ε of PGD in the Euclidean norm.
        attack_steps: Steps of PGD.
        auto_attack_steps: Steps of each APGD of AutoAttack.
        attack_queries: Answers that an attack without gradients asks for, of each image.
        attack_draws: Initial oscillators over which an attack takes the mean of the gradient (EoT).
    """

    batch_size: int = option(128, least=1)
    data: str = option("cifar10")
    model: str = option("cifar10_akorn_small")
    arguments: dict = option({})
    start: str = option("")
    mixture: str = option("augmix", choices=tuple(MIXTURES))
    noise: float = option(0.0, least=0, most=1)
    test_data: str = option("", evaluation=True)
    test_images: int = option(0, least=0, evaluation=True)
    members: int = option(1, least=1, evaluation=True)
    test_steps: int = option(0, least=0, evaluation=True)
    test_batch: int = option(250, least=1, evaluation=True)
    robustness: str = option("none", choices=("none", "attacks", "corruptions", "all"), evaluation=True)
    attack_images: int = option(100, least=1, evaluation=True)
    epsilon: float = option(8 / 255, above=0, most=1, evaluation=True)
    euclidean_epsilon: float = option(0.5, above=0, evaluation=True)
    attack_steps: int = option(20, least=1, evaluation=True)
    auto_attack_steps: int = option(100, least=1, evaluation=True)
    attack_queries: int = option(1000, least=1, evaluation=True)
    attack_draws: int = option(8, least=1, evaluation=True)


_PAPER = ClassifierOptions(
    # 400 epochs.
    steps=400 * (50_000 // 128) // 10 * 10,
    average_momentum=0.998,
    evaluate_every=2000,
    checkpoint_every=1000,
)
_SMALL = ClassifierOptions(
    steps=3000,
    batch_size=64,
    learning_rate=2e-3,
    average_momentum=0.998,
    evaluate_every=500,
    checkpoint_every=250,
    test_images=1000,
)
PRESETS = {
    **{
        name: dataclasses.replace(_PAPER, model=name)
        for name in (
            "cifar10_akorn",
            "cifar10_akorn_n4",
            "cifar10_akorn_attention",
            "cifar10_akorn_attention_n4",
            "cifar10_iterative_conv",
            "cifar10_resnet18",
            "cifar10_vit",
        )
    },
    **{name: dataclasses.replace(_SMALL, model=name) for name in ("cifar10_akorn_small", "cifar10_resnet_small")},
}
# The rows of Fig. 8 that were trained with noise.
for _name in list(PRESETS):
    PRESETS[f"{_name}_noise"] = dataclasses.replace(PRESETS[_name], noise=64 / 255)


class ClassifierExperiment(PresetExperiment):
    """Trains a classifier of images by cross-entropy.

    Args:
        options: A `ClassifierOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.

    Raises:
        ValueError: If the preset, an argument of the model or the data set is unknown, the images or classes do not fit
            the model, what oscillators have is asked of a model without, or a package that `robustness` needs is
            missing.
    """

    models = ImageClassifier
    new_layers = ("head",)

    def __init__(self, options, data_dir=None):
        self.options, self.data_dir = options, data_dir
        model = self.new_model()
        self._has_energy, self._noise_shape = model.has_energy, model.noise_shape()
        if options.members > 1 and not model.has_energy:
            raise ValueError(f"`members` is for AKOrN; the model '{options.model}' has no oscillators.")
        if options.test_steps and "num_steps" not in model.arguments:
            raise ValueError(f"`test_steps` is for models that take steps; the model '{options.model}' takes none.")
        # Said before an evaluation has taken minutes.
        measured = options.robustness
        require_packages(attacks=measured in ("attacks", "all"), corruptions=measured in ("corruptions", "all"))
        height, width = model.image_size
        if height != width:
            raise ValueError(f"Training images are made square. The model is for images of {height} x {width}.")
        self._change = ClassifierAugmentation(height, MIXTURES[options.mixture]())
        self._add_noise = RandomSignedNoise(options.noise)
        self._classes = model.num_classes
        self.test = self.read(options.test_data or options.data, "test")
        if self.test.image.shape[1:3] != (height, width):
            raise ValueError(
                f"The model '{options.model}' is for images of {height} x {width}, and those of "
                f"'{options.test_data or options.data}' to evaluate on are of {self.test.image.shape[1:3]}."
            )
        self._runners = {}

    def read(self, data, split):
        """A split of a data set: `training.datasets.images.Images`."""
        images = load_images(data, split, self.data_dir)
        if images.image.shape[-1] != 3 or images.classes != self._classes:
            raise ValueError(
                f"The model '{self.options.model}' tells {self._classes} classes of colour images apart, and "
                f"'{data}' has images of {images.image.shape[-1]} channels of {images.classes} classes."
            )
        return images

    def examples(self):
        train = self.read(self.options.data, "train")
        return {"image": train.image, "label": train.label}

    def batch(self, examples, seed):
        change, noise, oscillators = (tf.random.experimental.stateless_fold_in(seed, index) for index in range(3))
        image = self._change(examples["image"], change)
        if self.options.noise:
            image = self._add_noise(image, noise)
        examples = {"image": image, "label": examples["label"]}
        if self._has_energy:
            shape = (self.options.batch_size, *self._noise_shape)
            examples["noise"] = tf.random.stateless_normal(shape, oscillators)
        return examples, {}

    def outputs(self, model, examples, shared, training):
        inputs = [examples["image"], *([examples["noise"]] if self._has_energy else [])]
        return {"logits": model.run(*inputs, training=training)}

    def loss(self, outputs, examples, shared):
        logits, label = outputs["logits"], examples["label"]
        right = ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), label)
        losses = ops.sparse_categorical_crossentropy(label, logits, from_logits=True)
        return ops.mean(losses), {"accuracy": ops.mean(ops.cast(right, "float32"))}

    def check_model(self, model):
        if not isinstance(model, ImageClassifier):
            raise ValueError(f"A {type(model).__name__} tells no images apart; this experiment's model does.")
        if model.num_classes != self._classes:
            raise ValueError(
                f"The model tells {model.num_classes} classes apart, and '{self.options.data}' has {self._classes}."
            )

    def probabilities(self, model, strategy, images):
        """The probabilities of the classes, `(count, classes)`, means over initial oscillators.

        Args:
            model: The model.
            strategy: The `tf.distribute.Strategy`.
            images: `(count, height, width, 3)`, float32 in [0, 1].
        """
        options = self.options
        # Kept from one evaluation to the next: compiling takes long.
        if id(model) not in self._runners:
            steps = {"num_steps": options.test_steps} if options.test_steps else {}
            logits = functools.partial(model.run, **steps)
            self._runners[id(model)] = ImageRunner(logits, model, strategy, options.test_batch, options.seed)
        runner = self._runners[id(model)]
        members = [scipy.special.softmax(runner(images, draw), axis=-1) for draw in range(options.members)]
        return np.mean(members, axis=0)

    def _test(self):
        count = self.options.test_images or None
        return self.test.image[:count].astype("float32") / 255, self.test.label[:count]

    def trajectories(self, model):
        return trajectories(model, self.test.image, self.options.seed)

    def evaluate(self, model, strategy):
        """Accuracy, cross-entropy and expected calibration error on test images; robustness, if it is asked for.

        The latter are dictionaries: `"attacks"`, accuracy and calibration error with what each makes of the images;
        `"gradients"`, the checks by which one sees whether the attacks' figures can be believed; `"corruptions"`,
        likewise by name and severity.
        """
        images, labels = self._test()
        probabilities = self.probabilities(model, strategy, images)
        of_label = probabilities[np.arange(len(labels)), labels]
        return {
            "accuracy": float((probabilities.argmax(1) == labels).mean()),
            "cross_entropy": float(-np.log(np.maximum(of_label, 1e-30)).mean()),
            "calibration_error": float(self._calibration(probabilities, labels).result()),
            **self._robustness(model),
        }

    def _robustness(self, model):
        options, results = self.options, {}
        if options.robustness == "none":
            return results
        # What attacks need is an extra of the package.
        from training.images import attacks, robustness
        from training.images.random_classifier import RandomClassifier

        images, labels = (values[: options.attack_images] for values in self._test())
        steps = {"num_steps": options.test_steps} if options.test_steps else {}
        members = range(options.members)

        def logits_of(image, seed):
            if not model.has_energy:
                return model.run(image, **steps)
            shape = (image.shape[0], *model.noise_shape(*image.shape[1:3]))
            drawn = [tf.random.stateless_normal(shape, tf.stack([seed, member])) for member in members]
            logits = [model.run(image, noise, **steps) for noise in drawn]
            # Those of the mean of the probabilities.
            return tf.reduce_logsumexp(tf.nn.log_softmax(logits), axis=0)

        classifier = RandomClassifier(logits_of, options.test_batch)
        # More draws are in vain where nothing is random.
        draws = options.attack_draws if model.has_energy else 1
        epsilon, times, queries = options.epsilon, options.attack_steps, options.attack_queries
        if options.robustness in ("attacks", "all"):
            tried = {
                "noise": attacks.RandomNoise(epsilon),
                "signed_noise": attacks.SignedNoise(64 / 255),
                "fgsm": attacks.FGSM(epsilon, draws),
                "pgd": attacks.PGD(epsilon, steps=times, draws=draws),
                "pgd_euclidean": attacks.PGD(
                    options.euclidean_epsilon, attacks.EuclideanNorm(), steps=times, draws=draws
                ),
                "square": attacks.Square(epsilon, queries, draws),
                "autoattack": attacks.AutoAttack(epsilon, options.auto_attack_steps, queries=queries, draws=draws),
            }
            results["attacks"] = robustness.under_attack(
                classifier, images, labels, tried, draws, options.seed, progress=True
            )
            results["gradients"] = robustness.check_gradients(
                classifier, images, labels, epsilon, times, queries, draws=draws, test_draws=draws, seed=options.seed
            )
        if options.robustness in ("corruptions", "all"):
            results["corruptions"] = robustness.under_corruption(
                classifier, images, labels, seed=options.seed, progress=True
            )
        return results

    @staticmethod
    def _calibration(probabilities, labels):
        error = ExpectedCalibrationError()
        error.update_state(labels, probabilities)
        return error

    def report(self, model, strategy):
        images, labels = self._test()
        curve = self._calibration(self.probabilities(model, strategy, images), labels).curve()
        return {}, {
            "calibration.png": calibration_figure({"": curve}),
            **films(model, images[0], self.options.seed, self.options.test_steps or None),
        }
