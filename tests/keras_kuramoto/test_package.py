"""What importing the library brings with it, and the examples in its docstrings."""

import ast
import doctest
import importlib
import pathlib
import pkgutil
import re

import pytest
from backend_helpers import BACKEND, run_python

import keras_kuramoto

PACKAGES = (
    "layers",
    "models",
    "solvers",
    "ops",
    "energies",
    "lagrangians",
    "potentials",
    "layouts",
    "learning_rules",
    "metrics",
)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(keras_kuramoto.__path__, "keras_kuramoto.")
    if not module.name.endswith("__main__")
)


def test_importing_the_library_brings_no_more_than_its_backend():
    # Keras itself imports Matplotlib where that is installed.
    program = """
import sys
import keras
before = set(sys.modules)
import keras_kuramoto, keras_kuramoto.interop.akorn
for modules in (sys.modules, set(sys.modules) - before):
    print(*{name.split(".")[0] for name in modules})
"""
    done = run_python("-c", program)
    assert done.returncode == 0, done.stderr
    modules, ours = (set(line.split()) for line in done.stdout.strip().splitlines()[-2:])
    assert BACKEND in modules
    assert not modules & {"tensorflow_datasets", "tensorboard", "training", "export"}
    assert not modules & ({"tensorflow", "torch"} - {BACKEND})
    assert not ours & {"matplotlib", "scipy", "jax", "tensorflow", "torch"}


def test_only_one_folder_imports_a_backend():
    root = pathlib.Path(keras_kuramoto.__file__).parent
    found = {}
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            if {name.split(".")[0] for name in names} & {"tensorflow", "jax", "torch"}:
                found.setdefault(path.relative_to(root).parts[0], []).append(str(path))
    assert set(found) == {"_backend"}, found


def test_every_public_name_has_its_row_in_the_table_of_the_api():
    table = keras_kuramoto.layers.__doc__
    rows = {name for line in table.splitlines() if line.startswith("|") for name in re.findall(r"`([\w.]+)`", line)}
    for package in (*PACKAGES, "interop.akorn", "interop.hkmemory"):
        module = importlib.import_module(f"keras_kuramoto.{package}")
        prefix = "" if package == "layers" else f"{package}."
        missing = {f"{prefix}{name}" for name in public_names(module)} - rows
        assert not missing, sorted(missing)
    # And nothing that does not exist.
    for row in rows:
        *package, name = row.split(".")
        assert hasattr(importlib.import_module(".".join(["keras_kuramoto", *(package or ["layers"])])), name), row


def public_names(module):
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return getattr(module, "__all__", [name for name in own if not name.startswith("_")])


# Base classes, which have no use by themselves.
ABSTRACT = {"ImageModel", "MemoryClassifier", "PositionEncoding", "SudokuModel"}


class _Checker(doctest.OutputChecker):
    """Takes the shapes of TensorFlow and PyTorch as the tuples that they are."""

    def check_output(self, want, got, optionflags):
        got = re.sub(r"(?:TensorShape|torch\.Size)\(\[([\d, ]*)\]\)", self._tuple, got)
        return super().check_output(want, got, optionflags)

    @staticmethod
    def _tuple(match):
        return f"({match[1]},)" if match[1].isdecimal() else f"({match[1]})"


# Examples are to be right; that layers work on every backend is what their own tests say.
@pytest.mark.skipif(BACKEND == "jax", reason="JAX would compile each operation of an example by itself")
@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(_Checker())
    failures = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=failures.append)
    assert not failures, "".join(failures)


def test_everything_public_is_documented_with_an_example():
    for package in PACKAGES:
        module = getattr(keras_kuramoto, package)
        for name, value in vars(module).items():
            ours = getattr(value, "__module__", "").startswith(getattr(module, "__name__", package))
            if ours and callable(value) and not name.startswith("_") and name not in ABSTRACT:
                assert ">>>" in value.__doc__, f"{package}.{name}"
