"""`python -m benchmarks.sudoku_accuracy`: boards that a model solves, by steps and by starts, and the time for it.

Boards are of four kinds, on none of which a model of this library was trained: of the test sides of `9x9_mixed` and
`9x9_extreme`, generated here; with 17 givens; and published as hard ones (`benchmarks/boards`). Prints tables in
Markdown, of all boards by their kind, by their givens and by the guesses that a search needs, and draws them. Compiling
is not in the times.
"""

import argparse
import dataclasses
import json
import pathlib
import time

import numpy as np

from training import plots
from training.datasets.sudoku import count_guesses, read_boards
from training.datasets.sudoku.builder import Sudoku
from training.datasets.sudoku.generator import generate_puzzles
from training.source import load_model
from training.strategies import make_strategy
from training.sudoku import BoardSolver
from training.sudoku.voting import Filling, Lowest, Once, SolutionFirst

BOARDS = pathlib.Path(__file__).parent / "boards"
GIVENS = ((17, 17), (18, 21), (22, 24), (25, 30), (31, 42))
GUESSES = ((0, 0), (1, 9), (10, 99), (100, 10**9))
STEPS = (16, 32, 64, 128, 256, 512, 1024)
STARTS = (1, 4, 16, 64)
#: Boards, or starts of them, that run at once.
BATCH = 80


@dataclasses.dataclass
class Setting:
    """How boards are solved."""

    name: str
    attempt: object
    steps: int
    starts: int


ONCE, FILLING = Once(), Filling()
SETTINGS = [
    *(Setting("steps", ONCE, steps, 1) for steps in STEPS),
    *(Setting("starts", ONCE, 64, starts) for starts in STARTS),
    *(Setting("starts, filled", FILLING, 16, starts) for starts in STARTS),
]


def boards_of_all_kinds(count):
    """`count` boards of `9x9_mixed`, a third as many of each other kind, at most 40 published ones, by kind."""
    kinds = {
        name: generate_puzzles(number, kind=Sudoku.builder_configs[name].kind, side="test", progress=False).puzzle
        for name, number in (("9x9_mixed", count), ("9x9_extreme", count // 3))
    }
    for name, file in (("17 givens", "seventeen_givens"), ("published", "published_hard")):
        kinds[name] = read_boards(BOARDS / f"{file}.txt")[: count // 3]
    return kinds


def groups(kinds):
    """How a group of boards is called, and which boards of all are in it, in three dictionaries."""
    puzzle = np.concatenate(list(kinds.values()))
    givens, guesses = (puzzle > 0).sum((1, 2)), np.array([count_guesses(board) for board in puzzle])
    kind = np.repeat(np.arange(len(kinds)), [len(boards) for boards in kinds.values()])
    return puzzle, {
        "kind": {name: kind == index for index, name in enumerate(kinds)},
        "givens": {written(span): within(givens, span) for span in GIVENS if within(givens, span).any()},
        "guesses": {written(span): within(guesses, span) for span in GUESSES if within(guesses, span).any()},
    }


def within(numbers, span):
    return (numbers >= span[0]) & (numbers <= span[1])


def written(span):
    low, high = span
    return str(low) if low == high else f"{low} or more" if high >= 10**9 else f"{low}–{high}"


def compiled(model, attempt, steps, count):
    """A solver that has compiled what it needs for `count` boards: a batch, and a smaller one for the last ones."""
    batch = min(BATCH, count)
    solver = BoardSolver(model, make_strategy("cpu"), steps, SolutionFirst(Lowest()), attempt, batch)
    size = -(-count // -(-count // batch))
    for boards in (size, -(-size // 8)):
        # Complete ones, which end at once.
        solver(np.ones((boards, 9, 9), "int32"))
    return solver


def solve(solver, puzzle, starts):
    """Which boards are solved, how many steps each took, and the milliseconds for a board."""
    started = time.perf_counter()
    found = solver(puzzle, starts)
    return found["solved"] == 1, found["steps"], 1000 * (time.perf_counter() - started) / len(puzzle)


def table(results, by):
    """A table in Markdown: boards solved, in %, of the groups of one kind."""
    names = list(by)
    lines = [
        f"| | steps | starts | {' | '.join(f'{name} ({by[name].sum()})' for name in names)} | steps spent | ms |",
        "| --- |" + " ---: |" * (len(names) + 4),
    ]
    rows = {(setting.attempt, setting.steps, setting.starts): (setting, found) for setting, found in results}
    for setting, (solved, steps, milliseconds) in rows.values():
        shares = " | ".join(f"{100 * solved[by[name]].mean():.0f}" for name in names)
        name = "filled" if isinstance(setting.attempt, Filling) else "once"
        lines.append(
            f"| {name} | {setting.steps:,} | {setting.starts} | {shares} | {steps.mean():,.0f} | {milliseconds:,.0f} |"
        )
    return "\n".join(lines)


def draw(results, groups):
    """A figure: by steps and by starts, lines for groups of boards."""
    figure, axes = plots.figure(2, 3, width=3.1, height=2.6, sharey=True)
    for row, kind in zip(axes, ("givens", "guesses")):
        for ax, name in zip(row, ("steps", "starts", "starts, filled")):
            chosen = [(setting, solved) for setting, (solved, *_) in results if setting.name == name]
            at = [setting.steps if name == "steps" else setting.starts for setting, _ in chosen]
            for group, members in groups[kind].items():
                ax.plot(at, [100 * solved[members].mean() for _, solved in chosen], "o-", ms=3, label=group)
            ax.set_xscale("log", base=2)
            ax.set_xticks(at, [str(value) for value in at])
            ax.tick_params(labelsize=7)
            ax.grid(alpha=0.3)
            ax.set_xlabel("steps" if name == "steps" else "starts, at most", fontsize=8)
        row[0].set_ylabel("boards solved, in %", fontsize=8)
        row[0].legend(title=kind, fontsize=6, title_fontsize=7)
    for ax, title in zip(axes[0], ("one start", "starts of 64 steps", "filled cell by cell, 16 steps")):
        ax.set_title(title, fontsize=9)
    return figure


def model_of(options, parser):
    """The model that `--model` names; else the command ends with one line and exit code 2."""
    try:
        return load_model(options.model)
    except ValueError as error:
        parser.error(str(error))


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sudoku_accuracy", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="sudoku9_hard", help="run directory, .keras file or preset with weights")
    parser.add_argument("--boards", type=int, default=120, help="boards of 9x9_mixed (default: %(default)s)")
    parser.add_argument("--picture", help="where to write a picture (PNG)")
    parser.add_argument("--json", help="where to write what each board came to (JSON)")
    options = parser.parse_args()
    if options.boards < 3:
        parser.error(f"--boards must be at least 3. Received {options.boards}.")
    model = model_of(options, parser)
    puzzle, by = groups(boards_of_all_kinds(options.boards))
    results, solvers, known = [], {}, {}
    for setting in SETTINGS:
        key = (setting.attempt, setting.steps)
        if key not in solvers:
            solvers[key] = compiled(model, *key, len(puzzle))
        if (*key, setting.starts) not in known:
            known[*key, setting.starts] = solve(solvers[key], puzzle, setting.starts)
        solved, steps, milliseconds = found = known[*key, setting.starts]
        results.append((setting, found))
        print(
            f"{setting.name}: {setting.steps} steps, {setting.starts} starts: {100 * solved.mean():.1f} % of "
            f"{len(puzzle)} boards, {steps.mean():.0f} steps and {milliseconds:.0f} ms for a board",
            flush=True,
        )
    print(f"\n{table(results, by['kind'])}")
    more = {f"{name} {kind}": members for kind in ("givens", "guesses") for name, members in by[kind].items()}
    print(f"\n{table(results, more)}", flush=True)
    if options.picture:
        plots.save(draw(results, by), options.picture)
    if options.json:
        entries = [
            {"name": s.name, "steps": s.steps, "starts": s.starts, "solved": solved.tolist(), "ms": ms}
            for s, (solved, _, ms) in results
        ]
        boards = {kind: {name: np.flatnonzero(one).tolist() for name, one in m.items()} for kind, m in by.items()}
        pathlib.Path(options.json).write_text(json.dumps({"boards": boards, "settings": entries}) + "\n")


if __name__ == "__main__":
    main()
