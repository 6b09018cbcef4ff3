"""Draws `docs/oscillators.gif`, the moving picture of the README: `PYTHONPATH=. python docs/moving_picture.py`."""

import pathlib

import keras
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter

from keras_kuramoto.models import SudokuModel

STEPS, HELD, OSCILLATOR = 30, 12, 0


def solve(board):
    """The digits and the oscillators after each number of steps, and the energies."""
    model = SudokuModel.from_preset("sudoku9_small")
    noise = keras.random.normal((1, 9, 9, model.channels), seed=1)
    stimuli = model.digits(board)
    start = model.network.initial_oscillators(stimuli, board > 0, noise)
    states = keras.ops.convert_to_numpy(model.network.blocks[0].kuramoto.trajectory(start, stimuli, num_steps=STEPS))[0]
    _, energies = model.run(board, noise, num_steps=STEPS + 1, return_energy=True)
    digits = [
        keras.ops.convert_to_numpy(model.run(board, noise, num_steps=steps))[0].argmax(-1) + 1
        for steps in range(STEPS + 1)
    ]
    return digits, states[..., 4 * OSCILLATOR : 4 * OSCILLATOR + 2], keras.ops.convert_to_numpy(energies)[0]


def main():
    """Draws the frames: the board, an oscillator of each cell as a hand, the energy."""
    line = pathlib.Path("examples/sudoku9.txt").read_text(encoding="utf-8").strip()
    board = np.array([int(cell) if cell.isdigit() else 0 for cell in line]).reshape(1, 9, 9)
    digits, hands, energies = solve(board)
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.1), layout="constrained")

    def draw(frame):
        step = min(frame, STEPS)
        for axis in axes:
            axis.clear()
        for axis in axes[:2]:
            axis.set(xlim=(-0.5, 8.5), ylim=(8.5, -0.5), aspect="equal", xticks=[2.5, 5.5], yticks=[2.5, 5.5])
            axis.tick_params(length=0, labelcolor="none")
            axis.grid(color="black", linewidth=1.2)
        for row, column in np.ndindex(9, 9):
            given = board[0, row, column]
            digit = given or digits[step][row, column]
            changed = not given and digit != digits[-1][row, column]
            color = "black" if given else "tab:red" if changed else "tab:blue"
            weight = "bold" if given else "normal"
            axes[0].text(column, row + 0.05, digit, ha="center", va="center", color=color, weight=weight)
        y, x = np.mgrid[0:9, 0:9]
        u, v = np.moveaxis(hands[step], -1, 0)
        colors = plt.cm.hsv((np.arctan2(v, u) / (2 * np.pi)).ravel() % 1)
        axes[1].quiver(x, y, u, -v, color=colors, angles="xy", scale=2.2, scale_units="xy", width=0.012)
        axes[2].plot(energies[: step + 1], color="black")
        axes[2].plot(step, energies[step], "o", color="tab:orange")
        axes[2].set(xlim=(0, STEPS), ylim=(energies.min() - 150, energies.max() + 150))
        axes[2].spines[["top", "right"]].set_visible(False)
        for axis, title in zip(axes, ("digits read", f"one oscillator of each cell, step {step}", "energy")):
            axis.set_title(title, fontsize=11)

    path = pathlib.Path("docs/oscillators.gif")
    FuncAnimation(figure, draw, frames=STEPS + 1 + HELD).save(path, PillowWriter(fps=5), dpi=80)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
