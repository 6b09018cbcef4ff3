"""What every public layer promises: configuration, saving, shapes, precision, errors, and other sizes of input."""

import json

import keras
import numpy as np
import pytest
from backend_helpers import array, assign, evaluate, norms, to_numpy
from keras import ops

import keras_kuramoto
from keras_kuramoto import energies
from keras_kuramoto.layers import (
    GTA,
    AbsoluteEncoding,
    AttentionConnectivity,
    BoardEncoding,
    ConvConnectivity,
    CuedOscillators,
    DenseConnectivity,
    FeedForwardConnectivity,
    FixedKernelConnectivity,
    GroupedOscillators,
    InitialOscillators,
    KuramotoLayer,
    NaturalFrequency,
    OscillatorReadout,
    PositionEmbedding,
    Repeat,
    Residual,
    RotaryEncoding,
    StateLayer,
    SymmetricAttentionConnectivity,
    SymmetricConvConnectivity,
    SymmetricDenseConnectivity,
    TrainedOscillators,
    TransformerBlock,
    gaussian_kernel,
    random_kernel,
)

TOKENS, IMAGE = (6, 8), (4, 5, 8)


def make_kuramoto_layer():
    return KuramotoLayer(
        AttentionConnectivity(2, RotaryEncoding()),
        4,
        natural_frequency=NaturalFrequency(4, frequency=0.3),
        num_steps=3,
        step_size=0.7,
        train_step_size=True,
        stimuli_normalization=keras.layers.GroupNormalization(2, epsilon=1e-5),
        energy_density=energies.lyapunov_energy_density,
        remat=True,
    )


# name: (factory, shapes of the inputs without the batch, shape of the output)
LAYERS = {
    "dense": (lambda: DenseConnectivity(use_bias=True), [TOKENS], TOKENS),
    "symmetric dense": (lambda: SymmetricDenseConnectivity(use_bias=True), [TOKENS], TOKENS),
    "conv": (lambda: ConvConnectivity((3, 5), kernel_initializer="orthogonal"), [IMAGE], IMAGE),
    "conv on tokens": (lambda: ConvConnectivity(4), [TOKENS], TOKENS),
    "symmetric conv": (lambda: SymmetricConvConnectivity(3, use_bias=True), [IMAGE], IMAGE),
    "gaussian kernel": (lambda: FixedKernelConnectivity(gaussian_kernel(3, 1.0)), [IMAGE], IMAGE),
    "random kernel": (lambda: FixedKernelConnectivity(random_kernel(3, 8, 1, seed=0), rank=1), [TOKENS], TOKENS),
    "attention": (lambda: AttentionConnectivity(2, use_bias=False), [TOKENS], TOKENS),
    "attention GTA": (lambda: AttentionConnectivity(2, GTA()), [IMAGE], IMAGE),
    "attention RoPE": (lambda: AttentionConnectivity(2, RotaryEncoding()), [IMAGE], IMAGE),
    "attention RoPE angles": (
        lambda: AttentionConnectivity(2, RotaryEncoding(np.ones((6, 2)))),
        [TOKENS],
        TOKENS,
    ),
    "attention absolute": (lambda: AttentionConnectivity(2, AbsoluteEncoding("ones")), [TOKENS], TOKENS),
    "attention board": (lambda: AttentionConnectivity(2, BoardEncoding()), [(4, 4, 8)], (4, 4, 8)),
    "symmetric attention": (lambda: SymmetricAttentionConnectivity(2, GTA()), [TOKENS], TOKENS),
    "attention and network": (lambda: FeedForwardConnectivity(AttentionConnectivity(2), 3), [IMAGE], IMAGE),
    "frequency": (lambda: NaturalFrequency(4, frequency=0.7), [IMAGE], IMAGE),
    "frequencies": (lambda: NaturalFrequency(4, shared=False, trainable=False), [TOKENS], TOKENS),
    "readout": (lambda: OscillatorReadout(5, 3), [TOKENS], (6, 5)),
    "conv readout": (lambda: OscillatorReadout(5, 3, kernel_size=(3, 1), use_bias=False), [IMAGE], (4, 5, 5)),
    "initial oscillators": (lambda: InitialOscillators(4, seed=1), [TOKENS, (6,), TOKENS], TOKENS),
    "initial oscillators of a place": (
        lambda: InitialOscillators(4, noise_layer=PositionEmbedding()),
        [TOKENS, (6,), TOKENS],
        TOKENS,
    ),
    "kuramoto": (make_kuramoto_layer, [TOKENS, TOKENS], TOKENS),
    "kuramoto on images": (lambda: KuramotoLayer(ConvConnectivity(3), 2, num_steps=2), [IMAGE, IMAGE], IMAGE),
    "trained oscillators": (lambda: TrainedOscillators(3), [(9,)], (9, 3)),
    "cued oscillators": (lambda: CuedOscillators(3, mean=0.3), [(9,), (2, 3)], (9, 3)),
    "grouped oscillators": (lambda: GroupedOscillators(3, first=4), [(9,), ()], (9, 3)),
    "residual": (lambda: Residual(keras.layers.Dense(8)), [TOKENS], TOKENS),
    "transformer block": (lambda: TransformerBlock(AttentionConnectivity(2), expansion=3), [IMAGE], IMAGE),
    "block of repeated convolution": (
        lambda: TransformerBlock(ConvConnectivity(3), 1, keras.layers.GroupNormalization(2, epsilon=1e-5), num_steps=3),
        [IMAGE],
        IMAGE,
    ),
    "position embedding": (PositionEmbedding, [IMAGE], IMAGE),
    "residual with a shortcut": (
        lambda: Residual(keras.layers.Dense(3), keras.layers.Dense(3, use_bias=False)),
        [TOKENS],
        (6, 3),
    ),
    "repeat": (lambda: Repeat(TransformerBlock(AttentionConnectivity(2)), num_steps=2), [TOKENS], TOKENS),
}
each_layer = pytest.mark.parametrize("name", LAYERS)


# These have files of their own, with the same promises and more.
ELSEWHERE = {
    "KuramotoBlock",
    "KuramotoNetwork",
    "SharedTransition",
    "StimuliTransition",
    "AdditiveCoupling",
    "CDAMAttention",
    "CDAMRecall",
    "FiniteAutomaton",
    "GatingCoupling",
    "HebbianMemory",
    "HierarchicalConnectivity",
    "HierarchicalConvConnectivity",
    "HopfieldKuramotoMemory",
    "HopfieldMemory",
    "KuramotoMemory",
    "LateralConnectivity",
    "LowRankCoupling",
    "MultiplicativeCoupling",
    "NetworkCoupling",
    "PairCoupling",
    "QuasiEquilibriumMemory",
    "SynapticMemory",
}
# No layers themselves: what layers are subclasses of, and what is handed to one.
BASES = {
    "BilinearCoupling",
    "Connectivity",
    "Coupling",
    "InitialState",
    "Layer",
    "Memory",
    "PositionEncoding",
    "StateLayer",
    "Transition",
    "UntilRest",
}


def test_every_public_layer_is_tested_here_or_in_a_file_of_its_own():
    configs = str([keras.saving.serialize_keras_object(factory()) for factory, _, _ in LAYERS.values()])
    for name in sorted(set(keras_kuramoto.layers.__all__) - ELSEWHERE):
        public = getattr(keras_kuramoto.layers, name)
        if isinstance(public, type) and name not in BASES:
            assert f"'keras_kuramoto>{name}'" in configs


def make_inputs(rng, shapes):
    """Two examples: a float array for each shape; a mask for one without the channels."""
    return [array(rng, 2, *shape) if len(shape) > 1 else rng.random((2, *shape)) < 0.5 for shape in shapes]


def symbolic_inputs(shapes):
    return [keras.Input(shape, dtype="float32" if len(shape) > 1 else "bool") for shape in shapes]


def make_layer(name, rng):
    factory, shapes, _ = LAYERS[name]
    layer = factory()
    layer(*symbolic_inputs(shapes))
    assign(layer, rng)
    return layer


def without_shapes(config):
    """A configuration without the shapes that Keras notes for the layers inside that are built."""
    if not isinstance(config, dict):
        return config
    return {key: without_shapes(value) for key, value in config.items() if key != "build_config"}


@each_layer
def test_configuration_round_trips(name):
    rng = np.random.default_rng(0)
    layer = make_layer(name, rng)
    config = layer.get_config()
    copy = type(layer).from_config(json.loads(json.dumps(config)))
    assert without_shapes(copy.get_config()) == without_shapes(config)
    inputs = make_inputs(rng, LAYERS[name][1])
    copy(*symbolic_inputs(LAYERS[name][1]))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(evaluate(copy, *inputs), evaluate(layer, *inputs))


@each_layer
def test_saves_and_loads_inside_a_functional_model(name, tmp_path):
    rng = np.random.default_rng(1)
    layer, shapes = make_layer(name, rng), LAYERS[name][1]
    inputs = symbolic_inputs(shapes)
    model = keras.Model(inputs, layer(*inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.inputs[0].shape[0] is None
    values = make_inputs(rng, shapes)
    np.testing.assert_array_equal(evaluate(lambda *values: loaded(list(values)), *values), evaluate(layer, *values))


@each_layer
def test_output_shapes_and_dtypes_agree(name):
    rng = np.random.default_rng(2)
    factory, shapes, output = LAYERS[name]
    layer = factory()
    symbolic = layer(*symbolic_inputs(shapes))
    assert tuple(symbolic.shape) == (None, *output)
    assert tuple(layer.compute_output_shape(*[(None, *shape) for shape in shapes])) == (None, *output)
    result = evaluate(layer, *make_inputs(rng, shapes))
    assert result.shape == (2, *output)
    assert str(result.dtype) == symbolic.dtype == "float32"


# Eight bits of mantissa in bfloat16 and eleven in float16: 2⁻⁸ and 2⁻¹¹ for one rounding of a number of size 1 to 5,
# and the states of several layers depend on each other.
@pytest.mark.parametrize(("policy", "tolerance"), [("mixed_bfloat16", 0.1), ("mixed_float16", 0.012)])
@each_layer
def test_mixed_precision_gives_nearly_the_same(name, policy, tolerance):
    rng = np.random.default_rng(3)
    shapes = LAYERS[name][1]
    layer = make_layer(name, rng)
    inputs = make_inputs(rng, shapes)
    expected = evaluate(layer, *inputs)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = make_layer(name, rng)
        mixed.set_weights(layer.get_weights())
        dtypes = []

        def run(*inputs):
            result = mixed(*inputs)
            dtypes.append(keras.backend.standardize_dtype(result.dtype))
            return ops.cast(result, "float32")

        result = evaluate(run, *inputs)
        symbolic = mixed(*symbolic_inputs(shapes))
    finally:
        keras.config.set_dtype_policy(before)
    assert {variable.dtype for variable in mixed.weights} <= {"float32"}
    dtype = dtypes[-1]
    assert dtype == symbolic.dtype
    keeps_float32 = isinstance(layer, (StateLayer, OscillatorReadout))
    assert dtype == ("float32" if keeps_float32 else policy.removeprefix("mixed_"))
    np.testing.assert_allclose(result, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("functional", [False, True])
def test_state_norms_energies_and_step_size_are_float32_under_mixed_precision(policy, functional):
    rng = np.random.default_rng(4)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        # No coupling: all that is computed is the layer's own part.
        connectivity = DenseConnectivity(kernel_initializer="zeros")
        layer = KuramotoLayer(connectivity, 4, NaturalFrequency(4, frequency=0.37), num_steps=20, step_size=0.11)
        plain = KuramotoLayer(
            DenseConnectivity(kernel_initializer="zeros", dtype="float32"),
            4,
            NaturalFrequency(4, frequency=0.37, dtype="float32"),
            num_steps=20,
            step_size=0.11,
            dtype="float32",
        )
        x, c = array(rng, 2, 8), array(rng, 2, 8)
        if functional:
            inputs = [keras.Input((8,), dtype="float32") for _ in range(2)]
            model = keras.Model(inputs, layer(*inputs, return_energy=True))
            state, energy = model([x, c])
        else:
            state, energy = layer(x, c, return_energy=True)
        expected_state, expected_energy = plain(x, c, return_energy=True)
    finally:
        keras.config.set_dtype_policy(before)
    for result in (state, energy):
        assert keras.backend.standardize_dtype(result.dtype) == "float32"
    assert np.abs(norms(to_numpy(state), 4) - 1).max() < 1e-6
    # Float32's own rounding; in bfloat16 γ alone would be off by 1e-3.
    np.testing.assert_allclose(to_numpy(state), to_numpy(expected_state), atol=2e-6)
    np.testing.assert_allclose(to_numpy(energy), to_numpy(expected_energy), atol=1e-5)


def test_energies_in_a_functional_model_have_the_shape_that_was_promised():
    layer = KuramotoLayer(DenseConnectivity(), 4, num_steps=3)
    inputs = [keras.Input((8,)), keras.Input((8,))]
    state, energy = layer(*inputs, return_energy=True)
    assert (tuple(state.shape), tuple(energy.shape)) == ((None, 8), (None, 3))
    model = keras.Model(inputs, [state, energy])
    assert [tuple(result.shape) for result in model([np.ones((5, 8)), np.ones((5, 8))])] == [(5, 8), (5, 3)]


def test_number_of_steps_changes_without_new_weights():
    rng = np.random.default_rng(5)
    layer = make_kuramoto_layer()
    x, c = array(rng, 2, *TOKENS), array(rng, 2, *TOKENS)
    results = [to_numpy(layer(x, c, num_steps=steps)) for steps in (1, 2, 9)]
    weights = len(layer.weights)
    np.testing.assert_allclose(to_numpy(layer(results[0], c, num_steps=1)), results[1], atol=1e-6)
    np.testing.assert_allclose(to_numpy(layer(results[1], c, num_steps=7)), results[2], atol=1e-5)
    assert len(layer.weights) == weights


def test_per_example_steps_as_an_input_of_a_functional_model():
    rng = np.random.default_rng(6)
    layer = KuramotoLayer(DenseConnectivity(), 4)
    inputs = [keras.Input((8,)), keras.Input((8,)), keras.Input((), dtype="int32")]
    model = keras.Model(inputs, layer(inputs[0], inputs[1], num_steps=inputs[2]))
    x, c = array(rng, 2, 8), array(rng, 2, 8)
    result = to_numpy(model([x, c, np.array([1, 6], "int32")]))
    for example, steps in enumerate((1, 6)):
        expected = to_numpy(layer(x[example : example + 1], c[example : example + 1], num_steps=steps))[0]
        np.testing.assert_allclose(result[example], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("encoding", "exact"), [(None, True), (RotaryEncoding, True), (AbsoluteEncoding, False), (GTA, False)]
)
@pytest.mark.parametrize(("built_for", "called_with"), [((4, 6), (8, 5)), ((6,), (9,))])
def test_attention_at_another_resolution(encoding, exact, built_for, called_with):
    rng = np.random.default_rng(7)
    layer = AttentionConnectivity(2, None if encoding is None else encoding())
    layer.build((None, *built_for, 8))
    other = AttentionConnectivity(2, None if encoding is None else encoding())
    other.build((None, *called_with, 8))
    x = array(rng, 2, *called_with, 8)
    result = to_numpy(layer(x))
    assert result.shape == x.shape
    assert np.isfinite(result).all()
    if exact:
        other.set_weights(layer.get_weights())
        np.testing.assert_allclose(result, to_numpy(other(x)), atol=1e-6)


@pytest.mark.parametrize("encoding", [AbsoluteEncoding, GTA])
def test_interpolated_encodings_keep_what_is_the_same_everywhere(encoding):
    rng = np.random.default_rng(8)
    layers = []
    for grid in ((3, 4), (6, 5)):
        layer = AttentionConnectivity(2, encoding())
        layer.build((None, *grid, 8))
        layers.append(layer)
    table = layers[0].position_encoding.weights[0]
    # The same vector or matrices at each position: interpolation changes nothing.
    row = rng.standard_normal((1, *table.shape[1:]))
    for layer in layers:
        variable = layer.position_encoding.weights[0]
        variable.assign(np.broadcast_to(row, variable.shape))
    for small, large in zip(layers[0].weights, layers[1].weights):
        if small.shape == large.shape:
            large.assign(small)
    x = array(rng, 2, 6, 5, 8)
    np.testing.assert_allclose(to_numpy(layers[0](x)), to_numpy(layers[1](x)), atol=1e-5)


def test_convolution_at_another_and_at_an_unknown_resolution():
    layer = ConvConnectivity(3)
    layer.build((None, None, None, 8))
    inputs = keras.Input((None, None, 8))
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, 8)
    for size in ((4, 5), (7, 3)):
        assert tuple(model(np.ones((1, *size, 8), "float32")).shape) == (1, *size, 8)


def test_attention_on_an_image_is_attention_on_its_pixels():
    rng = np.random.default_rng(9)
    layer = AttentionConnectivity(2)
    layer.build((None, 4, 5, 8))
    x = array(rng, 2, 4, 5, 8)
    tokens = to_numpy(layer(x.reshape(2, 20, 8)))
    np.testing.assert_allclose(to_numpy(layer(x)).reshape(2, 20, 8), tokens, atol=1e-6)


@pytest.mark.parametrize("coupling", [lambda: AttentionConnectivity(2, RotaryEncoding()), lambda: ConvConnectivity(3)])
def test_an_untrained_network_leaves_the_coupling_as_it_is(coupling):
    rng = np.random.default_rng(11)
    plain, layer = coupling(), FeedForwardConnectivity(coupling())
    x = array(rng, 2, 4, 5, 8)
    for each in (plain, layer):
        each.build(x.shape)
    layer.connectivity.set_weights(plain.get_weights())
    np.testing.assert_array_equal(to_numpy(layer(x)), to_numpy(plain(x)))
    # Trained, it is one of each position: none hears of the others but by the coupling.
    own = [layer.expand_kernel, layer.expand_bias, layer.contract_kernel, layer.contract_bias]
    for weight in own:
        weight.assign(array(rng, *weight.shape))
    coupled = to_numpy(plain(x))
    w, b, v, d = map(to_numpy, own)
    wanted = coupled + np.maximum((x + coupled) @ w + b, 0) @ v + d
    np.testing.assert_allclose(to_numpy(layer(x)), wanted, rtol=1e-4, atol=1e-4)


def test_a_network_after_a_coupling_at_an_unknown_resolution():
    inputs = keras.Input((None, None, 8))
    model = keras.Model(inputs, FeedForwardConnectivity(ConvConnectivity(3))(inputs))
    assert model.output_shape == (None, None, None, 8)
    assert tuple(model(np.ones((1, 4, 5, 8), "float32")).shape) == (1, 4, 5, 8)


def test_untrained_gta_undoes_its_own_rotation():
    """With value and output rotations inverse to each other, one token's value comes back as it was."""
    encoding = GTA()
    encoding.build((None, 5, 2, 4))
    x = array(np.random.default_rng(10), 2, 2, 5, 4)
    _, _, value = encoding.encode_heads(*[ops.convert_to_tensor(x)] * 3, (5,))
    np.testing.assert_allclose(to_numpy(encoding.decode_heads(value, (5,))), x, atol=1e-6)


def test_one_start_serves_all_examples_and_calls():
    noise = np.random.default_rng(0).standard_normal((1, 3, 8)).astype("float32")
    c = keras.Input((3, 8))
    model = keras.Model(c, InitialOscillators(4)(c, noise=noise))
    found = to_numpy(model(np.ones((5, 3, 8), "float32")))
    assert found.shape == (5, 3, 8)
    wanted = to_numpy(InitialOscillators(4)(np.ones((1, 3, 8), "float32"), noise=noise))
    np.testing.assert_allclose(found, np.repeat(wanted, 5, 0), atol=1e-6)


def test_initial_oscillators_start_at_the_stimuli_where_known():
    rng = np.random.default_rng(11)
    layer = InitialOscillators(4, seed=3)
    c, known = array(rng, 5, *TOKENS), rng.random((5, 6)) < 0.5
    x = to_numpy(layer(c, known))
    assert np.abs(norms(x, 4) - 1).max() < 1e-6
    expected = (c.reshape(-1, 4) / np.linalg.norm(c.reshape(-1, 4), axis=-1, keepdims=True)).reshape(c.shape)
    np.testing.assert_allclose(x[known], expected[known], atol=1e-6)
    assert np.abs(x[~known] - expected[~known]).min(axis=-1).max() > 0.01


def test_the_same_seed_draws_the_same_oscillators():
    c, known = np.ones((2, *TOKENS), "float32"), np.zeros((2, 6), bool)
    first, second, other = (InitialOscillators(4, seed=seed) for seed in (7, 7, 8))
    draws = [to_numpy(layer(c, known)) for layer in (first, second, other, first)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.abs(draws[0] - draws[2]).max() > 0.1
    # A new draw at each call.
    assert np.abs(draws[0] - draws[3]).max() > 0.1


def test_fixed_frequencies_and_kernels_are_not_trained():
    frequency = NaturalFrequency(4, trainable=False)
    frequency.build((None, 8))
    kernel = FixedKernelConnectivity(gaussian_kernel(3, 1.0))
    kernel.build((None, 4, 4, 8))
    layer = KuramotoLayer(kernel, 4, frequency)
    layer.build((None, 4, 4, 8), (None, 4, 4, 8))
    assert layer.trainable_variables == []
    trained = KuramotoLayer(DenseConnectivity(), 4, NaturalFrequency(4), train_step_size=True)
    trained.build((None, 8), (None, 8))
    assert len(trained.trainable_variables) == 3


def test_frequency_matrices_are_skew_symmetric_and_turn_the_named_planes():
    layer = NaturalFrequency(5, shared=False, frequency=0.7)
    layer.build((None, 10))
    matrices = to_numpy(layer.matrices())
    assert matrices.shape == (2, 5, 5)
    np.testing.assert_array_equal(matrices, -matrices.swapaxes(1, 2))
    expected = np.zeros((5, 5))
    expected[0, 1] = expected[2, 3] = 0.7
    np.testing.assert_allclose(matrices[1], expected - expected.T, atol=1e-7)


def test_gaussian_kernel_blurs_each_channel_by_itself():
    kernel = gaussian_kernel(5, 1.5)
    np.testing.assert_allclose(
        [kernel.sum(), kernel[0, 2] / kernel[2, 2]], [1, np.exp(-0.5 * (2 / 1.5) ** 2)], rtol=1e-5
    )
    x = np.zeros((1, 9, 9, 2), "float32")
    x[0, 4, 4, 0] = 1
    result = to_numpy(FixedKernelConnectivity(kernel)(x))
    np.testing.assert_allclose(result[0, 2:7, 2:7, 0], kernel, atol=1e-6)
    assert (result[..., 1] == 0).all()


def build(layer, *shapes):
    layer.build(*shapes)


# What is asked for, and what the message must name.
BAD = {
    "connectivity is no layer": (lambda: KuramotoLayer("attn", 4), "`connectivity`.*'attn'"),
    "connectivity is missing": (lambda: KuramotoLayer(None, 4), "`connectivity`"),
    "natural_frequency is no layer": (lambda: KuramotoLayer(DenseConnectivity(), 4, 0.5), "`natural_frequency`.*0.5"),
    "stimuli_normalization is no layer": (
        lambda: KuramotoLayer(DenseConnectivity(), 4, stimuli_normalization="gn"),
        "`stimuli_normalization`.*'gn'",
    ),
    "energy_density is no function": (
        lambda: KuramotoLayer(DenseConnectivity(), 4, energy_density="e"),
        "`energy_density`.*'e'",
    ),
    "step_size 0": (lambda: KuramotoLayer(DenseConnectivity(), 4, step_size=0), "`step_size`.*0"),
    "step_size NaN": (lambda: KuramotoLayer(DenseConnectivity(), 4, step_size=float("nan")), "`step_size`.*nan"),
    "step_size text": (lambda: KuramotoLayer(DenseConnectivity(), 4, step_size="1"), "`step_size`.*'1'"),
    "num_steps negative": (lambda: KuramotoLayer(DenseConnectivity(), 4, num_steps=-1), "`num_steps`.*-1"),
    "num_steps a fraction": (lambda: KuramotoLayer(DenseConnectivity(), 4, num_steps=2.5), "`num_steps`.*2.5"),
    "oscillator_dim 1": (lambda: KuramotoLayer(DenseConnectivity(), 1), "`oscillator_dim`.*1"),
    "oscillator_dim a fraction": (lambda: NaturalFrequency(2.0), "`oscillator_dim`.*2.0"),
    "oscillator_dim a truth value": (lambda: InitialOscillators(True), "`oscillator_dim`.*True"),
    "channels not divisible": (
        lambda: build(KuramotoLayer(DenseConnectivity(), 4), (None, 10), (None, 10)),
        "`oscillator_dim`.*10",
    ),
    "channels unknown": (lambda: build(NaturalFrequency(4), (None, None)), "`oscillator_dim`.*None"),
    "frequency channels": (lambda: build(NaturalFrequency(4), (None, 6)), "`oscillator_dim` = 4.*6"),
    "x and c differ": (lambda: build(KuramotoLayer(DenseConnectivity(), 4), (None, 8), (None, 12)), "`x`.*`c`.*8.*12"),
    "x and c of different rank": (
        lambda: KuramotoLayer(DenseConnectivity(), 4)(np.ones((2, 8)), np.ones((2, 3, 8))),
        "`x`.*`c`",
    ),
    "connectivity changes the shape": (
        lambda: build(KuramotoLayer(keras.layers.Dense(3), 4), (None, 8), (None, 8)),
        "`connectivity`.*8.*3",
    ),
    "call num_steps negative": (
        lambda: KuramotoLayer(DenseConnectivity(), 4)(np.ones((2, 8)), np.ones((2, 8)), num_steps=-2),
        "`num_steps`.*-2",
    ),
    "call num_steps a fraction": (
        lambda: KuramotoLayer(DenseConnectivity(), 4)(np.ones((2, 8)), np.ones((2, 8)), num_steps=2.5),
        "`num_steps`.*2.5",
    ),
    "call num_steps a matrix": (
        lambda: KuramotoLayer(DenseConnectivity(), 4)(
            np.ones((2, 8)), np.ones((2, 8)), num_steps=np.ones((2, 2), "int32")
        ),
        r"`num_steps`.*\(2, 2\)",
    ),
    "call num_steps of another batch": (
        lambda: KuramotoLayer(DenseConnectivity(), 4)(np.ones((2, 8)), np.ones((2, 8)), num_steps=np.ones(3, "int32")),
        r"`num_steps`.*\(3,\)",
    ),
    "call max_steps negative": (
        lambda: KuramotoLayer(DenseConnectivity(), 4)(np.ones((2, 8)), np.ones((2, 8)), max_steps=-1),
        "`max_steps`.*-1",
    ),
    "kernel_size 0": (lambda: ConvConnectivity(0), "`kernel_size`.*0"),
    "kernel_size a fraction": (lambda: ConvConnectivity((3, 1.5)), "`kernel_size`.*1.5"),
    "kernel_size of another rank": (lambda: build(ConvConnectivity((3, 3)), (None, 5, 8)), "`kernel_size`.*3, 3"),
    "kernel_size even": (lambda: SymmetricConvConnectivity((3, 4)), "`kernel_size`.*3, 4"),
    "conv without space": (lambda: build(ConvConnectivity(3), (None, 8)), "spatial.*8"),
    "conv channels unknown": (lambda: build(ConvConnectivity(3), (None, 5, None)), "channels.*None"),
    "fixed kernel of another rank": (lambda: FixedKernelConnectivity(np.ones(3)), r"`kernel`.*`rank` = 2.*\(3,\)"),
    "fixed kernel's channels": (
        lambda: build(FixedKernelConnectivity(np.ones((3, 4, 4)), rank=1), (None, 5, 8)),
        "`kernel`.*4.*8",
    ),
    "fixed kernel's input": (lambda: build(FixedKernelConnectivity(np.ones((3, 3))), (None, 5, 8)), "`rank`.*5, 8"),
    "gaussian even": (lambda: gaussian_kernel(4, 1.0), "`size`.*4"),
    "gaussian sigma": (lambda: gaussian_kernel(3, 0.0), "`sigma`.*0.0"),
    "dense with unknown size": (lambda: build(DenseConnectivity(), (None, None, 8)), "None, None, 8"),
    "heads 0": (lambda: AttentionConnectivity(0), "`heads`.*0"),
    "heads not dividing": (lambda: build(AttentionConnectivity(3), (None, 5, 8)), "`heads` = 3.*8"),
    "position_encoding text": (lambda: AttentionConnectivity(2, "gta"), "`position_encoding`.*'gta'"),
    "attention without space": (lambda: build(AttentionConnectivity(2), (None, 8)), "spatial.*8"),
    "attention with unknown size": (lambda: build(AttentionConnectivity(2), (None, None, 8)), "None, None, 8"),
    "odd heads rotated": (lambda: build(AttentionConnectivity(2, GTA()), (None, 5, 6)), "GTA.*even.*3"),
    "angles of another grid": (
        lambda: build(AttentionConnectivity(2, RotaryEncoding(np.ones((4, 2)))), (None, 5, 8)),
        r"`angles`.*\(5, 2\).*\(4, 2\)",
    ),
    "units 0": (lambda: OscillatorReadout(0, 4), "`units`.*0"),
    "readout oscillator_dim": (lambda: OscillatorReadout(3, 1), "`oscillator_dim`.*1"),
    "conv readout without space": (lambda: build(OscillatorReadout(3, 4, 3), (None, 8)), "`kernel_size`.*8"),
    "noise of another batch": (
        lambda: InitialOscillators(4)(ops.ones((2, 3, 8)), noise=ops.ones((3, 3, 8))),
        r"`noise`.*\(2, 3, 8\).*\(3, 3, 8\)",
    ),
    "noise of another shape": (
        lambda: InitialOscillators(4)(np.ones((2, 3, 8)), np.ones((2, 3), bool), np.ones((2, 3, 4))),
        r"`noise`.*\(2, 3, 8\).*\(2, 3, 4\)",
    ),
    "repeat no layer": (lambda: Repeat("dense", 2), "`layer`.*'dense'"),
    "repeat num_steps": (lambda: Repeat(keras.layers.Dense(2), -1), "`num_steps`.*-1"),
    "network of no coupling": (lambda: FeedForwardConnectivity("attention"), "`connectivity`.*'attention'"),
    "network of no width": (lambda: FeedForwardConnectivity(AttentionConnectivity(2), 0), "`expansion`.*0"),
    "block without attention": (lambda: TransformerBlock(None), "`attention`.*None"),
    "block norm": (lambda: TransformerBlock(AttentionConnectivity(2), normalization="ln"), "`normalization`.*'ln'"),
    "block steps": (lambda: TransformerBlock(AttentionConnectivity(2), num_steps=-1), "`num_steps`.*-1"),
    "residual shortcut": (lambda: Residual(keras.layers.Dense(2), "dense"), "`shortcut`.*'dense'"),
    "noise layer": (lambda: InitialOscillators(4, noise_layer="sin"), "`noise_layer`.*'sin'"),
    "embedding of an unknown size": (lambda: build(PositionEmbedding(), (None, None, 4, 8)), "None, None, 4, 8"),
    "embedding of odd channels": (lambda: build(PositionEmbedding(), (None, 4, 7)), "even.*4, 7"),
    "block expansion": (lambda: TransformerBlock(AttentionConnectivity(2), expansion=0), "`expansion`.*0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name):
    function, message = BAD[name]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        function()
