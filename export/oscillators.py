"""The initial oscillators of served models: those of a seed and a sample are the same in any batch, on any device."""

import tensorflow as tf

from keras_kuramoto.layers import UntilRest

# Of initial oscillators, where one example has several: enough to fill the matrix products of small batches, and few
# enough that memory doesn't depend on how many samples are asked for.
_ROWS_AT_ONCE = 8


def initial_noise(seed, sample, shape):
    """Initial oscillators of one example, before they are normalised: the same for a seed and a sample everywhere.

    Args:
        seed: Scalar int32 tensor.
        sample: Scalar int32 tensor, the number of the sample.
        shape: Their shape, `(*spatial, channels)`.

    Returns:
        float32 tensor of that shape. Philox on all devices, so that a CPU and a GPU draw the same numbers.
    """
    return tf.random.stateless_normal(shape, tf.stack([seed, sample]), alg="philox")


def noise_for_each(seeds, samples, shape):
    """`initial_noise` of several examples.

    Args:
        seeds: `(batch,)` int32.
        samples: `(batch,)` int32.
        shape: Shape of the oscillators of one example.

    Returns:
        `(batch, *shape)` float32.
    """
    return tf.map_fn(
        lambda pair: initial_noise(pair[0], pair[1], shape),
        (seeds, samples),
        fn_output_signature=tf.TensorSpec(shape, tf.float32),
        parallel_iterations=1,
    )


def same_noise(examples, shape):
    """`initial_noise` of the seed 0 and the sample 0, the same for as many examples as there are."""
    # A constant of the graph: runtimes other than TensorFlow have no such generator.
    with tf.init_scope():
        noise = initial_noise(tf.constant(0), tf.constant(0), shape).numpy()
    return tf.broadcast_to(noise, tf.concat([tf.shape(examples)[:1], shape], 0))


def samples_at_once(batch, most):
    """How many samples of each example run in one go: for a batch of a size, and what is asked for at most."""
    return tf.maximum(1, tf.minimum(_ROWS_AT_ONCE // tf.maximum(batch, 1), most))


def run_until_rest(model, run, tolerance, examples, num_steps=None, **options):
    """Runs a model of oscillators, and stops each example where they rest.

    Args:
        model: The model.
        run: A method of it that takes examples, `num_steps` and options, such as `run`.
        tolerance: As for `UntilRest`; 0 for all the steps.
        examples: Their tensor.
        num_steps: `(batch,)` int32, the most steps of each block; by default the model's own numbers.
        **options: Further arguments of `run`, such as `noise`.

    Returns:
        Tuple of what `run` returns, and at its end the steps that were taken in all blocks, `(batch,)` int32.
    """
    if tolerance > 0:
        return run(examples, num_steps=UntilRest(tolerance, num_steps), **options)
    outputs = run(examples, num_steps=num_steps, **options)
    own, blocks = model.num_steps, len(model.network.blocks)
    if num_steps is None:
        taken = tf.fill(tf.shape(examples)[:1], sum(own) if isinstance(own, (list, tuple)) else own * blocks)
    else:
        taken = num_steps * blocks
    return *(outputs if isinstance(outputs, tuple) else (outputs,)), taken
