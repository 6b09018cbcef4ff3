"""Common corruptions of images, of the package `imagecorruptions-imaug`."""

import contextlib
import inspect
import warnings

import numpy as np

from training.images.random_classifier import check_labelled
from training.images.toolbox import MISSING, numpy_seed
from training.options import unknown

CORRUPTIONS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
    "speckle_noise",
    "gaussian_blur",
    "spatter",
    "saturate",
)


class Corruption:
    """One of nineteen common corruptions, such as noise, blur, weather and compression, at one of five severities.

    From the package `imagecorruptions-imaug`, whose strengths are those for ImageNet: on small images they are much
    stronger than CIFAR-10-C, which has strengths of its own. Called as an `Attack` is, though it needs no classifier.

    Args:
        name: One of `CORRUPTIONS`.
        severity: From 1 to 5.

    Raises:
        ValueError: If there is no such corruption, the package is not there, or images are smaller than 32 × 32 or have
            neither one nor three channels.

    Example:

    >>> bright = Corruption("brightness", 5)(None, np.full((1, 32, 32, 3), 0.4), [0])
    >>> bright.shape, bool(bright.mean() > 0.7)
    ((1, 32, 32, 3), True)

    Reference: Hendrycks and Dietterich, Benchmarking neural network robustness to common corruptions, ICLR 2019.
    """

    def __init__(self, name, severity):
        if name not in CORRUPTIONS:
            raise ValueError(unknown("corruption", name, CORRUPTIONS))
        if severity not in range(1, 6):
            raise ValueError(f"`severity` must be an integer from 1 to 5. Received {severity!r}.")
        self.name, self.severity = name, severity

    def __call__(self, classifier, images, labels, seed=0):
        images, _ = check_labelled(images, labels)
        try:
            import imagecorruptions
        except ImportError:
            raise ValueError(MISSING.format("Corruptions", "imagecorruptions-imaug")) from None
        if min(images.shape[1:3]) < 32 or images.shape[3] not in (1, 3):
            raise ValueError(
                "Corruptions need images of at least 32 × 32 pixels and of one or three channels. Received shape "
                f"{images.shape}."
            )
        rng = np.random.default_rng([seed, CORRUPTIONS.index(self.name), self.severity])
        # Most draw from the generator that all of NumPy shares, some from one of their own.
        own = "seed" in inspect.signature(imagecorruptions.corruption_dict[self.name]).parameters
        changed = np.empty_like(images)
        with numpy_seed(rng):
            for index, image in enumerate(np.round(255 * images).astype("uint8")):
                found = self._corrupt(image, lambda: {"seed": int(rng.integers(2**31))} if own else {})
                changed[index] = found[..., : images.shape[3]] / np.float32(255)
        return changed

    def _corrupt(self, image, seed):
        import imagecorruptions

        with warnings.catch_warnings():
            # Of a small image where no drop falls, "spatter" divides zero by zero and makes all of it black.
            warnings.simplefilter("error", RuntimeWarning)
            for _ in range(1000):
                with contextlib.suppress(RuntimeWarning):
                    return imagecorruptions.corrupt(image, self.severity, self.name, **seed())
        raise ValueError(f"The image can't be corrupted by '{self.name}'.")
