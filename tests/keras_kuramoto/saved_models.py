"""Models of each kind, saved by a version, which later ones have to load; as a script, saves those of this version.

python tests/keras_kuramoto/saved_models.py
"""

import pathlib

import keras
import networkx as nx
import numpy as np

import keras_kuramoto
from keras_kuramoto import layers, models, solvers

FOLDER = pathlib.Path(__file__).parents[1] / "data/saved"


def sudoku():
    """A Sudoku model with a changed layer in it."""
    model = models.SudokuModel.from_preset("sudoku4_quick", load_weights=False, channels=16, num_steps=3, blocks=2)
    model.network.blocks[1].trainable = False
    return model


def transformer():
    """The baseline."""
    attention = layers.AttentionConnectivity(2, layers.BoardEncoding())
    return models.TransformerSudoku(attention, board_size=4, channels=16, blocks=2)


def coupled():
    """A classifier of images by threshold units and oscillators."""
    memory = layers.HopfieldKuramotoMemory(
        layers.HopfieldMemory(layers.SymmetricDenseConnectivity()),
        layers.KuramotoMemory("relu", nx.path_graph(14)),
        layers.LowRankCoupling(0.05),
        # Not an adaptive one: it may choose other steps after another order of summation.
        solver=solvers.FixedStepSolver(num_steps=8),
    )
    return models.CoupledClassifier(memory, layers.TrainedOscillators(3), (3, 3), num_hidden=2, num_classes=3)


def network():
    """Two blocks on images, the second at half the resolution."""

    def block(transition=None):
        return layers.KuramotoBlock(
            layers.KuramotoLayer(layers.ConvConnectivity(3), 2, layers.NaturalFrequency(2), num_steps=2),
            layers.OscillatorReadout(6, 2),
            keras.Sequential([keras.layers.BatchNormalization(), keras.layers.ReLU()]),
            transition,
        )

    down = layers.SharedTransition(keras.layers.Conv2D(6, 3, strides=2, padding="same"))
    c, noise = keras.Input((6, 6, 6), name="c"), keras.Input((6, 6, 6), name="noise")
    trunk = layers.KuramotoNetwork([block(down), block()], layers.InitialOscillators(2))
    return keras.Model({"c": c, "noise": noise}, trunk(c, noise=noise)[0])


def objects():
    """Two blocks that find objects."""
    return models.AKOrNObjects(
        layers.AttentionConnectivity(2, layers.GTA()),
        image_size=8,
        patch_size=2,
        channels=8,
        num_steps=[2, 3],
        blocks=2,
        step_size=0.5,
        stimuli_normalization=keras.layers.GroupNormalization(2),
    )


def iterative_objects():
    """The baseline."""
    return models.IterativeObjects(
        layers.AttentionConnectivity(2),
        keras.layers.LayerNormalization(),
        layers.PositionEmbedding(),
        image_size=8,
        patch_size=2,
        channels=8,
        num_steps=2,
    )


def image_classifier():
    """Two blocks that tell images apart."""
    couplings = [layers.ConvConnectivity(3), layers.ConvConnectivity(3)]
    return models.AKOrNClassifier(
        couplings, layers.NaturalFrequency(2), image_size=8, channels=4, num_steps=2, blocks=2, num_classes=3
    )


def recall():
    """A film of memories."""
    patterns = np.random.default_rng(0).standard_normal((5, 12)).astype("float32")
    graph = nx.cycle_graph(5, create_using=nx.DiGraph)
    state = keras.Input((12,))
    return keras.Model(state, layers.CDAMRecall(patterns, graph, a=0.5, h=0.5, num_steps=4)(state))


def synapses():
    """A memory that learns, and its generating function's."""
    state = keras.Input((7,))
    return keras.Model(state, layers.QuasiEquilibriumMemory(3)(layers.SynapticMemory(4)(state)))


KINDS = (
    sudoku,
    transformer,
    coupled,
    network,
    objects,
    iterative_objects,
    image_classifier,
    recall,
    synapses,
)
MODELS = {f.__name__: f for f in KINDS}


def random_inputs(model):
    """Inputs for a model: a dictionary by name, or an array."""
    rng = np.random.default_rng(0)

    def draw(tensor):
        shape = (2, *tensor.shape[1:])
        if tensor.dtype == "int32":
            return rng.integers(0, 5, shape).astype("int32")
        return rng.uniform(0, 1, shape).astype("float32")

    return keras.tree.map_structure(draw, model.input)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    version = ".".join(keras_kuramoto.__version__.split(".")[:2])
    for name, build in MODELS.items():
        keras.utils.set_random_seed(0)
        built = build()
        inputs = random_inputs(built)
        answer = keras.ops.convert_to_numpy(built(inputs))
        built.save(FOLDER / f"{name}_{version}.keras")
        arrays = inputs if isinstance(inputs, dict) else {"": inputs}
        np.savez_compressed(
            FOLDER / f"{name}_{version}.npz", answer=answer, **{f"input/{key}": array for key, array in arrays.items()}
        )
