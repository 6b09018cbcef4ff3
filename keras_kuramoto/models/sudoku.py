"""Models that solve Sudoku: AKOrN and the baselines of its paper, with one interface."""

import pathlib

import keras
from keras import ops

from keras_kuramoto.layers import (
    GTA,
    AbsoluteEncoding,
    AttentionConnectivity,
    BoardEncoding,
    InitialOscillators,
    KuramotoLayer,
    NaturalFrequency,
    OscillatorReadout,
    Repeat,
    RotaryEncoding,
    SymmetricAttentionConnectivity,
    TransformerBlock,
)


def _complete(inputs):
    """Both inputs of a model, of which the noise may be `None`, from what a user gives: a dictionary or a board."""
    return {"noise": None, **(inputs if isinstance(inputs, dict) else {"board": inputs})}


class SudokuModel(keras.Model):
    """What the Sudoku models share: a functional model from boards to logits, and `run` with more options.

    The functional model takes `{"board": (batch, S, S) int32, "noise": (batch, S, S, channels)}`, 0 for a blank cell,
    and gives logits `(batch, S, S, S)`, the last axis the digits 1 … S. `noise` may be `None` or left out, and the
    board be given alone: the initial oscillators of blank cells are then drawn by the model.

    A subclass hands its network, a function `(board, noise, num_steps, return_energy, max_steps)` that owns the layers,
    and the arguments of its own `__init__`, as a dictionary that can be serialised.

    Attributes:
        has_energy: Whether it has oscillators, and with them initial noise, a number of steps and an energy.
    """

    has_energy = False

    def __init__(self, network, arguments, **kwargs):
        size = arguments["board_size"]
        if size not in (4, 9, 16):
            raise ValueError(f"`board_size` must be 4, 9 or 16. Received {size!r}.")
        # A functional model of Keras takes any argument and forgets it.
        unknown = sorted(set(kwargs) - {"name", "trainable", "dtype"})
        if unknown:
            raise TypeError(f"unexpected argument {unknown[0]!r}")
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
        return super().__call__(_complete(inputs), *args, **kwargs)

    def call(self, inputs, *args, **kwargs):
        # On JAX, `fit` and `predict` come here without `__call__`.
        return super().call(_complete(inputs), *args, **kwargs)

    def run(self, board, noise=None, num_steps=None, return_energy=False, max_steps=None):
        """Logits of boards, with the options of a call.

        Args:
            board: `(batch, S, S)` integers, 0 for a blank cell.
            noise: Initial oscillators of the blank cells, `(batch, S, S, channels)`, or `None` to draw them.
            num_steps: Number of steps of each block, as for `KuramotoLayer`; by default the model's own.
            return_energy: Whether to return energies too.
            max_steps: Bound of a tensor `num_steps`, as for `KuramotoLayer`; needed to train with one.

        Returns:
            Logits `(batch, S, S, S)`; with `return_energy=True` also the energies of the last block, `(batch, steps)`.

        Raises:
            ValueError: If energies are asked of a model that has none.
        """
        return self.network(board, noise, num_steps, return_energy, max_steps)

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
        options = {name: arguments[name] for name in ("num_steps", "step_size", "train_step_size", "remat")}
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

    def __call__(self, board, noise=None, num_steps=None, return_energy=False, max_steps=None):
        c = self.embedding(board)
        x = self.initial(c, ops.greater(board, 0), noise)
        energies = None
        for block in self.blocks:
            x = block["kuramoto"](x, c, num_steps=num_steps, return_energy=return_energy, max_steps=max_steps)
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

    has_energy = True

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
            "remat": remat,
            "seed": seed,
        }
        super().__init__(_AKOrNNetwork(arguments), arguments, **kwargs)


class _TransformerNetwork:
    def __init__(self, arguments):
        size, channels = arguments["board_size"], arguments["channels"]
        self.embedding = _digit_embedding(size, channels)
        self.blocks = []
        for index in range(arguments["blocks"]):
            attention = keras.saving.deserialize_keras_object(arguments["attention"])
            block = TransformerBlock(attention, name=f"block_{index}")
            self.blocks.append(Repeat(block, arguments["num_steps"], name=f"repeat_{index}"))
        self.norm = keras.layers.LayerNormalization(name="norm")
        self.head = keras.layers.Dense(size, dtype="float32", name="head")

    def __call__(self, board, noise=None, num_steps=None, return_energy=False, max_steps=None):
        if return_energy:
            raise ValueError("This model has no oscillators and so no energy; `return_energy` must be False.")
        x = self.embedding(board)
        for block in self.blocks:
            x = block(x, num_steps=num_steps, max_steps=max_steps)
        return self.head(self.norm(x))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class TransformerSudoku(SudokuModel):
    """The paper's baselines for Sudoku: a transformer, or iterative self-attention (Itr SA).

    A transformer has many blocks of one step each; Itr SA has one block that is applied T times with the same weights.
    Initial oscillators are accepted and not used, so that the models can be exchanged.

    Args:
        attention: The attention, a layer; each block gets a copy of its own.
        board_size: 4, 9 or 16.
        channels: Number of channels.
        num_steps: How often each block is applied.
        blocks: Number of blocks.
        **kwargs: As for `keras.Model`.

    Raises:
        ValueError: For a board size that is none of these, and whatever the layers reject.

    Example:

    >>> model = TransformerSudoku(AttentionConnectivity(4, BoardEncoding()), board_size=4, channels=32, blocks=2)
    >>> model({"board": ops.zeros((2, 4, 4), dtype="int32")}).shape
    (2, 4, 4, 4)

    Reference: Miyato et al., ICLR 2025, Table 3 and 19, Fig. 11 (b).
    """

    def __init__(self, attention, board_size=9, channels=512, num_steps=1, blocks=8, **kwargs):
        arguments = {
            "attention": keras.saving.serialize_keras_object(attention),
            "board_size": board_size,
            "channels": channels,
            "num_steps": num_steps,
            "blocks": blocks,
        }
        super().__init__(_TransformerNetwork(arguments), arguments, **kwargs)


def akorn_sudoku(heads=8, position_encoding=None, frequency=0.5, oscillator_dim=4, connectivity=None, **arguments):
    """AKOrN for Sudoku with attentive coupling, by numbers: by default the paper's model.

    Args:
        heads: Number of attention heads.
        position_encoding: A `PositionEncoding`; by default a `GTA()` on the board's rows and columns.
        frequency: ω at the start, one Ω for all oscillators, trained; `None` for no natural frequencies.
        oscillator_dim: N.
        connectivity: Any other coupling, in place of attention with these heads and encoding.
        **arguments: As for `AKOrNSudoku`.

    Returns:
        An `AKOrNSudoku` with the paper's 512 channels, N = 4, T = 16, unless told otherwise.

    Example:

    >>> akorn_sudoku(board_size=4, channels=32, heads=4).count_params()
    12971
    """
    if connectivity is None:
        connectivity = AttentionConnectivity(heads, GTA() if position_encoding is None else position_encoding)
    omega = None if frequency is None else NaturalFrequency(oscillator_dim, frequency=frequency)
    return AKOrNSudoku(connectivity, omega, oscillator_dim=oscillator_dim, **arguments)


def symmetric_akorn_sudoku(heads=8, position_encoding=None, **arguments):
    """`akorn_sudoku` with symmetrised attention, Appendix D.4. Arguments as there.

    Example:

    >>> model = symmetric_akorn_sudoku(board_size=4, channels=16, heads=2)
    >>> model.board_size
    4
    """
    encoding = RotaryEncoding() if position_encoding is None else position_encoding
    return akorn_sudoku(connectivity=SymmetricAttentionConnectivity(heads, encoding), **arguments)


def transformer_sudoku(heads=8, position_encoding=None, **arguments):
    """The paper's transformer of 8 blocks. Arguments as for `akorn_sudoku`'s first two and `TransformerSudoku`.

    Example:

    >>> model = transformer_sudoku(board_size=4, channels=16, heads=2)
    >>> model.board_size
    4
    """
    encoding = AbsoluteEncoding() if position_encoding is None else position_encoding
    return TransformerSudoku(AttentionConnectivity(heads, encoding), **arguments)


def iterative_attention_sudoku(**arguments):
    """The paper's Itr SA: one transformer block, 16 times. Arguments as for `transformer_sudoku`.

    Example:

    >>> model = iterative_attention_sudoku(board_size=4, channels=16, heads=2)
    >>> model.board_size
    4
    """
    return transformer_sudoku(**{"num_steps": 16, "blocks": 1, **arguments})


_SMALL = {"channels": 96, "heads": 4}
_PRESETS = {
    # Learns in minutes on a laptop.
    "sudoku4_quick": (akorn_sudoku, {"board_size": 4, "channels": 64, "heads": 4, "num_steps": 16}, BoardEncoding),
    # Trains on a CPU.
    "sudoku9_small": (akorn_sudoku, {**_SMALL, "num_steps": 16}, BoardEncoding),
    "sudoku9_small_symmetric": (symmetric_akorn_sudoku, _SMALL, BoardEncoding),
    "sudoku9_small_iterative": (iterative_attention_sudoku, _SMALL, BoardEncoding),
    "sudoku9_small_transformer": (transformer_sudoku, _SMALL, BoardEncoding),
    # The paper's sizes.
    "sudoku9_paper": (akorn_sudoku, {}, None),
    "sudoku9_paper_symmetric": (symmetric_akorn_sudoku, {}, None),
    "sudoku9_paper_iterative": (iterative_attention_sudoku, {}, None),
    "sudoku9_paper_transformer": (transformer_sudoku, {}, None),
}
_WEIGHTS = pathlib.Path(__file__).parent / "weights"


def sudoku_presets():
    """Names of the presets that `sudoku_from_preset` knows.

    Example:

    >>> "sudoku9_paper" in sudoku_presets()
    True
    """
    return tuple(_PRESETS)


def sudoku_from_preset(name, trained=False, **changes):
    """The model of a preset.

    Args:
        name: One of `sudoku_presets()`.
        trained: Whether to load the weights that come with the library (`"sudoku9_small"` has some).
        **changes: Arguments of the model in place of the preset's.

    Returns:
        A `SudokuModel`.

    Raises:
        ValueError: If the name or an argument is unknown, or no weights come with the preset.

    Example:

    >>> sudoku_from_preset("sudoku4_quick").name
    'sudoku4_quick'
    """
    if name not in _PRESETS:
        raise ValueError(f"Unknown preset '{name}'. Known: {', '.join(_PRESETS)}.")
    function, arguments, encoding = _PRESETS[name]
    if encoding is not None:
        arguments = {**arguments, "position_encoding": encoding()}
    try:
        model = function(**{"name": name, **arguments, **changes})
    except TypeError as error:
        if not changes:
            raise
        raise ValueError(f"The preset '{name}' does not take these arguments: {error}.") from None
    if trained:
        weights = _WEIGHTS / f"{name}.weights.h5"
        if not weights.exists():
            known = sorted(path.name.removesuffix(".weights.h5") for path in _WEIGHTS.glob("*.weights.h5"))
            raise ValueError(f"No trained weights come with the preset '{name}'. There are some for: {known}.")
        model.load_weights(weights)
    return model
