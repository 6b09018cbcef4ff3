"""`python -m benchmarks.images`: AKOrN for images against what its convolutions or matrix products alone take.

Prints, for a training step and a forward pass of two models, images per second, the process's peak memory, and the
time that the model's couplings alone would take, as a share of all: the convolutions by themselves, compiled and run on
arrays of the model's sizes in the same run, or the matrix products at the rate that large ones reach. Each model runs
in a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys

import keras
import tensorflow as tf

from benchmarks.__main__ import best_of, gemm_rate
from keras_kuramoto.layers import ConvConnectivity
from keras_kuramoto.models import ImageClassifier, ObjectsModel

#: What runs: a model, and the batch size.
MODELS = {
    "cifar10_akorn": (lambda: ImageClassifier.from_preset("cifar10_akorn", load_weights=False), 32),
    "objects_clevrtex": (lambda: ObjectsModel.from_preset("objects_clevrtex", load_weights=False), 8),
}


def make_functions(model):
    """The compiled forward pass and training step, without optimizer."""
    variables = [v.value for v in model.trainable_variables]

    @tf.function(jit_compile=True)
    def forward(image, noise):
        return model.run(image, noise)

    @tf.function(jit_compile=True)
    def train(image, noise):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model.run(image, noise, training=True)))
        return [loss, *map(tf.convert_to_tensor, tape.gradient(loss, variables))]

    return forward, train


def convolution_time(layer, x):
    """Seconds of a convolutional coupling by itself, and of it and its gradients."""
    kernel = layer.kernel.value

    def convolve(x, kernel):
        return tf.nn.conv2d(x, kernel, 1, "SAME")

    @tf.function(jit_compile=True)
    def gradients(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = convolve(x, kernel)
        return tape.gradient(y, [x, kernel], output_gradients=y)

    forward = tf.function(convolve, jit_compile=True)
    return (
        best_of(lambda: forward(x, kernel)[0, 0, 0, 0].numpy(), 1.0),
        best_of(lambda: gradients(x, kernel)[1][0, 0, 0, 0].numpy(), 1.0),
    )


def coupling_time(model, size, batch):
    """Seconds that the couplings alone take in all steps of a forward pass, and of a training step."""
    rows, columns, channels = model.noise_shape(*size)
    total = [0.0, 0.0]
    for block in model.network.blocks:
        layer, steps = block.kuramoto.connectivity, block.kuramoto.num_steps
        if isinstance(layer, ConvConnectivity):
            times = convolution_time(layer, tf.random.normal((batch, rows, columns, channels)))
        else:
            tokens = rows * columns
            flops = batch * tokens * (8 * channels**2 + 4 * tokens * channels)
            forward = flops / gemm_rate()
            times = forward, 3 * forward
        total = [seconds + steps * time for seconds, time in zip(total, times)]
        if block.transition is not None:
            x, _ = block.compute_output_spec(*[keras.KerasTensor((batch, rows, columns, channels))] * 2)
            rows, columns, channels = x.shape[1:]
    return dict(zip(("forward", "training"), total))


def measure(name, rounds):
    """The figures of one model."""
    make, batch = MODELS[name]
    keras.utils.set_random_seed(0)
    model = make()
    image = tf.random.uniform((batch, *model.image_size, 3))
    noise = tf.random.normal((batch, *model.noise_shape()))
    forward, train = make_functions(model)
    functions = {
        "forward": lambda: tf.reshape(forward(image, noise), (-1,))[0].numpy(),
        "training": lambda: train(image, noise)[0].numpy(),
    }
    found = {what: {"seconds": [], "share": []} for what in functions}
    for _ in range(rounds):
        # The machine's speed drifts: each share is of what was measured side by side.
        alone = coupling_time(model, model.image_size, batch)
        for what, function in functions.items():
            seconds = best_of(function)
            found[what]["seconds"].append(seconds)
            found[what]["share"].append(alone[what] / seconds)
    result = {what: {key: statistics.median(values) for key, values in of.items()} for what, of in found.items()}
    # Kilobytes on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"batch_size": batch, "peak_gib": peak, **result}


def main():
    """Runs the benchmark and prints its table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=sorted(MODELS), help="of one model only, as JSON")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds of which the median counts (default: %(default)s)"
    )
    options = parser.parse_args()
    if options.model:
        print(json.dumps(measure(options.model, options.rounds)))
        return
    results = {}
    for name in MODELS:
        command = [sys.executable, "-m", "benchmarks.images", "--model", name, "--rounds", str(options.rounds)]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        results[name] = json.loads(output.splitlines()[-1])
    if options.json:
        print(json.dumps(results, indent=1))
        return
    for name, result in results.items():
        print(f"{name}, batch {result['batch_size']}, peak memory of the process {result['peak_gib']:.1f} GiB")
        for what in ("forward", "training"):
            seconds, share = result[what]["seconds"], result[what]["share"]
            print(
                f"{what:9s} {1e3 * seconds:7.0f} ms   {result['batch_size'] / seconds:6.1f} images/s   its couplings "
                f"alone {100 * share:.0f} %"
            )


if __name__ == "__main__":
    main()
