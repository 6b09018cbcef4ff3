"""An update of an experiment on JAX: one program for all chips, which divide the batch."""

import pathlib
import traceback

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from keras import ops
from keras.distribution import DeviceMesh

from keras_kuramoto.layouts import split_channels
from keras_kuramoto.platforms import WIDE_TILES, traced_for


class JaxUpdate:
    """What `training.update.Update` is, for JAX's compiler: a function of state and batch that returns new state.

    It sees the whole batch, as if there were one chip; the compiler divides the work, and puts the exchanges between
    chips where they are needed.

    Args:
        experiment: An `Experiment` whose `outputs` and `loss` run on JAX.

    Attributes:
        model: The model that is trained.
        state: Dictionary of lists of arrays: `trained` weights, `other` variables, `optimizer`, `average`; and
            `carried`, a dictionary of what the experiment carries from one update to the next.
    """

    def __init__(self, experiment):
        self.experiment, self.options = experiment, experiment.options
        keras.utils.set_random_seed(self.options.seed)
        self.model = experiment.build_model()
        self.optimizer = experiment.build_optimizer()
        self.optimizer.build(self.model.trainable_variables)
        self.state = {
            "trained": [v.value for v in self.model.trainable_variables],
            "other": [v.value for v in self.model.non_trainable_variables],
            "optimizer": [v.value for v in self.optimizer.variables],
            "average": [v.value for v in self.model.weights],
            "carried": {
                name: jnp.zeros(tuple(spec.shape), _dtype(spec.dtype)) for name, spec in experiment.carried().items()
            },
        }

    def __call__(self, state, examples, shared):
        """Makes an update.

        Args:
            state: As `self.state`.
            examples: The whole batch's examples, a dictionary of arrays.
            shared: What all examples share.

        Returns:
            `(state, metrics)`, the new state and a dictionary of scalars.
        """
        gradient = jax.value_and_grad(self._loss, has_aux=True)
        examples = self.experiment.take_up(examples, shared, state["carried"])
        (loss, (metrics, other, carried)), grads = gradient(state["trained"], state["other"], examples, shared)
        norm = ops.sqrt(sum(ops.sum(ops.square(grad)) for grad in grads))
        if self.options.clip_norm:
            grads = [grad * (self.options.clip_norm / ops.maximum(norm, self.options.clip_norm)) for grad in grads]
        trained, optimizer = self.optimizer.stateless_apply(state["optimizer"], grads, state["trained"])
        new = {"trained": list(trained), "other": other, "optimizer": list(optimizer)}
        new |= {"average": self._average(state, new), "carried": carried}
        return new, {"loss": loss, **metrics, "gradient_norm": norm}

    def _loss(self, trained, other, examples, shared):
        variables = self.model.trainable_variables, self.model.non_trainable_variables
        mapping = [*zip(variables[0], trained), *zip(variables[1], other)]
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            outputs = self.experiment.outputs(self.model, examples, shared, training=True)
            loss, metrics = self.experiment.loss(outputs, examples, shared)
            loss += sum(ops.cast(value, loss.dtype) for value in self.model.losses)
        new = [scope.get_current_value(variable) for variable in variables[1]]
        carried = self.experiment.carry(outputs, examples, shared)
        return loss, (metrics, [old if value is None else value for old, value in zip(other, new)], carried)

    def _average(self, state, new):
        done = ops.cast(
            new["optimizer"][self._position(self.optimizer.iterations, self.optimizer.variables)], "float32"
        )
        momentum = ops.minimum(self.options.average_momentum, (1.0 + done) / (10.0 + done))
        averages = []
        for average, weight in zip(state["average"], self.model.weights):
            if weight.trainable:
                value = new["trained"][self._position(weight, self.model.trainable_variables)]
                averages.append(value + momentum * (average - value))
            else:
                averages.append(new["other"][self._position(weight, self.model.non_trainable_variables)])
        return averages

    @staticmethod
    def _position(variable, variables):
        return next(index for index, one in enumerate(variables) if one is variable)


def lower(experiment, batch, devices, groups):
    """The program of one update on all chips.

    Args:
        experiment: An `Experiment`.
        batch: `(examples, shared)`, dictionaries of `tf.TensorSpec`.
        devices: The chips, as JAX has them.
        groups: Number of groups that they are in. Groups share the batch, and the chips of a group the channels of the
            model.

    Returns:
        A `jax.stages.Lowered`.

    Raises:
        ValueError: If the step does not run on JAX, or the model's channels can't be split; it says what, and where.
    """
    update = JaxUpdate(experiment)
    mesh = Mesh(np.array(devices).reshape(groups, -1), ("batch", "channels"))
    whole, divided = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("batch",)))

    def described(values, sharding):
        return jax.tree.map(
            lambda value: jax.ShapeDtypeStruct(value.shape, _dtype(value.dtype), sharding=sharding), values
        )

    def state():
        lists = {
            name: list(map(described, update.state[name], shardings))
            for name, shardings in _shardings(update, mesh).items()
        }
        return {**lists, "carried": described(update.state["carried"], divided)}

    examples, shared = batch
    step = jax.jit(update, donate_argnums=0)
    try:
        with traced_for(WIDE_TILES):
            return step.lower(state(), described(examples, divided), described(shared, whole))
    except Exception as error:
        # JAX has many errors for what it can't trace, and a function of TensorFlow has its own for JAX's arrays.
        message = " ".join(str(error).split(".\n")[0].split())
        raise ValueError(f"The step does not run on JAX: {message[:300]}, at {_place(error)}.") from error


def _shardings(update, mesh):
    """How each variable's array in the state of an update is split, as `split_channels` has it for the weights."""
    groups, parts = mesh.devices.shape
    axes = {}
    if parts > 1:
        names = [f"cpu:{index}" for index in range(groups * parts)]
        layout = split_channels(update.model, DeviceMesh((groups, parts), mesh.axis_names, names), "channels")
        for weight in update.model.weights:
            if found := layout[weight.path]:
                axes[weight.path] = found.axes
    # The optimizer's are named after the weights that they belong to.
    own = {path.replace("/", "_"): split for path, split in axes.items()}
    for variable in update.optimizer.variables:
        for name, split in own.items():
            if name in variable.path and len(variable.shape) == len(split):
                axes[variable.path] = split
    variables = {
        "trained": update.model.trainable_variables,
        "other": update.model.non_trainable_variables,
        "optimizer": update.optimizer.variables,
        "average": update.model.weights,
    }
    return {
        name: [NamedSharding(mesh, PartitionSpec(*axes.get(variable.path, ()))) for variable in group]
        for name, group in variables.items()
    }


def _place(error):
    """The last line of the model or of the experiment that an error came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
    inner = [frame for frame in frames if not frame.filename.endswith("jax_step.py")] or frames
    return f"{pathlib.Path(inner[-1].filename).name}:{inner[-1].lineno}, `{inner[-1].line}`"


def _dtype(dtype):
    return getattr(dtype, "as_numpy_dtype", dtype)
