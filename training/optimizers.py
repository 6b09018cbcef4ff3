"""The optimizers of the experiments, each with its schedule."""

import keras


def cosine_adam(options):
    """Adam whose learning rate rises from 0 in the warm-up, then falls along a cosine to the last update.

    Args:
        options: An `AdamOptions`.

    Returns:
        A `keras.optimizers.Adam`.

    Example:

    >>> cosine_adam(AdamOptions(learning_rate=2e-3)).name
    'adam'
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if options.warmup_steps else options.learning_rate,
        max(options.steps - options.warmup_steps, 1),
        alpha=options.final_learning_rate,
        warmup_target=options.learning_rate if options.warmup_steps else None,
        warmup_steps=options.warmup_steps,
    )
    optimizer = keras.optimizers.Adam(schedule, weight_decay=options.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer


# In the names of weights that are no matrices: biases, those of normalisations, γ and Ω of oscillators.
_NOT_DECAYED = ("bias", "beta", "gamma", "step_size", "upper")


def decaying_lion(options):
    """Lion whose learning rate decays exponentially from the first update on.

    Args:
        options: A `LionOptions`.

    Returns:
        A `keras.optimizers.Lion`.

    Example:

    >>> decaying_lion(LionOptions()).name
    'lion'
    """
    schedule = keras.optimizers.schedules.ExponentialDecay(
        options.learning_rate, options.decay_steps, options.decay_rate
    )
    return keras.optimizers.Lion(schedule)
