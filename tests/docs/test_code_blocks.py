"""The Python blocks of the README and the guides run, those of a page one after another; commands are parsed."""

import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

import export.__main__
import training.__main__

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "guides").glob("*.md"))]
MAINS = {"training": training.__main__.main, "export": export.__main__.main}
# What a page takes as given: the reader's own data.
GIVEN = """
import networkx as nx
import numpy as np
rng = np.random.default_rng(0)
patterns = rng.choice([-1.0, 1.0], (20, 16)).astype("float32")
noisy = patterns[:3] + 0.1
frames = rng.standard_normal((50, 16)).astype("float32")
first_frame = frames[:1]
boards = np.zeros((2, 9, 9), "int32")
graph = nx.cycle_graph(20)
"""


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def identifier(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path, "python")], ids=identifier)
def test_the_python_blocks_of_a_page_run(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    names = {"__name__": "page"}
    exec(GIVEN, names)
    for number, block in enumerate(blocks(path, "python"), 1):
        if "os.environ[" in block:
            # What it sets is read when Keras is imported.
            subprocess.run([sys.executable, "-c", block], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        else:
            exec(compile(block, f"{path.name}, block {number}", "exec"), names)


class ParsedError(Exception):
    """Raised in place of running a command."""


def commands(path):
    """The words of each command, without comments, redirections apart."""
    for block in blocks(path, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = []
            for word in [*lexer, ";"]:
                if set(word) <= set("();<>|&"):
                    yield words
                    words = []
                else:
                    words.append(word)


@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path, "sh")], ids=identifier)
def test_the_commands_of_a_page_are_understood(path, monkeypatch, capsys):
    for name in ("parse_args", "parse_intermixed_args"):
        parse = getattr(argparse.ArgumentParser, name)

        def parse_only(self, args=None, namespace=None, parse=parse):
            parse(self, args, namespace)
            raise ParsedError

        monkeypatch.setattr(argparse.ArgumentParser, name, parse_only)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for words in commands(path):
        if words[:1] == ["make"]:
            assert words[1] in targets, words
        if words[1:2] == ["-m"] and words[2] in MAINS:
            try:
                MAINS[words[2]](words[3:])
            except ParsedError:
                continue
            except SystemExit:
                pass
            pytest.fail(f"{path.name}: {' '.join(words)}: {capsys.readouterr().err}")
