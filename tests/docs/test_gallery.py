"""The scripts of the gallery, with their sizes made smaller. The site runs them as they are."""

import ast
import pathlib

import matplotlib
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = pathlib.Path(__file__).parents[2]
# The constants of a script that are replaced.
SMALLER = {
    "automaton": {"PEOPLE": 2},
    "editing": {"EXAMPLES": 64, "EPOCHS": 1, "EDIT_EPOCHS": 1, "NEIGHBOURS": 4},
    "film": {"FRAMES": 10, "STEPS": 30},
    "fine_tuning": {"EXAMPLES": 64, "EPOCHS": 1, "TEST": 32},
    "fish": {"SIZE": 16, "STEPS": 50},
    "karate_club": {"NEURONS": 200, "STEPS": 20},
    "multiplexing": {"EXAMPLES": 64, "EPOCHS": 1, "HIDDEN": 4},
    "noisy_digits": {"SHOWN": 4, "PATTERNS": 20},
    "objects": {"IMAGES": 2, "UP_TILING": 1},
    "same_layer_everywhere": {"OSCILLATORS": 4, "STEPS": 3, "BACKENDS": ("tensorflow",)},
    "sudoku": {"STEPS": 4},
    "synapses": {"NEURONS": 20, "STEPS": 50},
}


def test_every_script_is_run():
    assert sorted(SMALLER) == sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("name", sorted(SMALLER))
def test_a_script_makes_its_picture(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = ROOT / "examples" / f"{name}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= 60
    pictures = []
    monkeypatch.setattr(plt, "show", lambda: pictures.extend(plt.get_fignums()))
    exec(compile(with_constants(ast.parse(source), SMALLER[name]), str(path), "exec"), {"__name__": name})
    assert pictures
    plt.close("all")


def with_constants(tree, values):
    """The program with other values of constants at its top."""
    left = dict(values)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Name, ast.Tuple)):
            targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets
            names = [getattr(target, "id", "") for target in targets]
            if set(names) & set(left):
                old = node.value.elts if isinstance(node.targets[0], ast.Tuple) else [node.value]
                new = [ast.Constant(left.pop(name)) if name in left else value for name, value in zip(names, old)]
                node.value = ast.Tuple(new, ast.Load()) if isinstance(node.targets[0], ast.Tuple) else new[0]
    assert not left, f"no such constants: {sorted(left)}"
    return ast.fix_missing_locations(tree)
