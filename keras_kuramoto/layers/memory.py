"""What all memories have in common: from an initial state to the state at t1, with the energy on the way."""

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto._checks import check_positive
from keras_kuramoto.layers.connectivity import Connectivity
from keras_kuramoto.layers.layer import StateLayer
from keras_kuramoto.solvers import AdaptiveSolver

ENERGY_TIMES = 17


class Memory(StateLayer):
    """Base class of the memories: layers that follow a differential equation from a state to the state at `t1`.

    A subclass implements `compute_vector_field`, and where there is an energy `compute_energy` and
    `compute_energy_rate`: these are for a state that is checked, where `vector_field`, `energy` and `energy_rate` take
    any. It may say in `check_state` what must hold for a state, in `loop_constants` what can be made of the weights
    once for many evaluations, and by `project` where a state belongs. A memory that is made of others calls theirs.

    The state is float32 under a mixed precision policy, and so are the energies.

    Args:
        t1: The time, > 0, up to which a call follows the equation from 0, if the call does not say.
        solver: How: an `AdaptiveSolver` or a `FixedStepSolver` of `keras_kuramoto.solvers`; if `None`, the first with
            its defaults.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        state: A tensor, or a tuple of tensors, with the examples on the first axis.
        return_energy: Whether to return the energies too.
        t1: Another time to stop at: a number.

    Returns:
        The state at `t1`, in the structure of `state`. With `return_energy=True` a pair with the energies
        `(batch, 17)` at 17 times with equal distances, the first 0 and the last `t1`. The state and the energies of
        an example that did not reach `t1` in the solver's `max_steps` are NaN.

    Attributes:
        project: A function of the state that puts it back where it belongs, which the solver calls after each accepted
            step, or `None`.

    Raises:
        ValueError: If `t1` is not positive, if `solver` has no `integrate`, or if a state that has its values now
            (outside of compiled functions) has a NaN in it.

    Example:

    >>> class Leak(Memory):
    ...     def compute_vector_field(self, state):
    ...         return -state
    ...
    ...     def compute_energy(self, state):
    ...         return ops.sum(state * state, axis=-1) / 2
    >>> state, energies = Leak(t1=2.0)(ops.ones((3, 2)), return_energy=True)
    >>> round(float(state[0, 0]), 3), energies.shape
    (0.135, (3, 17))
    """

    project = None

    def __init__(self, t1=1.0, solver=None, **kwargs):
        super().__init__(**kwargs)
        solver = AdaptiveSolver() if solver is None else solver
        if not callable(getattr(solver, "integrate", None)):
            raise ValueError(
                f"`solver` must be an `AdaptiveSolver`, a `FixedStepSolver` or `None`. Received {solver!r}."
            )
        self.t1 = check_positive("t1", t1)
        self.solver = solver

    def vector_field(self, state):
        """The right-hand side of the differential equation.

        Args:
            state: As for a call.

        Returns:
            The time derivative, in the structure of `state`.
        """
        return self.compute_vector_field(self.checked_state(state), *self.loop_constants())

    def energy(self, state):
        """The energy of each example.

        Args:
            state: As for a call.

        Returns:
            `(batch,)`.
        """
        return self.compute_energy(self.checked_state(state))

    def energy_rate(self, state):
        """The time derivative of the energy along the vector field, by the paper's formula for it.

        Args:
            state: As for a call.

        Returns:
            `(batch,)`, nowhere positive where the paper promises that the energy falls.
        """
        return self.compute_energy_rate(self.checked_state(state))

    def trajectory(self, state, times):
        """The states at given times, for plots and animations.

        Args:
            state: As for a call.
            times: The times: a list or an array, increasing, none negative and the last positive.

        Returns:
            A `Solution` of `keras_kuramoto.solvers`: its `states` have a second axis for the times, its `state` is the
            last of them, and it has the numbers of steps and whether the end was reached.

        Raises:
            ValueError: If the times are not as above.
        """
        times = np.asarray(times, "float64")
        if times.ndim != 1 or not times.size or times[0] < 0 or times[-1] <= 0 or np.any(np.diff(times) <= 0):
            raise ValueError(
                f"`times` must be increasing, with none negative and a positive last one. Received {times.tolist()}."
            )
        return self.integrate(self.checked_state(state), float(times[-1]), times)

    def call(self, state, return_energy=False, t1=None):
        t1 = self.t1 if t1 is None else check_positive("t1", t1)
        state = self.checked_state(state)
        if not return_energy:
            return self.integrate(state, t1).state
        solution = self.integrate(state, t1, np.linspace(0, t1, ENERGY_TIMES))
        # All times are examples of one batch for the energy.
        rows = keras.tree.map_structure(lambda x: ops.reshape(x, (-1, *x.shape[2:])), solution.states)
        return solution.state, ops.reshape(self.compute_energy(rows), (-1, ENERGY_TIMES))

    def compute_output_spec(self, state, return_energy=False, t1=None):
        result = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, dtype=self.variable_dtype), state)
        if not return_energy:
            return result
        batch = keras.tree.flatten(state)[0].shape[0]
        return result, keras.KerasTensor((batch, ENERGY_TIMES), dtype=self.variable_dtype)

    def compute_output_shape(self, state_shape):
        return state_shape

    def loop_constants(self):
        """Tensors that do not depend on the state, made once for many evaluations of the vector field.

        Returns:
            Tuple of tensors: the arguments of `compute_vector_field` after the state.
        """
        return ()

    def compute_vector_field(self, state, *constants):
        """The right-hand side of the differential equation.

        Args:
            state: A state as `checked_state` gives it.
            *constants: What `loop_constants` gives.

        Returns:
            The time derivative, in the structure of `state`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `compute_vector_field`.")

    def compute_energy(self, state):
        """The energy of each example.

        Args:
            state: A state as `checked_state` gives it.

        Returns:
            `(batch,)`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no energy.")

    def compute_energy_rate(self, state):
        """The time derivative of the energy along the vector field.

        Args:
            state: A state as `checked_state` gives it.

        Returns:
            `(batch,)`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no formula for its energy's rate.")

    def check_state(self, state):
        """Refuses a state of another shape than the memory was built for, or with values that it must not have.

        Args:
            state: Tensors in the variables' dtype.

        Raises:
            ValueError: If the state is none of this memory.
        """

    def checked_state(self, state):
        """The state in the variables' dtype, checked. Builds the memory for it where it is not built yet.

        Args:
            state: As for a call.

        Returns:
            Tensors in the structure of `state`.

        Raises:
            ValueError: If `check_state` refuses the state, or if it has a NaN in it, where its values are known now.
        """
        state = keras.tree.map_structure(lambda x: ops.cast(ops.convert_to_tensor(x), self.variable_dtype), state)
        if not self.built:
            self.build(keras.tree.map_structure(lambda x: tuple(x.shape), state))
        self.check_state(state)
        for part in keras.tree.flatten(state):
            if is_concrete(part) and bool(ops.any(ops.isnan(part))):
                raise ValueError("The state has NaN in it.")
        return state

    def integrate(self, state, t1, times=None):
        """Follows the equation from the time 0, by `solver`.

        Args:
            state: A state as `checked_state` gives it.
            t1: The time at the end, a number.
            times: Increasing numbers from 0 to `t1` at which to give the state too, or `None`.

        Returns:
            A `Solution` of `keras_kuramoto.solvers`.
        """
        return self.solver.integrate(
            lambda t, state, *constants: self.compute_vector_field(state, *constants),
            state,
            t1=t1,
            times=times,
            project=self.project,
            constants=self.loop_constants(),
        )


def check_connectivity(connectivity, shape):
    """Builds a connectivity, and raises a `ValueError` unless it maps `shape` to itself, symmetrically.

    The symmetry ⟨u, W v⟩ = ⟨v, W u⟩ is tried with random vectors, where the weights have their values now, unless the
    layer is a `Connectivity` that says that it is `symmetric`.

    Args:
        connectivity: Layer that maps the last axis linearly.
        shape: Shape of its input, with `None` for the batch.
    """
    # Keras' own layers have this too.
    if getattr(connectivity, "use_bias", False):
        raise ValueError("`connectivity` must be linear: it must not have a bias of its own. Received `use_bias=True`.")
    if not connectivity.built:
        connectivity.build(shape)
    result = tuple(connectivity.compute_output_shape(shape))
    if result != tuple(shape):
        raise ValueError(f"`connectivity` must keep the shape of the state. It maps {tuple(shape)} to {result}.")
    if isinstance(connectivity, Connectivity) and connectivity.symmetric:
        return
    u, v = np.random.default_rng(0).standard_normal((2, 16, *shape[1:]))
    images = connectivity(ops.convert_to_tensor(np.concatenate([v, u]), dtype=connectivity.compute_dtype))
    if not is_concrete(images):
        return
    wv, wu = np.split(ops.convert_to_numpy(ops.cast(images, "float32")), 2)
    axes = tuple(range(1, len(shape)))
    difference = np.sum(u * wv - v * wu, axis=axes)
    # For any other matrix the difference has about the size of the images. Rounding to bfloat16 is a hundredth of that.
    if not np.sum(difference**2) <= 0.01 * (np.sum(wv**2) + np.sum(wu**2)):
        raise ValueError(
            f"`connectivity` must be symmetric, ⟨u, W v⟩ = ⟨v, W u⟩, or the energy would not fall. {connectivity.name} "
            "is not, with the weights that it has now. See `SymmetricDenseConnectivity`."
        )
