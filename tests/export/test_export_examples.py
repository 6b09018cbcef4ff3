"""The examples in the docstrings; those that need a served model are marked there, and left out."""

import doctest
import importlib
import pkgutil

import pytest

import export

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(export.__path__, "export.") if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    runner, failures = doctest.DocTestRunner(), []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=failures.append)
    assert not failures, "".join(failures)
