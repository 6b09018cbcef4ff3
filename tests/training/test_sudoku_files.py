"""Boards in text files, as strangers' editors write them."""

import io
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from training.datasets.sudoku import format_board, read_boards

ROOT = pathlib.Path(__file__).parents[2]
BOARDS = np.zeros((3, 4, 4), np.int32)
BOARDS[0, 0] = [1, 2, 3, 4]
BOARDS[1, :, 0] = [4, 0, 2, 1]
LINES = ["".join(map(str, board.reshape(-1))) for board in BOARDS]
DRAWN = "\n".join(" ".join(map(str, row)) for row in BOARDS[1]).replace("0", ".")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "boards.txt"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(
    "text",
    [
        "\n".join(LINES),
        "# three boards\n" + "\n\n".join(LINES) + "\n\n",
        "\n\n".join(map(format_board, BOARDS)),
        f"{LINES[0]}\n# drawn:\n{DRAWN}\n\n\n  {LINES[2]}",
    ],
    ids=["lines", "comments", "drawn", "mixed"],
)
def test_lines_and_drawings(path, monkeypatch, text, encoding, newline):
    path.write_bytes(text.replace("\n", newline).encode(encoding))
    for source in (path, str(path)):
        found = read_boards(source)
        np.testing.assert_array_equal(found, BOARDS)
        assert found.dtype == np.int32
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes()), encoding="ascii"))
    np.testing.assert_array_equal(read_boards("-"), BOARDS)


def test_the_locale_does_not_matter(path):
    path.write_bytes(format_board(BOARDS[1]).encode("utf-8-sig"))
    program = f"from training.datasets.sudoku import read_boards; print(read_boards({str(path)!r})[0, 0].tolist())"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert result.stdout.strip() == "[4, 0, 0, 0]", result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no board"),
        ("# nothing\n\n", "holds no board"),
        ("12x4" + "." * 12, "Board 1 of .*, in line 1, is no Sudoku board: .*'x'"),
        ("1234", "16 or 81 cells"),
        ("11" + "." * 14, "row 1 has the digit 1 twice"),
        ("." * 16 + "\n\n" + "." * 81, "different sizes"),
        (
            "." * 16 + "\n" + "7" + "." * 15,
            "Board 2 of .*, in line 2, is no Sudoku board: .*the digits 1 to 4, got 7",
        ),
        # One cell is missing in a file of a board a line.
        ("# two\n" + "." * 16 + "\n" + "." * 15 + "\n" + "." * 16, "Board 2 of .*, in line 3, .*got 15 in"),
        (f"\n{DRAWN}\n\n{DRAWN}1", "Board 2 of .*, in line 7, .*got 17 in"),
    ],
)
def test_what_is_no_board(path, text, message):
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_boards(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", f"# Übung\n{LINES[0]}".encode("latin-1")])
def test_what_is_not_utf_8(path, data):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"can't be read: it is not text in UTF-8\.$"):
        read_boards(path)


def test_what_can_not_be_read(tmp_path):
    with pytest.raises(ValueError, match="can't be read: No such file"):
        read_boards(tmp_path / "nothing")
    with pytest.raises(ValueError, match="can't be read: Is a directory"):
        read_boards(tmp_path)
