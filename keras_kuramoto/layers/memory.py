"""What all memories have in common: from an initial state to the state at t1, with the energy on the way."""

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto._checks import check_positive
from keras_kuramoto.solvers import AdaptiveSolver

ENERGY_TIMES = 17


class Memory(keras.layers.Layer):
    """Base class of the memories: layers that follow a differential equation from a state to the state at `t1`.

    A subclass implements `_vector_field`, `_energy` and `_energy_rate`, functions of a state that is checked and in
    the variables' dtype, and `_check_state` for what else must hold for a state. `_constants` are tensors that do not
    depend on the state, made once for a call and handed to `_vector_field` after the state. `_project`, where it is
    not `None`, maps the state back to where it belongs after each accepted step. The names in `_serialized` are the
    constructor's arguments that Keras serialises: objects, not numbers.

    The state is float32 under a mixed precision policy, and so are the energies.

    Args:
        t1: The time, > 0, up to which a call follows the equation from 0, if the call does not say.
        solver: How: an `AdaptiveSolver` or a `FixedStepSolver` of `keras_kuramoto.ops`; `AdaptiveSolver()` if `None`.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        state: A tensor, or a tuple of tensors, with the examples on the first axis.
        return_energy: Whether to return the energies too.
        t1: Another time to stop at: a number.

    Returns:
        The state at `t1`, in the structure of `state`. With `return_energy=True` a pair with the energies
        `(batch, 17)` at 17 times with equal distances, the first 0 and the last `t1`. The state and the energies of
        an example that did not reach `t1` in the solver's `max_steps` are NaN.

    Raises:
        ValueError: If `t1` is not positive, if `solver` has no `integrate`, or if a state that has its values now
            (outside of compiled functions) has a NaN in it.
    """

    _serialized = ("solver",)
    _project = None

    def __init__(self, t1=1.0, solver=None, **kwargs):
        # The state stays in the variables' dtype: the layers inside cast for themselves.
        super().__init__(autocast=False, **kwargs)
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
        state = self._prepare(state)
        return self._vector_field(state, *self._constants())

    def energy(self, state):
        """The energy of each example.

        Args:
            state: As for a call.

        Returns:
            `(batch,)`.
        """
        return self._energy(self._prepare(state))

    def energy_rate(self, state):
        """The time derivative of the energy along the vector field, by the paper's formula for it.

        Args:
            state: As for a call.

        Returns:
            `(batch,)`, nowhere positive where the paper promises that the energy falls.
        """
        return self._energy_rate(self._prepare(state))

    def trajectory(self, state, times):
        """The states at given times, for plots and animations.

        Args:
            state: As for a call.
            times: The times: a list or an array, increasing, none negative and the last positive.

        Returns:
            A `Solution` of `keras_kuramoto.ops`: its `states` have a second axis for the times, its `state` is the
            last of them, and it has the numbers of steps and whether the end was reached.

        Raises:
            ValueError: If the times are not as above.
        """
        times = np.asarray(times, "float64")
        if times.ndim != 1 or not times.size or times[0] < 0 or times[-1] <= 0 or np.any(np.diff(times) <= 0):
            raise ValueError(
                f"`times` must be increasing, with none negative and a positive last one. Received {times.tolist()}."
            )
        return self._integrate(self._prepare(state), float(times[-1]), times)

    def call(self, state, return_energy=False, t1=None):
        t1 = self.t1 if t1 is None else check_positive("t1", t1)
        state = self._prepare(state)
        if not return_energy:
            return self._integrate(state, t1).state
        solution = self._integrate(state, t1, np.linspace(0, t1, ENERGY_TIMES))
        # All times are examples of one batch for the energy.
        rows = keras.tree.map_structure(lambda x: ops.reshape(x, (-1, *x.shape[2:])), solution.states)
        return solution.state, ops.reshape(self._energy(rows), (-1, ENERGY_TIMES))

    def compute_output_spec(self, state, return_energy=False, t1=None):
        result = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, dtype=self.variable_dtype), state)
        if not return_energy:
            return result
        batch = keras.tree.flatten(state)[0].shape[0]
        return result, keras.KerasTensor((batch, ENERGY_TIMES), dtype=self.variable_dtype)

    def compute_output_shape(self, state_shape):
        return state_shape

    def get_config(self):
        config = super().get_config()
        config.update(t1=self.t1)
        for name in self._serialized:
            config[name] = keras.saving.serialize_keras_object(getattr(self, name))
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in cls._serialized:
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)

    def _constants(self):
        return ()

    def _vector_field(self, state, *constants):
        raise NotImplementedError(f"{type(self).__name__} has no `_vector_field`.")

    def _energy(self, state):
        raise NotImplementedError(f"{type(self).__name__} has no energy.")

    def _energy_rate(self, state):
        raise NotImplementedError(f"{type(self).__name__} has no energy.")

    def _check_state(self, state):
        """Raises a `ValueError` for a state of the wrong shape, or with values that it must not have."""

    def _prepare(self, state):
        """The state in the variables' dtype, checked; the layer is built for it where a public method comes first."""
        state = keras.tree.map_structure(lambda x: ops.cast(ops.convert_to_tensor(x), self.variable_dtype), state)
        if not self.built:
            self.build(keras.tree.map_structure(lambda x: tuple(x.shape), state))
        self._check_state(state)
        for part in keras.tree.flatten(state):
            if is_concrete(part) and bool(ops.any(ops.isnan(part))):
                raise ValueError("The state has NaN in it.")
        return state

    def _integrate(self, state, t1, times=None):
        return self.solver.integrate(
            lambda t, state, *constants: self._vector_field(state, *constants),
            state,
            t1=t1,
            times=times,
            project=self._project,
            constants=self._constants(),
        )


def check_connectivity(connectivity, shape):
    """Builds a connectivity, and raises a `ValueError` unless it maps `shape` to itself, symmetrically.

    The symmetry ⟨u, W v⟩ = ⟨v, W u⟩ is tried with random vectors, where the weights have their values now, unless the
    layer says that it is `symmetric_by_construction`.

    Args:
        connectivity: Layer that maps the last axis linearly.
        shape: Shape of its input, with `None` for the batch.
    """
    if getattr(connectivity, "use_bias", False):
        raise ValueError("`connectivity` must be linear: it must not have a bias of its own. Received `use_bias=True`.")
    if not connectivity.built:
        connectivity.build(shape)
    result = tuple(connectivity.compute_output_shape(shape))
    if result != tuple(shape):
        raise ValueError(f"`connectivity` must keep the shape of the state. It maps {tuple(shape)} to {result}.")
    if getattr(connectivity, "symmetric_by_construction", False):
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


def prepared(connectivity):
    """What a connectivity makes of its weights alone, for `connectivity(x, *prepared(connectivity))` in a loop.

    Empty for one without a method `prepare`, which is then called with x alone.
    """
    return tuple(connectivity.prepare()) if hasattr(connectivity, "prepare") else ()
