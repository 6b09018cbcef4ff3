"""The models of images: inputs, sizes, steps, energies, presets, saving, training, and the paper's ablations."""

import keras
import numpy as np
import pytest
from backend_helpers import BACKEND, array, call, evaluate, specs, to_numpy, value_and_gradients
from keras import ops

from keras_kuramoto.layers import (
    GTA,
    AttentionConnectivity,
    ConvConnectivity,
    InitialOscillators,
    KuramotoBlock,
    KuramotoLayer,
    KuramotoNetwork,
    NaturalFrequency,
    PositionEmbedding,
    SharedTransition,
)
from keras_kuramoto.models import (
    AKOrNClassifier,
    AKOrNObjects,
    ImageClassifier,
    ImageModel,
    IterativeClassifier,
    IterativeObjects,
    ObjectsModel,
    ResNetClassifier,
    ViTClassifier,
)

ATTENTION, CONV = AttentionConnectivity(2, GTA()), ConvConnectivity(3)
LAYER_NORM, GROUP_NORM = keras.layers.LayerNormalization(), keras.layers.GroupNormalization(2)
PATCHES = {"image_size": 8, "patch_size": 2, "channels": 8}
PIXELS = {"image_size": 8, "channels": 4, "blocks": 2, "num_classes": 3}
MODELS = {
    "attentive": lambda **kwargs: AKOrNObjects(
        ATTENTION, **PATCHES, num_steps=[2, 3], blocks=2, stimuli_normalization=GROUP_NORM, seed=1, **kwargs
    ),
    "convolutional": lambda **kwargs: AKOrNObjects(
        CONV,
        NaturalFrequency(4),
        **{**PATCHES, "image_size": (8, 12)},
        num_steps=2,
        position_embedding=PositionEmbedding(),
        projection_dim=5,
        seed=1,
        **kwargs,
    ),
    "iterative": lambda **kwargs: IterativeObjects(
        AttentionConnectivity(2), LAYER_NORM, PositionEmbedding(), **PATCHES, num_steps=3, **kwargs
    ),
    "iterative convolutional": lambda **kwargs: IterativeObjects(
        CONV, GROUP_NORM, **PATCHES, num_steps=[1, 2], blocks=2, **kwargs
    ),
    "classifier": lambda **kwargs: AKOrNClassifier(
        [CONV, ATTENTION], NaturalFrequency(2), **PIXELS, num_steps=[2, 1], stimuli_normalization=GROUP_NORM, **kwargs
    ),
    "iterative classifier": lambda **kwargs: IterativeClassifier(CONV, GROUP_NORM, **PIXELS, num_steps=2, **kwargs),
    "ResNet": lambda **kwargs: ResNetClassifier(8, channels=4, stages=(1, 2), num_classes=3, **kwargs),
    "ViT": lambda **kwargs: ViTClassifier(8, 2, channels=8, heads=2, blocks=2, num_classes=3, **kwargs),
}
each_model = pytest.mark.parametrize("name", MODELS)
OSCILLATORS = ("attentive", "convolutional", "classifier")


def images(model, count=3, seed=0, size=None):
    return np.random.default_rng(seed).random((count, *(size or model.image_size), 3)).astype("float32")


def noise(model, count=3, seed=1, size=(None, None)):
    return array(np.random.default_rng(seed), count, *model.noise_shape(*size))


def width(model):
    return model.projection_dim if isinstance(model, ObjectsModel) else model.num_classes


@each_model
def test_models_save_and_load(name, tmp_path):
    model = MODELS[name]()
    given = images(model), noise(model)
    expected = evaluate(model.run, *given)
    assert expected.shape == (3, width(model))
    assert model.has_energy == (name in OSCILLATORS)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.image_size == model.image_size
    np.testing.assert_array_equal(evaluate(loaded.run, *given), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = MODELS[name]()
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(evaluate(fresh.run, *given), expected)


@each_model
def test_images_come_alone_with_noise_and_by_name(name):
    model = MODELS[name]()
    image, given = images(model), noise(model)
    fixed = evaluate(model.run, image, given)
    by_name = evaluate(lambda image, noise: model({"image": image, "noise": noise}), image, given)
    np.testing.assert_array_equal(by_name, fixed)
    drawn = [to_numpy(model(image)), model.predict({"image": image}, verbose=0)]
    # Without oscillators there is nothing to be drawn.
    assert (np.abs(drawn[0] - fixed).max() > 1e-5) == model.has_energy
    assert (np.abs(drawn[1] - drawn[0]).max() > 1e-5) == model.has_energy
    outer = keras.Input((*model.image_size, 3))
    assert keras.Model(outer, model(outer)).output_shape == (None, width(model))


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("ResNet", "ViT")])
def test_steps_change_without_new_weights(name):
    model = MODELS[name]()
    given = images(model), noise(model)
    default = evaluate(model.run, *given)
    longer = evaluate(lambda image, noise: model.run(image, noise, num_steps=5), *given)
    assert np.abs(longer - default).max() > 1e-6
    traced = call(lambda *values: model.run(*values[:2], num_steps=values[2]), *given, np.int32(5), compiled=True)
    np.testing.assert_allclose(traced, longer, atol=1e-4)
    if model.has_energy:
        result, energies = evaluate(lambda *given: model.run(*given, num_steps=5, return_energy=True), *given)
        np.testing.assert_allclose(result, longer, atol=1e-5)
        assert energies.shape == (3, 5)
    else:
        with pytest.raises(ValueError, match="no oscillators and so no energy"):
            model.run(*given, return_energy=True)


@pytest.mark.parametrize("name", [name for name in MODELS if isinstance(MODELS[name](), ObjectsModel)])
def test_the_projection_is_that_of_the_largest_features(name):
    model = MODELS[name]()
    given = images(model), noise(model)
    features = evaluate(model.features, *given)
    assert features.shape == (3, model.image_size[0] // 2, model.image_size[1] // 2, 8)
    projection = model.projection(model.hidden(ops.max(features, axis=(1, 2))))
    np.testing.assert_allclose(to_numpy(projection), evaluate(model.run, *given), atol=1e-5)
    if model.has_energy:
        other, energies = evaluate(lambda *given: model.features(*given, num_steps=4, return_energy=True), *given)
        assert energies.shape == (3, 4)
        assert np.abs(other - features).max() > 1e-6


@each_model
def test_images_of_another_size_are_taken(name):
    model = MODELS[name]()
    size = (16, 12)
    given = images(model, size=size), noise(model, size=size)
    assert evaluate(model.run, *given).shape == (3, width(model))
    assert to_numpy(model(given[0])).shape == (3, width(model))
    assert model.noise_shape(*size)[:2] == (16 // model.patch_size, 12 // model.patch_size)


@pytest.mark.parametrize("name", ["attentive", "iterative", "classifier"])
def test_every_trained_weight_has_a_gradient_in_a_compiled_function(name):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    variables = model.trainable_variables
    probe = ops.convert_to_tensor(array(np.random.default_rng(2), 3, width(model)))
    value, gradients = value_and_gradients(
        lambda image, noise: ops.sum(model.run(image, noise) * probe),
        images(model),
        noise(model),
        variables=variables,
        compiled=True,
    )
    assert np.isfinite(value)
    for variable, gradient in zip(variables, gradients[2:]):
        assert np.isfinite(gradient).all(), variable.path
        assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize("name", ["attentive", "iterative", "classifier", "ResNet", "ViT"])
def test_half_precision_gives_full_precision(name):
    full = MODELS[name]()
    model = MODELS[name](dtype="mixed_bfloat16")
    model.set_weights(full.get_weights())
    given = images(model), noise(model)
    assert keras.backend.standardize_dtype(model.run(*given).dtype) == "float32"
    np.testing.assert_allclose(evaluate(model.run, *given), evaluate(full.run, *given), atol=0.1)
    if isinstance(model, ObjectsModel):
        assert keras.backend.standardize_dtype(model.features(*given).dtype) == "float32"


def test_fit_lowers_the_loss_and_updates_the_statistics():
    keras.utils.set_random_seed(1)
    model = MODELS["classifier"]()
    image = images(model, 48)
    # The brightest colour of the image's middle.
    label = image[:, 3:5, 3:5].mean((1, 2)).argmax(1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Compiled on JAX, where nothing else is fast; gradients under XLA are tested above.
    model.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=BACKEND == "jax")
    start = [to_numpy(v) for v in model.non_trainable_variables if "moving" in v.path]
    losses = model.fit(image, label, batch_size=24, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < 0.95 * losses[0]
    moved = [to_numpy(v) for v in model.non_trainable_variables if "moving" in v.path]
    assert len(moved) == 12
    assert all(np.abs(new - old).max() > 1e-4 for old, new in zip(start, moved))


def test_probabilities_are_means_over_initial_oscillators():
    model = MODELS["classifier"]()
    image = images(model)
    one, same, three = (to_numpy(model.probabilities(image, count, seed=3)) for count in (1, 1, 3))
    np.testing.assert_array_equal(one, same)
    assert np.abs(three - one).max() > 1e-6
    np.testing.assert_allclose(three.sum(-1), 1, atol=1e-5)
    drawn = to_numpy(model.probabilities(image, 2))
    assert np.abs(drawn - to_numpy(model.probabilities(image, 2))).max() > 1e-6
    other = MODELS["ResNet"]()
    expected = to_numpy(ops.softmax(other(image)))
    np.testing.assert_allclose(to_numpy(other.probabilities(image, 5, seed=0)), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"`members`.*0"):
        model.probabilities(image, 0)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="arguments are the same on every backend")
def test_presets_of_the_paper_have_the_papers_numbers():
    def numbers(name):
        model = ObjectsModel.from_preset(f"objects_{name}", load_weights=False)
        layers = [block.kuramoto for block in model.network.blocks]
        assert all(layer.step_size == 0.5 and layer.natural_frequency is None for layer in layers)
        assert all((layer.stimuli_normalization is not None) == (len(layers) > 1) for layer in layers)
        return *model.image_size, model.patch_size, model.channels, model.num_steps, len(layers)

    assert numbers("tetrominoes") == (32, 32, 4, 128, 8, 1)
    assert numbers("dsprites") == (64, 64, 4, 128, 8, 1)
    assert numbers("clevr") == (128, 128, 8, 256, 8, 1)
    assert numbers("shapes") == (40, 40, 2, 256, 4, 3)
    assert numbers("clevrtex") == (128, 128, 8, 256, 8, 2)
    assert numbers("clevrtex_large") == (128, 128, 8, 512, 8, 2)
    assert numbers("imagenet") == (256, 256, 16, 768, 4, 3)
    for name, kernel_size in (("tetrominoes", 5), ("dsprites", 7), ("clevr", 9)):
        model = ObjectsModel.from_preset(f"objects_{name}_conv", load_weights=False)
        assert model.network.blocks[0].kuramoto.connectivity.kernel_size == kernel_size
        assert f"objects_{name}_iterative_conv" in ObjectsModel.presets
    mixed = ImageClassifier.from_preset("cifar10_akorn_attention", load_weights=False)
    layers = [block.kuramoto for block in mixed.network.blocks]
    assert [layer.num_steps for layer in layers] == [6, 4, 2]
    assert [layer.connectivity.kernel_size for layer in layers[:2]] == [9, 7]
    assert layers[2].connectivity.heads == 8
    assert [block.readout.units for block in mixed.network.blocks] == [64, 128, 256]
    assert ImageClassifier.from_preset("cifar10_akorn_n4", load_weights=False).network.blocks[0].kuramoto.step_size == 1


@pytest.mark.skipif(BACKEND != "tensorflow", reason="so are the numbers of weights")
def test_small_presets_have_less_than_two_megabytes():
    names = [name for name in ImageModel.presets if "small" in name and "resnet" not in name]
    assert {"objects_tetrominoes_small", "objects_shapes_small_iterative", "cifar10_akorn_small"} <= set(names)
    for name in names:
        assert 4 * ImageModel.from_preset(name, load_weights=False).count_params() < 2e6, name


def ablation(**changes):
    return AKOrNObjects(**{"connectivity": ATTENTION, **PATCHES, "num_steps": 3, "seed": 0, **changes})


ABLATIONS = {
    "Table 5, without projection": {"project": False},
    "Table 6, without projection and norm": {"project": False, "normalize": False},
    "Table 7, N = 2": {"oscillator_dim": 2},
    "Fig. 16, all channels one oscillator": {"oscillator_dim": 8},
    "Table 13, vectors for the positions": {
        "connectivity": AttentionConnectivity(2),
        "position_embedding": PositionEmbedding(),
    },
    "Fig. 18, without m": {"readout": keras.layers.Dense(8)},
    "natural frequencies": {"natural_frequency": NaturalFrequency(4), "step_size": 1.0},
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_the_papers_ablations_are_arguments(name):
    model = ablation(**ABLATIONS[name])
    given = images(model), noise(model)
    states = evaluate(lambda *given: model.network(model.patches(given[0]), noise=given[1])[1], *given)
    norms = np.linalg.norm(states.reshape(-1, model.network.initial_oscillators.oscillator_dim), axis=-1)
    assert (np.abs(norms - 1).max() < 1e-5) == ("and norm" not in name)
    features = evaluate(model.features, *given)
    # What is read of oscillators by their norms is not negative, but for a bias that starts at 0.
    assert (features.min() < 0) == ("without m" in name)


def test_layers_alone_without_stimuli_are_a_network_too():
    """Fig. 18, "Stacking K-layers": the image is in the first oscillators, and C is 0."""

    def block(transition=None):
        nothing = keras.layers.Rescaling(0.0)
        kuramoto = KuramotoLayer(ConvConnectivity(3), 2, num_steps=2, stimuli_normalization=nothing)
        return KuramotoBlock(kuramoto, keras.layers.Identity(), transition=transition)

    down = SharedTransition(keras.layers.Conv2D(8, 3, strides=2, padding="same"))
    network = KuramotoNetwork([block(down), block()], InitialOscillators(2))
    image = keras.Input((8, 8, 3))
    stem = keras.layers.Conv2D(4, 3, padding="same")(image)
    model = keras.Model(image, network(stem, noise=stem)[0])
    value = array(np.random.default_rng(0), 2, 8, 8, 3)
    features = to_numpy(model(value))
    assert features.shape == (2, 4, 4, 8)
    np.testing.assert_array_equal(features, to_numpy(model(value)))
    np.testing.assert_allclose(np.square(features).reshape(2, 4, 4, 4, 2).sum(-1), 1, atol=1e-5)


BAD = {
    "size no multiple": (lambda: ablation(image_size=9), r"multiples of `patch_size` = 2.*\(9, 9\)"),
    "size text": (lambda: ablation(image_size="8"), "`image_size`.*'8'"),
    "patch size": (lambda: ablation(patch_size=0), "`patch_size`.*0"),
    "blocks": (lambda: ablation(blocks=0), "`blocks`.*0"),
    "steps of other blocks": (lambda: ablation(blocks=3, num_steps=[1, 2]), "`num_steps`.*3.*2"),
    "couplings of other blocks": (lambda: ablation(blocks=2, connectivity=[ATTENTION]), "`connectivity`.*2.*1"),
    "no coupling": (lambda: ablation(connectivity="attn"), "`connectivity`.*'attn'"),
    "projection": (lambda: ablation(projection_dim=0), "`projection_dim`.*0"),
    "classes": (lambda: ResNetClassifier(num_classes=1), "`num_classes`.*1"),
    "stages": (lambda: ResNetClassifier(stages=(2, 0)), "`stages`.*0"),
    "heads": (lambda: ViTClassifier(channels=8, heads=3), "heads.*8"),
    "no stage": (lambda: ResNetClassifier(stages=()), "`stages`.*none"),
    "call: size": (lambda: ablation()(np.zeros((1, 8, 7, 3), "float32")), r"`patch_size` = 2.*\(8, 7\)"),
    "call: bytes": (lambda: ablation()(np.zeros((1, 8, 8, 3), "uint8")), "uint8.*255"),
    "call: up to 255": (lambda: ablation()(np.full((1, 8, 8, 3), 200.0, "float32")), r"\[0, 1\].*200"),
    "call: -1 to 1": (lambda: ablation()(np.full((1, 8, 8, 3), -1.0, "float32")), r"\[0, 1\].*-1"),
    "call: NaN": (lambda: ablation()(np.full((1, 8, 8, 3), np.nan, "float32")), r"\[0, 1\].*nan"),
    "call: grey": (lambda: ablation()(np.zeros((1, 8, 8, 1), "float32")), "3"),
    "call: noise": (
        lambda: ablation().run(np.zeros((1, 8, 8, 3), "float32"), np.zeros((1, 8, 8, 8), "float32")),
        r"`noise`.*4, 4, 8.*8, 8, 8",
    ),
    "preset": (lambda: ObjectsModel.from_preset("objects_tetromino"), "Did you mean 'objects_tetrominoes'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name):
    function, message = BAD[name]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        function()


def test_no_image_has_no_answer():
    model = ObjectsModel.from_preset("objects_tetrominoes_small", load_weights=False, channels=32, num_steps=1)
    nothing = np.zeros((0, 32, 32, 3), "float32")
    projection, energies = specs(lambda image: model.run(image, return_energy=True), nothing)
    assert (projection.shape, energies.shape) == ((0, 32), (0, 1))
    assert specs(model.features, nothing).shape == (0, 8, 8, 32)
    classifier = ImageClassifier.from_preset("cifar10_resnet_small", load_weights=False, channels=4)
    assert specs(classifier.probabilities, nothing).shape == (0, 10)
