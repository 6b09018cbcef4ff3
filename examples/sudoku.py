"""
Sudoku: the board settles as the energy falls
=============================================

The weights that come with the library solve a board whose givens are held fixed. Each cell has 24 oscillators in R⁴;
those of blank cells start at random. The digits are read anew after every step.
"""

import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_kuramoto.models import SudokuModel

STEPS = 32

root = pathlib.Path.cwd() if pathlib.Path("examples").exists() else pathlib.Path("..")
line = (root / "examples" / "sudoku9.txt").read_text().strip()
board = np.array([int(cell) if cell.isdigit() else 0 for cell in line]).reshape(1, 9, 9)

model = SudokuModel.from_preset("sudoku9_small")
start = keras.random.normal((1, 9, 9, model.channels), seed=1)
_, energies = model.run(board, start, num_steps=STEPS, return_energy=True)
energies = keras.ops.convert_to_numpy(energies)[0]

# %%
# The same start with fewer steps shows the boards on the way. Red digits break a rule, blue ones do not.

shown = sorted({1, STEPS // 8, STEPS // 2, STEPS})
answers = []
for steps in shown:
    digits = keras.ops.convert_to_numpy(model.run(board, start, num_steps=steps))[0].argmax(-1) + 1
    answers.append(np.where(board[0] > 0, board[0], digits))


def wrong(answer, row, column):
    """Whether the digit of a cell stands in its row, column or box once more."""
    box = answer[row // 3 * 3 : row // 3 * 3 + 3, column // 3 * 3 : column // 3 * 3 + 3]
    return any((unit == answer[row, column]).sum() > 1 for unit in (answer[row], answer[:, column], box))


figure, axes = plt.subplots(1, len(shown) + 1, figsize=(13, 2.8), layout="constrained")
for axis, steps, answer in zip(axes, shown, answers):
    for row, column in np.ndindex(9, 9):
        color = "black" if board[0, row, column] else "red" if wrong(answer, row, column) else "tab:blue"
        axis.text(column, row, answer[row, column], ha="center", va="center", color=color)
    axis.set(xlim=(-0.5, 8.5), ylim=(8.5, -0.5), xticks=[2.5, 5.5], yticks=[2.5, 5.5], aspect="equal")
    axis.set(xticklabels=[], yticklabels=[], title=f"step {steps}")
    axis.grid(color="black")
axes[-1].plot(range(len(energies)), energies, color="black")
axes[-1].set(title="energy", xlabel="step")
plt.show()
