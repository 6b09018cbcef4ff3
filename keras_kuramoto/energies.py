"""Energies of oscillators under conditional stimuli and coupling.

Each energy is the sum over the positions of a density, which a plot can show, and which a `KuramotoLayer` is given.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_kuramoto")
def lyapunov_energy_density(x, stimuli, coupling):
    """What each position adds to `lyapunov_energy`: -Σ ⟨xᵢ, ½ (J x)ᵢ + cᵢ⟩ over the oscillators i of the position.

    Args:
        x: Oscillators, `(batch, *spatial, channels)`.
        stimuli: Conditional stimuli c, same shape.
        coupling: J x, same shape: what the connectivity makes of `x`.

    Returns:
        `(batch, *spatial)`.

    Example:

    >>> x = ops.ones((2, 9, 9, 8))
    >>> lyapunov_energy_density(x, x, x).shape
    (2, 9, 9)
    """
    return -ops.sum(x * (0.5 * coupling + stimuli), axis=-1)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
def voting_energy_density(x, stimuli, coupling):
    """What each position adds to `voting_energy`: -Σ ⟨xᵢ, (J x)ᵢ + cᵢ⟩ over the oscillators i of the position.

    Args:
        x: Oscillators, `(batch, *spatial, channels)`.
        stimuli: Conditional stimuli c, same shape.
        coupling: J x, same shape.

    Returns:
        `(batch, *spatial)`.

    Example:

    >>> x = ops.ones((2, 9, 9, 8))
    >>> voting_energy_density(x, x, x).shape
    (2, 9, 9)
    """
    return -ops.sum(x * (coupling + stimuli), axis=-1)


def sum_over_positions(density):
    """Sums `(batch, *spatial)` to `(batch,)`: from a density to the energy.

    Example:

    >>> sum_over_positions(ops.ones((2, 9, 9))).shape
    (2,)
    """
    return ops.sum(density, axis=tuple(range(1, len(density.shape))))


def lyapunov_energy(x, stimuli, coupling):
    """Eq. 3 of the AKOrN paper: E = -½ Σᵢⱼ xᵢᵀ Jᵢⱼ xⱼ - Σᵢ cᵢᵀ xᵢ.

    It never rises along Eq. 2 if J is symmetric, and either there are no natural frequencies, or all oscillators share
    one Ω with Ω cᵢ = 0 and every Jᵢⱼ is a multiple of the identity (Appendix F).

    Args:
        x: Oscillators, `(batch, *spatial, channels)`.
        stimuli: Conditional stimuli c, same shape.
        coupling: J x, same shape: what the connectivity makes of `x`.

    Returns:
        Energies, `(batch,)`.

    Example:

    >>> x = ops.array([[1.0, 0.0]])
    >>> float(lyapunov_energy(x, stimuli=x, coupling=x)[0])
    -1.5

    Reference: Miyato et al., Artificial Kuramoto Oscillatory Neurons, ICLR 2025, Eq. 3.
    """
    return sum_over_positions(lyapunov_energy_density(x, stimuli, coupling))


def voting_energy(x, stimuli, coupling):
    """The energy that the AKOrN authors' code reports and votes by: E = -Σᵢ ⟨xᵢ, cᵢ + Σⱼ Jᵢⱼ xⱼ⟩.

    Eq. 3 without the ½ on the coupling term. With a coupling that depends on `x`, as attention does, neither is a
    Lyapunov function; this one is minus the agreement of the oscillators with the force on them.

    Args:
        x: Oscillators, `(batch, *spatial, channels)`.
        stimuli: Conditional stimuli c, same shape.
        coupling: J x, same shape.

    Returns:
        Energies, `(batch,)`.

    Example:

    >>> x = ops.array([[1.0, 0.0]])
    >>> float(voting_energy(x, stimuli=x, coupling=x)[0])
    -2.0
    """
    return sum_over_positions(voting_energy_density(x, stimuli, coupling))
