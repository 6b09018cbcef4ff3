"""Models that solve Sudoku: AKOrN and the baselines of its paper, with one interface."""

import keras
from keras import ops

from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto.layers import (
    GTA,
    AbsoluteEncoding,
    AttentionConnectivity,
    BoardEncoding,
    FeedForwardConnectivity,
    InitialOscillators,
    KuramotoBlock,
    KuramotoLayer,
    KuramotoNetwork,
    NaturalFrequency,
    OscillatorReadout,
    Repeat,
    RotaryEncoding,
    SymmetricAttentionConnectivity,
    TransformerBlock,
)
from keras_kuramoto.models.configured_model import ConfiguredModel, add_presets, copied
from keras_kuramoto.models.image_model import of_blocks
from keras_kuramoto.models.readout_network import readout_network


class SudokuModel(ConfiguredModel):
    """Base class of the Sudoku models: a functional model from boards to logits, and `run` with more options.

    The functional model takes `{"board": (batch, S, S) int32, "noise": (batch, S, S, channels)}`, 0 for a blank cell,
    and gives logits `(batch, S, S, S)`, the last axis the digits 1 … S. `noise` may be `None` or left out, and the
    board be given alone: the initial oscillators of blank cells are then drawn by the model.

    `run(board, noise=None, num_steps=None, return_energy=False, max_steps=None, training=False)` gives logits, and with
    `return_energy=True` a pair with the energies of the last block, `(batch, steps)`; `num_steps` and `max_steps` are
    those of `KuramotoNetwork`, or of `Repeat` for a model without oscillators. With an `UntilRest` the steps that were
    taken in all blocks, `(batch,)`, come last.

    A model with oscillators can go on from where it stopped: with `return_oscillators=True` its oscillators after the
    last block, of the shape of `noise`, come after all else, and where `goes_on`, booleans `(batch,)`, is true, `noise`
    holds such oscillators of a run before, so that those of given cells start there too. With one block, two runs of
    T steps are then one of 2 T.

    Args:
        arguments: As for `ConfiguredModel`, with `board_size` and `channels`.
        **kwargs: As for `ConfiguredModel`.

    Attributes:
        has_energy: Whether it has oscillators, and with them initial noise, a number of steps and an energy.
        board_size: S.
        channels: Number of channels.
        num_steps: The number of steps of each block where a call does not say.

    Raises:
        ValueError: For a board size other than 4, 9 and 16; from a call, for boards with a digit out of range, where
            the values are known: not inside compiled functions.

    Example:

    >>> SudokuModel.from_preset("sudoku9_small").count_params()
    104368
    """

    has_energy = False

    def __init__(self, arguments, **kwargs):
        if arguments["board_size"] not in (4, 9, 16):
            raise ValueError(f"`board_size` must be 4, 9 or 16. Received {arguments['board_size']!r}.")
        super().__init__(arguments, **kwargs)
        self.board_size = arguments["board_size"]
        self.channels = arguments["channels"]
        self.num_steps = arguments["num_steps"]

    @staticmethod
    def make_inputs(board_size, channels, **arguments):
        return {
            "board": keras.Input((board_size, board_size), dtype="int32", name="board"),
            "noise": keras.Input((board_size, board_size, channels), optional=True, name="noise"),
        }

    def call(self, inputs, training=None, mask=None, options=None):
        inputs = self._structured(inputs)
        board = ops.cast(inputs["board"], "int32")
        if is_concrete(board) and board.shape[0]:
            lowest, highest = int(ops.min(board)), int(ops.max(board))
            if not 0 <= lowest <= highest <= self.board_size:
                raise ValueError(
                    f"A board must hold digits from 0 (blank) to {self.board_size}. Received some from {lowest} to "
                    f"{highest}."
                )
        return super().call({**inputs, "board": board}, training, mask, options)


def _digits(size, channels):
    # Of unit variance, as PyTorch's embeddings start: a stimulus is then as strong as the coupling.
    start = keras.initializers.RandomNormal(stddev=1.0)
    return keras.layers.Embedding(size + 1, channels, embeddings_initializer=start, name="digits")


def _head(size):
    return keras.layers.Dense(size, dtype="float32", name="head")


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
        arguments = {
            "connectivity": connectivity,
            "natural_frequency": natural_frequency,
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
        super().__init__(arguments, **kwargs)

    @staticmethod
    def make_layers(
        connectivity, natural_frequency, board_size, channels, oscillator_dim, blocks, seed, **kuramoto_arguments
    ):
        def block(index):
            return KuramotoBlock(
                KuramotoLayer(
                    copied(connectivity),
                    oscillator_dim,
                    natural_frequency=copied(natural_frequency),
                    name="kuramoto",
                    **kuramoto_arguments,
                ),
                OscillatorReadout(channels, oscillator_dim, name="readout"),
                readout_network(lambda name: keras.layers.Dense(channels, name=name)),
                name=f"block_{index}",
            )

        initial = InitialOscillators(oscillator_dim, seed=seed, name="initial_oscillators")
        return {
            "digits": _digits(board_size, channels),
            "network": KuramotoNetwork([block(index) for index in range(blocks)], initial, name="network"),
            "head": _head(board_size),
        }

    def compute_outputs(
        self,
        board,
        noise=None,
        num_steps=None,
        return_energy=False,
        max_steps=None,
        goes_on=None,
        return_oscillators=False,
    ):
        c = self.digits(board)
        given = ops.greater(board, 0)
        if goes_on is not None:
            given = ops.logical_and(given, ops.logical_not(ops.reshape(goes_on, (-1, 1, 1))))
        features, x, *more = self.network(
            c, given, noise, num_steps=num_steps, return_energy=return_energy, max_steps=max_steps
        )
        logits = self.head(ops.relu(features))
        more = (*of_blocks(more, return_energy), *((x,) if return_oscillators else ()))
        return (logits, *more) if more else logits


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
            "attention": attention,
            "board_size": board_size,
            "channels": channels,
            "num_steps": num_steps,
            "blocks": blocks,
        }
        super().__init__(arguments, **kwargs)

    @staticmethod
    def make_layers(attention, board_size, channels, num_steps, blocks):
        return {
            "digits": _digits(board_size, channels),
            **{
                f"repeat_{index}": Repeat(
                    TransformerBlock(copied(attention), name=f"block_{index}"), num_steps, name=f"repeat_{index}"
                )
                for index in range(blocks)
            },
            "norm": keras.layers.LayerNormalization(name="norm"),
            "head": _head(board_size),
        }

    def compute_outputs(self, board, noise=None, num_steps=None, return_energy=False, max_steps=None):
        if return_energy:
            raise ValueError("This model has no oscillators and so no energy; `return_energy` must be False.")
        x = self.digits(board)
        for name in self._layer_names:
            if name.startswith("repeat_"):
                x = getattr(self, name)(x, num_steps=num_steps, max_steps=max_steps)
        return self.head(self.norm(x))


def _akorn(**arguments):
    return {"natural_frequency": NaturalFrequency(4, frequency=0.5), **arguments}


_PAPER_HEADS, _SMALL = 8, {"channels": 96}
add_presets(
    AKOrNSudoku,
    {
        # Learns in minutes on a laptop.
        "sudoku4_quick": lambda: _akorn(
            connectivity=AttentionConnectivity(4, BoardEncoding()), board_size=4, channels=64, num_steps=16
        ),
        # Trains on a CPU.
        "sudoku9_small": lambda: _akorn(connectivity=AttentionConnectivity(4, BoardEncoding()), **_SMALL),
        # A network in each step, for boards that need more thought.
        "sudoku9_hard": lambda: _akorn(
            connectivity=FeedForwardConnectivity(AttentionConnectivity(4, BoardEncoding())), **_SMALL
        ),
        "sudoku9_small_symmetric": lambda: _akorn(
            connectivity=SymmetricAttentionConnectivity(4, BoardEncoding()), **_SMALL
        ),
        # The paper's sizes; symmetrised attention is that of its Appendix D.4.
        "sudoku9_paper": lambda: _akorn(connectivity=AttentionConnectivity(_PAPER_HEADS, GTA())),
        "sudoku9_paper_symmetric": lambda: _akorn(
            connectivity=SymmetricAttentionConnectivity(_PAPER_HEADS, RotaryEncoding())
        ),
    },
)
_ITERATIVE = {"num_steps": 16, "blocks": 1}
add_presets(
    TransformerSudoku,
    {
        "sudoku9_small_iterative": lambda: {
            "attention": AttentionConnectivity(4, BoardEncoding()),
            **_SMALL,
            **_ITERATIVE,
        },
        "sudoku9_small_transformer": lambda: {"attention": AttentionConnectivity(4, BoardEncoding()), **_SMALL},
        "sudoku9_paper_iterative": lambda: {
            "attention": AttentionConnectivity(_PAPER_HEADS, AbsoluteEncoding()),
            **_ITERATIVE,
        },
        "sudoku9_paper_transformer": lambda: {"attention": AttentionConnectivity(_PAPER_HEADS, AbsoluteEncoding())},
    },
)
