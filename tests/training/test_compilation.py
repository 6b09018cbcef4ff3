"""What is compiled for a TPU is what the loop runs; the answer is read right; what a TPU refuses is named."""

import doctest
import importlib
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny
import tiny_images

from training.__main__ import main
from training.compilation import tensorflow_step
from training.compilation.chips import Slice
from training.compilation.compiler import refusal
from training.compilation.hlo import Program
from training.compilation.presets import step_of
from training.compilation.report import bound
from training.compilation.stablehlo import largest
from training.experiment import Experiment
from training.options import AdamOptions
from training.strategies import make_strategy
from training.update import Update

ROOT = pathlib.Path(__file__).parents[2]


def run_python(*arguments, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", ["compilation.chips", "compilation.hlo", "compilation.traffic", "datasets.records"])
def test_examples_in_docstrings(name):
    failed, tried = doctest.testmod(importlib.import_module(f"training.{name}"))
    assert tried
    assert not failed


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["v5e", "v5e:2", "v5e:2x3x1", "v5e:3x2", "v5e:0x2", "v4:2x2", "v9:2x2", "2x2"])
def test_a_topology_that_there_is_not(text):
    with pytest.raises(ValueError, match=r"v9|v5e:|2x2x1"):
        Slice.parse(text)


def test_links_of_a_slice():
    # One ring on each axis; where an axis is closed, in both directions.
    assert [Slice.parse(f"v5e:{shape}").link_bandwidth for shape in ("1x1", "2x2", "8x16", "16x16")] == [
        0,
        2 * 50e9,
        3 * 50e9,
        4 * 50e9,
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "sudoku4_quik"], "sudoku4_quick"),
        (["--preset", "sudoku4_quick", "--set", "batch_sise=4"], "batch_size"),
        (["--preset", "sudoku4_quick", "--topology", "v5e:4x4"], "96, 112"),
        (["--preset", "sudoku4_quick", "--split", "3"], "divisor"),
        (["--preset", "cdam_recall", "--backend", "tensorflow"], "JAX"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys):
    assert main(["compile", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_data_that_is_only_described_is_neither_prepared_nor_read(tmp_path):
    step = step_of("hopfield_digits", ["batch_size=12"], str(tmp_path), 4)
    examples, shared = step.batch()
    assert examples == {"image": [[12, 8, 8], "float32"], "label": [[12], "int32"]}
    assert shared == {}
    assert not list(tmp_path.iterdir())


def test_editing_needs_a_memory_to_edit():
    with pytest.raises(ValueError, match="--hopfield"):
        step_of("swap_digits", [], None, 4).batch()


# --- what is compiled -------------------------------------------------------------------------------------------------


def tiny_experiment():
    """The Sudoku experiment, in segments: the second update goes on with some of the boards of the first."""
    arguments = {"channels": 16, "connectivity": {"heads": 2}, "num_steps": 2}
    options = tiny.options(min_steps=0, max_steps=0, segments=3, clip_norm=0.05, arguments=arguments)
    return tiny.TinyExperiment(options)


JAX_UPDATES = """
import sys, json
import numpy as np, jax
sys.path.insert(0, "tests/training")
from test_compilation import tiny_experiment
from training.compilation.jax_step import JaxUpdate
given = dict(np.load(sys.argv[1]))
update = JaxUpdate(tiny_experiment())
update.model.set_weights([given[f"weight_{index}"] for index in range(len(update.model.weights))])
state = {**update.state, "trained": [v.value for v in update.model.trainable_variables],
         "average": [v.value for v in update.model.weights]}
batch = {name: given[name] for name in ("puzzle", "solution", "noise", "segments")}
step = jax.jit(update)
for _ in range(2):
    state, metrics = step(state, batch, {})
np.savez(sys.argv[2], loss=metrics["loss"], gradient_norm=metrics["gradient_norm"], **state["carried"],
         **{f"average_{index}": value for index, value in enumerate(state["average"])},
         **{f"trained_{index}": value for index, value in enumerate(state["trained"])})
"""


def test_an_update_on_jax_is_that_of_the_loop(tmp_path):
    experiment = tiny_experiment()
    update = Update(experiment, make_strategy("cpu"))
    examples = next(iter(experiment.batches(0)))[0]
    weights = {f"weight_{index}": value for index, value in enumerate(update.model.get_weights())}
    np.savez(tmp_path / "given.npz", **weights, **{name: value.numpy() for name, value in examples.items()})
    run_python("-c", JAX_UPDATES, str(tmp_path / "given.npz"), str(tmp_path / "found.npz"), KERAS_BACKEND="jax")
    function = tf.function(update)
    for _ in range(2):
        metrics = function((examples, {}))
    metrics = dict(zip(update.metrics, metrics.numpy()))
    found = np.load(tmp_path / "found.npz")
    update.carried.collect()
    assert set(update.carried.collected["segments"]) == {0, 1}
    for name, value in update.carried.collected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4)
    # Clipping and averaging make a difference here.
    assert metrics["gradient_norm"] > experiment.options.clip_norm
    np.testing.assert_allclose(found["loss"], metrics["loss"], rtol=1e-5)
    np.testing.assert_allclose(found["gradient_norm"], metrics["gradient_norm"], rtol=1e-4)
    for index, variable in enumerate(update.model.trainable_variables):
        # Adam's first steps are of full size, whatever the gradient is.
        np.testing.assert_allclose(found[f"trained_{index}"], variable.numpy(), atol=1e-4)
    for index, value in enumerate(update.average.get_weights()):
        np.testing.assert_allclose(found[f"average_{index}"], value, atol=1e-4)


def test_chips_sum_their_gradients_and_metrics():
    text = tensorflow_step.lower(tiny_experiment(), 4)
    assert "dense<[[0, 1, 2, 3]]>" in text
    # A share of the batch, not all of it.
    assert "tensor<2x4x4x16xf32>" in text
    assert "tensor<8x4x4x16xf32>" not in text


def test_a_loss_of_the_whole_batch_compiles_for_chips_that_share_it():
    text = tensorflow_step.lower(tiny_images.ContrastiveExperiment(), 2)
    assert "stablehlo.replica_id" in text
    # The projections of all views are there.
    assert "tensor<16x16xf32>" in text


class RefusedExperiment(Experiment):
    """A line, with an operation in the model that a test brings."""

    options = AdamOptions(batch_size=4)

    def __init__(self, operation):
        self.operation = operation

    def build_model(self):
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="slope")], name="line")

    def examples(self):
        return {"x": np.ones((8, 3), "float32")}

    def outputs(self, model, examples, shared, training):
        with tf.name_scope("readout"):
            return self.operation(model(examples["x"]))

    def loss(self, outputs, examples, shared):
        return tf.reduce_mean(outputs), {}


@pytest.mark.parametrize(
    ("operation", "named"),
    [
        (lambda y: y + tf.numpy_function(lambda a: a, [y], tf.float32), "PyFunc"),
        (lambda y: tf.strings.to_number(tf.strings.as_string(y)), "AsString"),
        (lambda y: tf.boolean_mask(y, y[:, 0] > 0), "depends on the data"),
    ],
)
def test_what_a_tpu_refuses_is_named_with_its_place(operation, named):
    with pytest.raises(ValueError, match=named) as caught:
        tensorflow_step.lower(RefusedExperiment(operation), 2)
    assert "readout" in str(caught.value)
    assert "\n" not in str(caught.value)


class StringExperiment(RefusedExperiment):
    def examples(self):
        return {"x": np.ones((8, 3), "float32"), "name": np.array(["a"] * 8)}


class RaggedExperiment(RefusedExperiment):
    def batch(self, examples, seed):
        return {"x": tf.boolean_mask(examples["x"], examples["x"][0] > 0, axis=1)}, {}


@pytest.mark.parametrize(("experiment", "named"), [(StringExperiment, "'name'"), (RaggedExperiment, "'x'.*None")])
def test_batches_that_no_tpu_takes(experiment, named):
    with pytest.raises(ValueError, match=named):
        tensorflow_step.lower(experiment(tf.identity), 2)


def test_what_does_not_fit_is_named_by_its_largest_array():
    text = """#loc1 = loc("model/layer/mul")
    module {
    func.func public @main(%arg0: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %0 = stablehlo.multiply %arg0, %arg0 : tensor<4x8xf32> loc(#loc1)
      %1 = stablehlo.add %0, %0 : tensor<2x8xf32> loc("model/other")
    }}"""
    assert largest(text) == (128, "'stablehlo.multiply'", "model/layer/mul")
    message = (
        "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries (61.04G) exceeds"
    )
    line = refusal(message + " available HBM (15.75G).", text)
    assert "61.04GiB of 15.75GiB" in line
    assert "model/layer/mul" in line


# --- what came out ----------------------------------------------------------------------------------------------------

LOOPS = """HloModule loops

%inner_body (p: (s32[], f32[8,128])) -> (s32[], f32[8,128]) {
  %p = (s32[], f32[8,128]{1,0:T(8,128)}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %x = f32[8,128]{1,0:T(8,128)} get-tuple-element(%p), index=1
  %one = s32[] constant(1)
  %next = s32[] add(%i, %one)
  %y = f32[8,128]{1,0:T(8,128)} multiply(%x, %x)
  %sum = f32[8,128]{1,0:T(8,128)} all-reduce(%y), replica_groups={{0,1,2,3}}, to_apply=%plus
  ROOT %t = (s32[], f32[8,128]{1,0:T(8,128)}) tuple(%next, %sum)
}

%inner_condition (q: (s32[], f32[8,128])) -> pred[] {
  %q = (s32[], f32[8,128]{1,0:T(8,128)}) parameter(0)
  %j = s32[] get-tuple-element(%q), index=0
  %n = s32[] constant(NUMBER)
  ROOT %less = pred[] compare(%j, %n), direction=LT
}

%plus (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %c = f32[] add(%a, %b)
}

ENTRY %main (x: f32[8,128]) -> f32[8,128] {
  %x.1 = f32[8,128]{1,0:T(8,128)} parameter(0)
  %start = s32[] constant(0)
  %state = (s32[], f32[8,128]{1,0:T(8,128)}) tuple(%start, %x.1)
  %while.1 = (s32[], f32[8,128]{1,0:T(8,128)}) while(%state), condition=%inner_condition, body=%inner_body, METADATA
  ROOT %r = f32[8,128]{1,0:T(8,128)} get-tuple-element(%while.1), index=1
}
""".replace("METADATA", 'metadata={op_name="model/kuramoto/while"}')


def test_loops_count_as_often_as_they_run():
    once, program = Program(LOOPS.replace("NUMBER", "1")), Program(LOOPS.replace("NUMBER", "5"))
    (loop,) = program.loops
    assert (loop.place, loop.runs, loop.exact) == ("model/kuramoto", 5, True)
    assert program.bytes(repeat=True) == 5 * program.bytes(repeat=False) == 5 * once.bytes(repeat=True)
    size = 4 * 8 * 128
    assert program.collectives(4) == {"all-reduce": {"count": 5, "bytes": 5 * size, "sent": 5 * size * 1.5}}
    assert program.operations(lambda text: text.count(" multiply(")) == 5


def test_a_loop_that_may_end_earlier_counts_at_the_most():
    text = LOOPS.replace(
        "  ROOT %less = pred[] compare(%j, %n), direction=LT",
        "  %less = pred[] compare(%j, %n), direction=LT\n  %k = s32[] get-tuple-element(%q), index=0\n"
        "  %odd = pred[] compare(%k, %n), direction=NE\n  ROOT %both = pred[] and(%less, %odd)",
    )
    (loop,) = Program(text.replace("NUMBER", "5")).loops
    assert (loop.runs, loop.exact) == (5, False)


def test_the_longest_time_bounds_a_step():
    topology = Slice.parse("v5e:2x2")
    program = {
        "step": {"operations": 197e9, "bytes_moved": 8.19e9},
        "collectives": {"all-reduce": {"count": 1, "bytes": 1e9, "sent": 1e9}},
    }
    found = bound(program, topology)
    assert found["bound"] == "memory"
    assert found["seconds"] == pytest.approx({"compute": 1e-3, "memory": 1e-2, "links": 1e-2})
    assert found["share"]["compute"] == pytest.approx(0.1)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """What the command prints for a small experiment, and the directory of its data."""
    pytest.importorskip("libtpu", reason="Google's compiler for TPUs has builds for Linux on x86-64 alone")
    directory = tmp_path_factory.mktemp("data")
    arguments = ["-m", "training", "compile", "--preset", "hopfield_digits", "--topology", "v5e:2x2", "--json"]
    printed = run_python(*arguments, "--data-dir", str(directory))
    assert not list(directory.iterdir())
    return json.loads(printed)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_an_experiment_compiles_for_four_chips(compiled, backend):
    program = compiled[backend]
    assert (compiled["chips"], program["batch_of_a_chip"]) == (4, 25)
    # Weights and biases of 64 pixels, 30 hidden units and 10 classes, in float32.
    units = 64 + 30 + 10
    exchanged = program["collectives"]["all-reduce"]
    assert exchanged["bytes"] >= 4 * (units * units + units)
    assert exchanged["sent"] == pytest.approx(1.5 * exchanged["bytes"])
    assert 0 < program["operations"] < program["step"]["operations"]
    assert 0 < program["bytes_moved"] < program["step"]["bytes_moved"]
    assert 0 < program["memory"]["whole"] < compiled["chip"]["memory"]
    # The solver's steps, as many as the data asks for.
    assert any(loop["runs"] == 4096 and not loop["exact"] for loop in program["loops"])
    assert program["bound"]["bound"] == "memory"


def test_gradients_are_summed_once(compiled):
    # The loop takes their mean, the optimizer sums them again: the compiler sees that they are alike by then.
    assert compiled["tensorflow"]["collectives"]["all-reduce"]["count"] == 1


COMPILES = """
import os
from training.compilation.chips import Slice
topology = Slice.parse("v5e:2x2")
os.environ.update(topology.environment())
from training.compilation.compiler import Compiler
compiler = Compiler(topology)
text = '''module {
  func.func public @main(%arg0: tensor<SIZExf32>) -> tensor<SIZExf32> {
    %0 = stablehlo.sort_or_dot
    return %0 : tensor<SIZExf32>
  }
}'''.replace("stablehlo.sort_or_dot", 'stablehlo.dot %arg0, %arg0 : (tensor<SIZExf32>, tensor<SIZExf32>) -> '
             'tensor<SIZExf32> loc("model/readout/dot")')
found = compiler.stablehlo(text.replace("SIZE", "256x256"))
print(found["operations"], found["collectives"])
try:
    compiler.stablehlo(text.replace("SIZE", "100000x100000"))
except ValueError as error:
    print(error)
"""


def test_a_program_that_is_too_large_for_the_chip():
    pytest.importorskip("libtpu", reason="Google's compiler for TPUs has builds for Linux on x86-64 alone")
    first, second = run_python("-c", COMPILES).strip().splitlines()
    assert first == f"{2.0 * 256**3} {{}}"
    assert "does not fit" in second
    assert "model/readout/dot" in second
    assert "stablehlo.dot" in second
