"""Models that solve Sudoku: AKOrN and the baselines of its paper, with one interface."""

import math
import pathlib

import keras
import numpy as np
from keras import ops

from keras_kuramoto.layers import (
    GTA,
    AttentionConnectivity,
    InitialOscillators,
    KuramotoLayer,
    NaturalFrequency,
    OscillatorReadout,
    RotaryEncoding,
    SymmetricAttentionConnectivity,
)
from keras_kuramoto.ops import harmonic_angles


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class BoardEncoding(RotaryEncoding):
    """RoPE by row, column and box of a Sudoku board, with harmonics of the board's size.

    A head can so attend to exactly the cells of its row, column or box from the first training step on.

    Args:
        **kwargs: As for `keras.layers.Layer`.

    Example:

    >>> AttentionConnectivity(heads=2, position_encoding=BoardEncoding())(ops.ones((1, 4, 4, 24))).shape
    (1, 4, 4, 24)
    """

    def __init__(self, **kwargs):
        kwargs.pop("angles", None)
        super().__init__(**kwargs)

    def _angles_for(self, grid, head_dim):
        size = grid[0]
        box = math.isqrt(size)
        row, column = np.divmod(np.arange(size * size), size)
        coordinates = np.stack([row, column, row // box * box + column // box], 1)
        return harmonic_angles(coordinates, size, head_dim // 2)


class SudokuModel(keras.Model):
    """What the Sudoku models share: a functional model from boards to logits, and `run` with more options.

    The functional model takes `{"board": (batch, S, S) int32, "noise": (batch, S, S, channels)}`, 0 for a blank cell,
    and gives logits `(batch, S, S, S)`, the last axis the digits 1 … S. `noise` may be `None` or left out, and the board
    be given alone: the initial oscillators of blank cells are then drawn by the model.

    A subclass hands its network, a function `(board, noise, num_steps, return_energy)` that owns the layers, and the
    arguments of its own `__init__`, as a dictionary that can be serialised.
    """

    def __init__(self, network, arguments, **kwargs):
        size = arguments["board_size"]
        if size not in (4, 9, 16):
            raise ValueError(f"`board_size` must be 4, 9 or 16. Received {size!r}.")
        inputs = {
            "board": keras.Input((size, size), dtype="int32", name="board"),
            "noise": keras.Input((size, size, arguments["channels"]), optional=True, name="noise"),
        }
        super().__init__(inputs=inputs, outputs=network(**inputs), **kwargs)
        self.network = network
        self.arguments = arguments
        self.board_size = size
        self.channels = arguments["channels"]

    def __call__(self, inputs, *args, **kwargs):
        if not isinstance(inputs, dict):
            inputs = {"board": inputs}
        return super().__call__({"noise": None, **inputs}, *args, **kwargs)

    def run(self, board, noise=None, num_steps=None, return_energy=False):
        """Logits of boards, with the options of a call.

        Args:
            board: `(batch, S, S)` integers, 0 for a blank cell.
            noise: Initial oscillators of the blank cells, `(batch, S, S, channels)`, or `None` to draw them.
            num_steps: Number of steps of each block, as for `KuramotoLayer`; by default the model's own.
            return_energy: Whether to return energies too.

        Returns:
            Logits `(batch, S, S, S)`; with `return_energy=True` also the energies of the last block, `(batch, steps)`.

        Raises:
            ValueError: If energies are asked of a model that has none.
        """
        return self.network(board, noise, num_steps, return_energy)

    def get_config(self):
        # Not that of a functional model: the arguments of __init__ rebuild the graph.
        return {"name": self.name, "trainable": self.trainable, **self.arguments}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        trainable = config.get("trainable", True)
        config = {
            name: keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
            for name, value in config.items()
            if name != "trainable"
        }
        model = cls(**config)
        model.trainable = trainable
        return model


class _AKOrNNetwork:
    def __init__(self, arguments):
        size, channels, dim = arguments["board_size"], arguments["channels"], arguments["oscillator_dim"]
        options = {name: arguments[name] for name in ("num_steps", "step_size", "train_step_size", "max_steps", "remat")}
        self.embedding = _digit_embedding(size, channels)
        self.initial = InitialOscillators(dim, seed=arguments["seed"], name="initial_oscillators")
        self.blocks = [
            {
                "kuramoto": KuramotoLayer(
                    keras.saving.deserialize_keras_object(arguments["connectivity"]),
                    dim,
                    natural_frequency=keras.saving.deserialize_keras_object(arguments["natural_frequency"]),
                    name=f"kuramoto_{index}",
                    **options,
                ),
                "readout": OscillatorReadout(channels, dim, name=f"readout_{index}"),
                "hidden": keras.layers.Dense(channels, name=f"hidden_{index}"),
                "residual": keras.layers.Dense(channels, name=f"residual_{index}"),
                "stimuli": keras.layers.Dense(channels, name=f"stimuli_{index}"),
            }
            for index in range(arguments["blocks"])
        ]
        self.head = keras.layers.Dense(size, dtype="float32", name="head")

    def __call__(self, board, noise=None, num_steps=None, return_energy=False):
        c = self.embedding(board)
        x = self.initial(c, ops.greater(board, 0), noise)
        energies = None
        for block in self.blocks:
            x = block["kuramoto"](x, c, num_steps=num_steps, return_energy=return_energy)
            if return_energy:
                x, energies = x
            r = block["readout"](x)
            r = r + block["residual"](ops.relu(block["hidden"](ops.relu(r))))
            c = block["stimuli"](ops.relu(r))
        logits = self.head(ops.relu(c))
        return (logits, energies) if return_energy else logits


def _digit_embedding(size, channels):
    # Of unit variance, as PyTorch's embeddings start: a stimulus is then as strong as the coupling.
    return keras.layers.Embedding(
        size + 1, channels, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0), name="digits"
    )


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class AKOrNSudoku(SudokuModel):
    """AKOrN for Sudoku, Sec. 6.2 and C.2: digits → stimuli C, oscillators X → L blocks → logits.

    The oscillators of given cells start at their stimuli, those of blank cells at random. Each block is a Kuramoto
    layer, a readout and a small network g with a residual connection, whose result is the next block's C.

    Args:
        connectivity: The coupling, a layer; each block gets a copy of its own (same configuration, other weights).
        natural_frequency: Layer for Ω x, copied likewise, or `None`.
        board_size: 4, 9 or 16.
        channels: Number of channels: oscillators × N.
        oscillator_dim: N.
        num_steps: T, steps of each block.
        blocks: L, number of blocks.
        step_size: γ at the start.
        train_step_size: Whether γ is trained, as the authors do for Sudoku.
        max_steps: As for `KuramotoLayer`.
        remat: As for `KuramotoLayer`.
        seed: Seed of the generator that draws initial oscillators which are not given.
        **kwargs: As for `keras.Model`.

    Raises:
        ValueError: For a board size that is none of these, and whatever the layers reject.

    Example:

    >>> model = AKOrNSudoku(AttentionConnectivity(4, BoardEncoding()), board_size=4, channels=32, num_steps=4)
    >>> model({"board": ops.zeros((2, 4, 4), dtype="int32")}).shape
    (2, 4, 4, 4)

    Reference: Miyato et al., ICLR 2025, Sec. 6.2 and C.2.
    """

    def __init__(
        self,
        connectivity,
        natural_frequency=None,
        board_size=9,
        channels=512,
        oscillator_dim=4,
        num_steps=16,
        blocks=1,
        step_size=1.0,
        train_step_size=True,
        max_steps=None,
        remat=False,
        seed=None,
        **kwargs,
    ):
        serialize = keras.saving.serialize_keras_object
        arguments = {
            "connectivity": serialize(connectivity),
            "natural_frequency": serialize(natural_frequency),
            "board_size": board_size,
            "channels": channels,
            "oscillator_dim": oscillator_dim,
            "num_steps": num_steps,
            "blocks": blocks,
            "step_size": step_size,
            "train_step_size": train_step_size,
            "max_steps": max_steps,
            "remat": remat,
            "seed": seed,
        }
        super().__init__(_AKOrNNetwork(arguments), arguments, **kwargs)
