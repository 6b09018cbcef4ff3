"""The Kuramoto layer."""

import math

import keras
from keras import ops

from keras_kuramoto._backend.concrete import unless
from keras_kuramoto._backend.loop import bounded_loop, static_int
from keras_kuramoto._backend.precise import largest
from keras_kuramoto._checks import check_whole
from keras_kuramoto.energies import sum_over_positions, voting_energy_density
from keras_kuramoto.layers.layer import StateLayer, exactly
from keras_kuramoto.layers.until_rest import UntilRest
from keras_kuramoto.ops import sphere
from keras_kuramoto.platforms import platform


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class KuramotoLayer(StateLayer):
    """Oscillators on the sphere that turn, follow stimuli and pull at each other: Eq. 2, 4 and 5 of the AKOrN paper.

    One step, for the unit vectors xᵢ with stimuli cᵢ, natural frequencies Ωᵢ and a coupling J, is

        Δxᵢ = Ωᵢ xᵢ + Proj_xᵢ(cᵢ + Σⱼ Jᵢⱼ xⱼ),    xᵢ ← (xᵢ + γ Δxᵢ) / ‖xᵢ + γ Δxᵢ‖.

    The state, the norms and the energies are float32 under a mixed precision policy, whatever the connectivity
    computes in. The initial oscillators are normalised first.

    Args:
        connectivity: The coupling J: any Keras layer that maps `(batch, *spatial, channels)` to the same shape, such
            as `AttentionConnectivity`, `ConvConnectivity` or `DenseConnectivity`. It is called once in each step, in a
            loop, and must have no state that a call changes (no dropout, no batch statistics).
        oscillator_dim: N ≥ 2, odd or even: the number of components of an oscillator.
        natural_frequency: Layer that maps x to Ω x, such as `NaturalFrequency(oscillator_dim)`, or `None`.
        num_steps: T, the number of steps where a call does not say.
        step_size: γ > 0, the length of a step in units of time (its start, if it is trained).
        train_step_size: Whether γ is trained.
        stimuli_normalization: Layer applied to the stimuli once, before the steps, such as
            `keras.layers.GroupNormalization`, or `None`.
        project: `False` leaves out the projection on the tangent space (the paper's Table 5).
        normalize: `False` leaves out the division by the norm (with `project=False`, the paper's Table 6), so that the
            state is not on the sphere.
        energy_density: Function of `(x, stimuli, coupling)` that gives `(batch, *spatial)`, whose sum is the energy:
            `voting_energy_density` or `lyapunov_energy_density` of `keras_kuramoto.energies`, or a registered one of
            your own.
        remat: Recompute each step in the backward pass: the memory no longer holds what happens inside the steps.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: Oscillators, `(batch, *spatial, oscillators * N)`.
        c: Conditional stimuli, same shape.
        num_steps: Another number of steps: a Python integer, a scalar integer tensor, or one integer for each example,
            `(batch,)`; an example stops changing after its own number. Or an `UntilRest`, by which it stops where
            nothing moves.
        return_energy: Whether to return the energies too.
        max_steps: Python integer, the most that a number of steps given as a tensor can be; larger ones count as this.
            Needed only for gradients through a tensor `num_steps` on JAX and under XLA on TensorFlow, and for energies
            with one under `jit`.

    Returns:
        The oscillators after the last step, same shape as `x`. With `return_energy=True` a pair with the energies
        `(batch, steps)`: column t is the energy of the state from which step t + 1 starts. Where an example has fewer
        steps than the batch, its state and thus its energy stay as they were; columns beyond a scalar tensor
        `num_steps`, which exist only if `max_steps` is given, are zero. With an `UntilRest`, the numbers of steps that
        were taken, `(batch,)` int32, come last in a tuple.

    Raises:
        ValueError: If an argument is of the wrong kind, if N does not divide the number of channels, if `x` and `c`
            differ in shape, or if the connectivity changes the shape.

    Example:

    >>> from keras_kuramoto.layers import AttentionConnectivity
    >>> layer = KuramotoLayer(AttentionConnectivity(heads=2), oscillator_dim=4, num_steps=8)
    >>> x = keras.random.normal((2, 10, 16))
    >>> layer(x, c=ops.ones((2, 10, 16))).shape
    (2, 10, 16)
    >>> x, energies = layer(x, c=ops.ones((2, 10, 16)), num_steps=3, return_energy=True)
    >>> energies.shape
    (2, 3)

    Reference: Miyato et al., Artificial Kuramoto Oscillatory Neurons, ICLR 2025, Eq. 2, 4, 5. The authors' code without
    natural frequencies adds x in place of Ωx, which is this layer with a step of γ / (1 + γ).
    """

    def __init__(
        self,
        connectivity,
        oscillator_dim,
        natural_frequency=None,
        num_steps=8,
        step_size=1.0,
        train_step_size=False,
        stimuli_normalization=None,
        project=True,
        normalize=True,
        energy_density=voting_energy_density,
        remat=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, layer, optional in (
            ("connectivity", connectivity, False),
            ("natural_frequency", natural_frequency, True),
            ("stimuli_normalization", stimuli_normalization, True),
        ):
            if not isinstance(layer, keras.layers.Layer) and not (optional and layer is None):
                raise ValueError(
                    f"`{name}` must be a Keras layer{' or `None`' if optional else ''}. Received {layer!r}."
                )
        if not callable(energy_density):
            raise ValueError(
                f"`energy_density` must be a function of (x, stimuli, coupling). Received {energy_density!r}."
            )
        if not isinstance(step_size, (int, float)) or isinstance(step_size, bool) or not step_size > 0:
            raise ValueError(f"`step_size` must be a positive number. Received {step_size!r}.")
        self.connectivity = connectivity
        self.oscillator_dim = sphere.check_oscillator_dim(oscillator_dim)
        self.natural_frequency = natural_frequency
        self.num_steps = check_whole("num_steps", num_steps, 0)
        self.step_size = float(step_size)
        self.train_step_size = train_step_size
        self.stimuli_normalization = stimuli_normalization
        self.project = project
        self.normalize = normalize
        self.energy_density = energy_density
        self.remat = remat

    def build(self, x_shape, c_shape):
        x_shape, c_shape = tuple(x_shape), tuple(c_shape)
        sphere.check_channels(x_shape[-1], self.oscillator_dim)
        if len(x_shape) != len(c_shape) or any(a != b and None not in (a, b) for a, b in zip(x_shape, c_shape)):
            raise ValueError(
                f"The oscillators `x` and the stimuli `c` must have the same shape. Received {x_shape} and {c_shape}."
            )
        for layer in (self.connectivity, self.natural_frequency, self.stimuli_normalization):
            if layer is not None and not layer.built:
                layer.build(x_shape)
        shape = tuple(self.connectivity.compute_output_shape(x_shape))
        if len(shape) != len(x_shape) or any(a != b and None not in (a, b) for a, b in zip(shape, x_shape)):
            raise ValueError(f"`connectivity` must keep the shape of the oscillators. It maps {x_shape} to {shape}.")
        self.gamma = self.add_weight(
            name="step_size", shape=(), initializer=exactly(self.step_size), trainable=self.train_step_size
        )

    def coupling(self, x):
        """J x: what the connectivity makes of the oscillators, in the state's dtype."""
        return ops.cast(self.connectivity(x), self.variable_dtype)

    def energy(self, x, c):
        """The energy of a state.

        Args:
            x: Oscillators, `(batch, *spatial, channels)`; normalised first, if the layer does so in its steps.
            c: Conditional stimuli, same shape, not yet normalised.

        Returns:
            `(batch,)`.
        """
        return self._with_inputs(x, c, lambda x, c: sum_over_positions(self.energy_density(x, c, self.coupling(x))))

    def trajectory(self, x, c, num_steps=None):
        """All states on the way, for plots and animations.

        Args:
            x: Oscillators, as for a call.
            c: Conditional stimuli.
            num_steps: Python integer.

        Returns:
            `(batch, steps + 1, *spatial, channels)`, from the (normalised) initial oscillators to the last ones.
        """

        def run(x, c):
            def step(state, index):
                state = self._step(state, c, self.coupling(state))
                return state, state

            steps = self.num_steps if num_steps is None else num_steps
            _, states = bounded_loop(step, x, steps, output_like=x)
            return ops.moveaxis(ops.concatenate([x[None], states]), 0, 1)

        return self._with_inputs(x, c, run)

    def _with_inputs(self, x, c, function):
        if not self.built:
            self.build(x.shape, c.shape)
        return function(*self._prepare(x, c))

    def _prepare(self, x, c):
        if self.stimuli_normalization is not None:
            c = self.stimuli_normalization(c)
        x, c = ops.cast(x, self.variable_dtype), ops.cast(c, self.variable_dtype)
        if self.normalize:
            x = self._on_sphere(x)
        return x, c

    def _layouts(self, x):
        """Functions that bring tensors like `x` to the shape in which steps keep them, and back."""
        grid = tuple(x.shape[1:])
        if not getattr(self.connectivity, "on_tokens", False) or None in grid:
            return (lambda x: x), (lambda x: x)
        # A TPU would lay each state out twice, in tiles that rows of a grid do not fill.
        tokens = (math.prod(grid[:-1]), grid[-1])
        return (lambda x: ops.reshape(x, (-1, *tokens))), (lambda x: ops.reshape(x, (-1, *grid)))

    def _on_sphere(self, x):
        return platform().normalize(x, self.oscillator_dim)

    def _step(self, x, c, coupling):
        def step(x, c, coupling, gamma):
            change = c + ops.cast(coupling, x.dtype)
            if self.project:
                change = platform().project(x, change, self.oscillator_dim)
            if frequency is not None:
                change = change + ops.cast(frequency(x), x.dtype)
            x = x + gamma * change
            return self._on_sphere(x) if self.normalize else x

        frequency = self.natural_frequency
        weights = [] if frequency is None else frequency.weights
        return platform().keep_arguments(step, x, c, coupling, ops.convert_to_tensor(self.gamma), weights=weights)

    def call(self, x, c, num_steps=None, return_energy=False, max_steps=None):
        if max_steps is not None:
            check_whole("max_steps", max_steps, 0)
        rule = num_steps if isinstance(num_steps, UntilRest) else None
        if rule is not None:
            num_steps = rule.num_steps
        if num_steps is None:
            num_steps = self.num_steps
        per_example = None
        if isinstance(num_steps, int):
            check_whole("num_steps", num_steps, 0)
        else:
            given, num_steps = num_steps, ops.convert_to_tensor(num_steps)
            if not keras.backend.is_int_dtype(num_steps.dtype):
                raise ValueError(f"`num_steps` must be an integer or a tensor of integers. Received {given!r}.")
            num_steps = ops.cast(num_steps, "int32")
            shape, batch = tuple(num_steps.shape), x.shape[0]
            if len(shape) > 1 or (len(shape) == 1 and None not in (shape[0], batch) and shape[0] != batch):
                raise ValueError(
                    "`num_steps` must be an integer, a scalar tensor or a tensor with one integer for each example, "
                    f"`(batch,)` = ({batch},). Received the shape {shape}."
                )
            if len(shape) == 1:
                per_example, num_steps = num_steps, ops.max(num_steps, initial=0)
        x, c = self._prepare(x, c)
        kept, laid_out = self._layouts(x)
        x, c = kept(x), kept(c)
        if per_example is not None:
            per_example = ops.reshape(per_example, (-1,) + (1,) * (len(x.shape) - 1))

        def energy_density(*tensors):
            return self.energy_density(*[laid_out(ops.cast(tensor, self.variable_dtype)) for tensor in tensors])

        def step(x, index, c):
            # As short as the connectivity's dtype, and one tensor for both functions to keep.
            coupling = kept(self.connectivity(laid_out(x)))
            density = platform().keep_arguments(energy_density, x, c, coupling) if return_energy else None
            new = self._step(x, c, coupling)
            if per_example is not None:
                new = ops.where(index < per_example, new, x)
            return new, density

        def step_until_rest(carried, index, c):
            x, moving, taken, *_ = carried

            def move():
                new, density = step(x, index, c)
                # With a number of steps for each example, one that has taken its own has not moved.
                far = largest(ops.reshape(ops.abs(new - x), (ops.shape(x)[0], -1))) >= rule.tolerance
                goes = moving if per_example is None else moving & (index < ops.reshape(per_example, (-1,)))

                def of_those(which, value, other):
                    return ops.where(ops.reshape(which, (-1,) + (1,) * (len(value.shape) - 1)), value, other)

                new = of_those(goes, new, x)
                # At rest the energy stays too: that of the state from which the last step started.
                densities = (of_those(moving, density, carried[3]),) if return_energy else ()
                return new, goes & far, taken + ops.cast(goes, "int32"), *densities

            carried = unless(~ops.any(moving), move, carried)
            return carried, carried[3] if return_energy else None

        density_like = ops.zeros_like(laid_out(x)[..., 0]) if return_energy else None
        state = x
        if rule is not None:
            still = ops.zeros_like(ops.sum(x, axis=tuple(range(1, len(x.shape)))), dtype="int32")
            state = (x, ops.equal(still, 0), still, *((density_like,) if return_energy else ()))
        state, densities = bounded_loop(
            step if rule is None else step_until_rest,
            state,
            num_steps,
            output_like=density_like,
            max_steps=max_steps,
            remat=self.remat and rule is None,
            constants=(c,),
            weights=self.weights,
        )
        x, taken = (state, ()) if rule is None else (state[0], state[2:3])
        x = laid_out(x)
        if not return_energy:
            return (x, *taken) if taken else x
        # Summed here and not in the loop: XLA would make one long sum of it there, which loses more to rounding.
        return x, ops.transpose(ops.sum(densities, axis=tuple(range(2, len(densities.shape))))), *taken

    def compute_output_spec(self, x, c, num_steps=None, return_energy=False, max_steps=None):
        if len(x.shape) != len(c.shape):
            raise ValueError(
                f"The oscillators `x` and the stimuli `c` must have the same shape. Received {x.shape} and {c.shape}."
            )
        state, taken = keras.KerasTensor(x.shape, dtype=self.variable_dtype), ()
        if isinstance(num_steps, UntilRest):
            num_steps, taken = num_steps.num_steps, (keras.KerasTensor(x.shape[:1], dtype="int32"),)
        if not return_energy:
            return (state, *taken) if taken else state
        steps = self.num_steps if num_steps is None else static_int(num_steps)
        energies = (x.shape[0], max_steps if steps is None else steps)
        return state, keras.KerasTensor(energies, dtype=self.variable_dtype), *taken

    def compute_output_shape(self, x_shape, c_shape):
        return tuple(x_shape)
