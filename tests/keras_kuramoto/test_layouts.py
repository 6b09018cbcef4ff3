"""Weights over several devices: the results are those of one."""

import keras
import pytest
from backend_helpers import BACKEND, run_python

from keras_kuramoto.layouts import split_channels, split_patterns
from keras_kuramoto.models import SudokuModel

CHANNELS = """
import jax, keras, numpy as np
from keras.distribution import DeviceMesh, ModelParallel
from keras_kuramoto.layouts import split_channels
from keras_kuramoto.models import SudokuModel

def build():
    return SudokuModel.from_preset("sudoku4_quick", load_weights=False, num_steps=3)

rng = np.random.default_rng(0)
board = rng.integers(0, 5, (4, 4, 4)).astype("int32")
noise = rng.standard_normal((4, 4, 4, 64), dtype="float32")
whole = build()

def loss(model):
    def of(trained, other):
        inputs = {"board": board, "noise": noise}
        logits = model.stateless_call(trained, other, inputs)[0]
        return (logits**2).mean(), logits
    return jax.jit(jax.value_and_grad(of, has_aux=True))

def values(model):
    return [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]

(_, logits), grads = loss(whole)(*values(whole))
mesh = DeviceMesh((1, 4), ("batch", "model"))
with ModelParallel(layout_map=split_channels(whole, mesh), batch_dim_name="batch").scope():
    split = build()
    split.set_weights(whole.get_weights())
    (_, found), slopes = loss(split)(*values(split))
    text = loss(split).lower(*values(split)).compile().as_text()
shards = {v.path.split("/")[-2] + "/" + v.name: v.value.addressable_shards[0].data.shape for v in split.variables}
assert shards["stimuli/kernel"] == (64, 16), shards
assert shards["output/kernel"] == (16, 64), shards
assert shards["stimuli/bias"] == (64,), shards
assert "all-reduce" in text or "all-gather" in text
np.testing.assert_allclose(found, logits, atol=2e-5)
for one, other in zip(grads, slopes):
    np.testing.assert_allclose(one, other, atol=2e-5)
print("fine")
"""


@pytest.mark.skipif(BACKEND != "jax", reason="Keras distributes weights over devices on JAX")
def test_channels_split_over_devices():
    done = run_python("-c", CHANNELS, XLA_FLAGS="--xla_force_host_platform_device_count=4")
    assert "fine" in done.stdout, done.stderr


def mesh(devices):
    return keras.distribution.DeviceMesh((devices,), ("model",), [f"cpu:{index}" for index in range(devices)])


def test_layouts_are_found_whatever_keras_calls_the_layers():
    layout = split_channels(SudokuModel.from_preset("sudoku4_quick", load_weights=False), mesh(2))
    for path in ("attention_connectivity", "attention_connectivity_12"):
        assert layout[f"network/block_0/kuramoto/{path}/qkv_kernel"].axes == (None, "model")
        assert layout[f"network/block_0/kuramoto/{path}/output_kernel"].axes == ("model", None)
    assert layout["digits/embeddings"] is None
    assert split_patterns(mesh(2))["cdam_recall_3/patterns"].axes == ("model", None)


def test_channels_that_can_not_be_divided():
    with pytest.raises(ValueError, match="7 devices"):
        split_channels(SudokuModel.from_preset("sudoku4_quick", load_weights=False), mesh(7))
