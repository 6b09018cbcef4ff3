"""
Objects in a picture, found without labels
==========================================

These weights were trained only to tell views of one picture from views of others. Nobody showed them an object. Yet
oscillators on one object turn alike: clusters of their features are the objects.
"""

import itertools

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_kuramoto.metrics import foreground_ari, mean_over_images
from keras_kuramoto.models import ObjectsModel
from training.datasets.objects.tetrominoes import draw_cropped_tetrominoes
from training.images.clustering import AgglomerativeClustering, UpTiling, find_objects

IMAGES, UP_TILING = 6, 4

images, masks = draw_cropped_tetrominoes(np.random.default_rng(5), IMAGES)
model = ObjectsModel.from_preset("objects_tetrominoes_small")
draws = itertools.count()


def features(batch):
    """The features of images, each time from other initial oscillators."""
    noise = keras.random.normal((len(batch), *model.noise_shape(*batch.shape[1:3])), seed=next(draws))
    return keras.ops.convert_to_numpy(model.features(batch, noise))


# %%
# A feature belongs to 4 × 4 pixels. Shifted copies of the pictures give features in between: up-tiling.

finer = UpTiling(features, UP_TILING, model.patch_size)
found = find_objects(finer, images.astype("float32") / 255, AgglomerativeClustering(4))
score = mean_over_images(foreground_ari(masks, found))

figure, axes = plt.subplots(3, IMAGES, figsize=(1.6 * IMAGES, 5), layout="constrained", squeeze=False)
for column in range(IMAGES):
    for axis, picture in zip(axes[:, column], (images, masks, found)):
        axis.imshow(picture[column], cmap="viridis", interpolation="nearest")
        axis.set(xticks=[], yticks=[])
for axis, name in zip(axes[:, 0], ("picture", "true objects", "found")):
    axis.set_ylabel(name)
figure.suptitle(f"FG-ARI {score:.2f} (1 is perfect, 0 is chance)")
plt.show()
