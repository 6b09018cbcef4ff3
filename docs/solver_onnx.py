"""Writes the shipped Sudoku solver as two ONNX graphs: `KERAS_BACKEND=torch python docs/solver_onnx.py FOLDER`.

`start.onnx` makes the first oscillators and the stimuli of a board, `step.onnx` is one step. Whoever runs them loops.
"""

import pathlib
import sys

import keras
import torch

from keras_kuramoto.models import SudokuModel

SIZE = 9


class Start(torch.nn.Module):
    """From a board and noise to oscillators and stimuli."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, board, noise):
        stimuli = self.model.digits(board)
        return self.model.network.initial_oscillators(stimuli, board > 0, noise), stimuli


class Step(torch.nn.Module):
    """From oscillators and stimuli to the next oscillators, the energy before the step and the logits after it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, oscillators, stimuli):
        (block,) = self.model.network.blocks
        oscillators, features, energies = block(oscillators, stimuli, num_steps=1, return_energy=True)
        return oscillators, energies[:, 0], self.model.head(keras.ops.relu(features))


def main(folder):
    """Writes both graphs into the folder."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = SudokuModel.from_preset("sudoku9_hard")
    state = torch.zeros((1, SIZE, SIZE, model.channels))
    board = torch.zeros((1, SIZE, SIZE), dtype=torch.int32)
    for name, module, inputs, outputs in (
        ("start", Start(model), {"board": board, "noise": state}, ["oscillators", "stimuli"]),
        ("step", Step(model), {"oscillators": state, "stimuli": state.clone()}, ["next", "energy", "logits"]),
    ):
        with torch.no_grad():
            torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                folder / f"{name}.onnx",
                input_names=list(inputs),
                output_names=outputs,
                dynamo=True,
                external_data=False,
                verbose=False,
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
