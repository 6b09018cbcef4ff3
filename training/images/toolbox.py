"""Attacks of the Adversarial Robustness Toolbox on classifiers that start at random oscillators."""

import contextlib
import hashlib
import importlib.util

import numpy as np

from training.images.random_classifier import each_draw, margin

MISSING = "{} need the package {}: pip install 'keras-kuramoto[robustness]'."


def require_packages(attacks=False, corruptions=False):
    """Raises a `ValueError` that says what to install, if a package is missing that attacks or corruptions need."""
    for needed, what, module, package in (
        (attacks, "AutoAttack and Square", "art", "adversarial-robustness-toolbox"),
        (corruptions, "Corruptions", "imagecorruptions", "imagecorruptions-imaug"),
    ):
        if needed and importlib.util.find_spec(module) is None:
            raise ValueError(MISSING.format(what, package))


def _toolbox():
    """The Adversarial Robustness Toolbox, which takes seconds to import."""
    try:
        import art.attacks.evasion
    except ImportError:
        raise ValueError(MISSING.format("AutoAttack and Square", "adversarial-robustness-toolbox")) from None
    return art


def toolbox_estimator(attack, classifier, images, rng):
    """A classifier as the toolbox wants it, with means over draws as its losses and gradients, and two attacks on it.

    The draws of answers and losses stay the same, so that those of two images can be compared; gradients are of draws
    that are new each time. Answers are kept, since the toolbox asks for them several times.
    """
    evasion = _toolbox().attacks.evasion
    from art.estimators.classification import BlackBoxClassifierNeuralNetwork
    from art.estimators.estimator import LossGradientsMixin

    if min(images.shape[1:3]) < 5:
        raise ValueError(f"Images must have at least 5 × 5 pixels for Square. Received shape {images.shape}.")
    seeds, kept = attack.seeds(rng), {}

    def logits(images):
        """`(draws, images, classes)`."""
        images = np.ascontiguousarray(images, "float32")
        names = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
        new = [row for row, name in enumerate(names) if name not in kept]
        if new:
            kept.update(zip([names[row] for row in new], classifier.logits(images[new], seeds).swapaxes(0, 1)))
        return np.stack([kept[name] for name in names], axis=1)

    class Estimator(LossGradientsMixin, BlackBoxClassifierNeuralNetwork):
        def apgd(self, loss, steps, images, labels):
            self.loss, self.largest = loss, np.full(len(images), -np.inf)
            self.best = images.copy()
            # The toolbox leaves out what it takes for wrong already.
            self.answers = lambda x: 2 * np.eye(self.nb_classes)[labels[: len(x)]]
            apgd = evasion.AutoProjectedGradientDescent(
                self,
                eps=attack.epsilon,
                eps_step=2 * attack.epsilon,
                max_iter=steps,
                nb_random_init=1,
                batch_size=len(images),
                verbose=False,
            )
            with numpy_seed(rng):
                apgd.generate(images, labels)
            return self.best

        def square(self, queries, images, labels):
            self.answers = lambda x: np.concatenate([*logits(x)], axis=-1)

            def wrong(answers, y):
                answers = answers.reshape(len(y), -1, self.nb_classes)
                return (answers.argmax(-1) != y.argmax(-1)[:, None]).all(-1)

            square = evasion.SquareAttack(
                self,
                eps=attack.epsilon,
                max_iter=queries,
                batch_size=len(images),
                adv_criterion=wrong,
                loss=lambda x, y: -self.margins(x, y.argmax(-1)).mean(0),
                verbose=False,
            )
            with numpy_seed(rng):
                return square.generate(images, labels)

        def predict(self, x, **kwargs):
            return self.answers(x)

        def margins(self, images, labels):
            """`(draws, images)`."""
            return each_draw(margin, logits(images), labels)

        def loss_gradient(self, x, y, **kwargs):
            return classifier.gradients(self.loss, x.astype("float32"), y.argmax(-1), attack.seeds(rng))[0]

        def compute_loss(self, x, y, reduction="none", **kwargs):
            labels = y.argmax(-1)
            margins = self.margins(x, labels).mean(0)
            better = margins > self.largest
            self.best[better], self.largest[better] = x[better], margins[better]
            return each_draw(self.loss, logits(x), labels).mean(0)

    classes = logits(images[:1]).shape[-1]
    # `predict` takes the place of the function that the toolbox asks for.
    return Estimator(logits, images.shape[1:], classes, channels_first=False, clip_values=(0.0, 1.0))


@contextlib.contextmanager
def numpy_seed(rng):
    """Seeds the generator that all of NumPy shares, which both packages draw from, and leaves it as it was."""
    state = np.random.get_state()
    np.random.seed(rng.integers(2**32, dtype=np.uint32))
    try:
        yield
    finally:
        np.random.set_state(state)
