"""TFDS builders for published Sudoku data sets: `satnet_sudoku`, `rrn_sudoku` and `sudoku_extreme`.

The first two download their archive from where the authors put it. Where that fails, put the archive into the directory
`downloads/manual` of the data directory (or into `manual_dir` of TFDS's `DownloadConfig`) under the name given in the
class, and prepare again. The files of the third have to be put there.
"""

import csv
import pathlib
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from training.datasets.manual import manual_files
from training.datasets.sudoku.board import check_board, parse_board
from training.datasets.sudoku.builder import puzzle_features


class SatnetSudoku(tfds.core.GeneratorBasedBuilder):
    """The Sudoku data set of SATNet: 9,000 train and 1,000 test puzzles with 31 to 42 givens.

    The archive `sudoku.zip` holds `features.pt` and `labels.pt`, one-hot tensors `(10000, 9, 9, 9)` of puzzles (all
    zero for a blank) and solutions. The first nine tenths are the train split, as in the authors' code. Reading them
    needs PyTorch. Features are those of the generated data sets: `puzzle` and `solution` `(9, 9)` int32, and `givens`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    URL = "https://powei.tw/sudoku.zip"
    ARCHIVE = "sudoku.zip"
    SPLITS = ("train", "test")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Optional: {URL}, saved as {ARCHIVE}, is used instead of a download."

    def _info(self):
        return self.dataset_info_from_configs(
            description="9x9 Sudoku puzzles with unique solutions, published with SATNet.",
            homepage="https://github.com/locuslab/SATNet",
            citation="""
            @inproceedings{wang2019satnet,
              title={{SATN}et: Bridging deep learning and logical reasoning using a differentiable satisfiability
                solver},
              author={Wang, Po-Wei and Donti, Priya and Wilder, Bryan and Kolter, Zico},
              booktitle={International Conference on Machine Learning},
              year={2019}
            }
            """,
            features=puzzle_features(9),
            supervised_keys=("puzzle", "solution"),
        )

    def _split_generators(self, dl_manager):
        folder = _extracted(dl_manager, self.URL, self.ARCHIVE)
        features = _find(folder, "features.pt")
        labels = _find(folder, "labels.pt")
        return {split: self._generate_examples(features, labels, split) for split in self.SPLITS}

    def _generate_examples(self, features, labels, split):
        puzzles = _digits_of_one_hot(features, blanks=True)
        solutions = _digits_of_one_hot(labels, blanks=False)
        if len(puzzles) != len(solutions):
            raise ValueError(f"{features} has {len(puzzles)} boards, but {labels} has {len(solutions)}")
        train = len(puzzles) * 9 // 10
        indices = range(train) if split == "train" else range(train, len(puzzles))
        for index in indices:
            yield index, _example(puzzles[index], solutions[index], f"{features}, board {index + 1}")


class RrnSudoku(tfds.core.GeneratorBasedBuilder):
    """The Sudoku data set of recurrent relational networks, with 17 to 34 givens: the hard boards of the papers since.

    The archive `sudoku-hard.zip` holds `train.csv`, `valid.csv` and `test.csv`, with a line `puzzle,solution` of 81
    digits each (0 for a blank) for each board. Features are those of the generated data sets: `puzzle` and `solution`
    `(9, 9)` int32, and `givens`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    URL = "https://www.dropbox.com/s/rp3hbjs91xiqdgc/sudoku-hard.zip?dl=1"
    ARCHIVE = "sudoku-hard.zip"
    SPLITS = ("train", "validation", "test")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Optional: {URL}, saved as {ARCHIVE}, is used instead of a download."

    def _info(self):
        return self.dataset_info_from_configs(
            description="9x9 Sudoku puzzles with unique solutions, published with recurrent relational networks.",
            homepage="https://github.com/rasmusbergpalm/recurrent-relational-networks",
            citation="""
            @inproceedings{palm2018recurrent,
              title={Recurrent Relational Networks},
              author={Palm, Rasmus and Paquet, Ulrich and Winther, Ole},
              booktitle={Advances in Neural Information Processing Systems},
              year={2018}
            }
            """,
            features=puzzle_features(9),
            supervised_keys=("puzzle", "solution"),
        )

    def _split_generators(self, dl_manager):
        folder = _extracted(dl_manager, self.URL, self.ARCHIVE)
        files = {"train": "train.csv", "validation": "valid.csv", "test": "test.csv"}
        return {split: self._generate_examples(_find(folder, files[split])) for split in self.SPLITS}

    def _generate_examples(self, path):
        with open(path, encoding="ascii", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                text = line.strip()
                if not text:
                    continue
                where = f"{path}, line {number}"
                fields = text.split(",")
                if len(fields) != 2 or any(len(field) != 81 or not field.isdigit() for field in fields):
                    shown = text if len(text) <= 200 else text[:200] + "…"
                    raise ValueError(f"{where}: expected two fields of 81 digits, separated by a comma, got {shown!r}")
                puzzle, solution = (np.array(list(field), np.int32).reshape(9, 9) for field in fields)
                yield number, _example(puzzle, solution, where)


class SudokuExtreme(tfds.core.GeneratorBasedBuilder):
    """Sudoku-Extreme, the set by which recurrent solvers are compared: HRM, TRM and their successors.

    The files `train.csv` and `test.csv` belong into the folder `downloads/manual/sudoku-extreme` of the data directory.
    Their columns are source, question (`.` for a blank), answer and rating: how often a search had to go back. Features
    are those of the generated data sets: `puzzle` and `solution` `(9, 9)` int32, and `givens`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    SPLITS = ("train", "test")
    COLUMNS = ("source", "question", "answer", "rating")
    SOURCE = "train.csv and test.csv of the data set sapientinc/sudoku-extreme on huggingface.co (Sudoku-Extreme)"
    MANUAL_DOWNLOAD_INSTRUCTIONS = SOURCE

    def _info(self):
        return self.dataset_info_from_configs(
            description="9x9 Sudoku puzzles that are hard for a search, published with Hierarchical Reasoning Models.",
            homepage="https://huggingface.co/datasets/sapientinc/sudoku-extreme",
            citation="""
            @article{wang2025hierarchical,
              title={Hierarchical Reasoning Model},
              author={Wang, Guan and Li, Jin and Sun, Yuhao and others},
              journal={arXiv preprint arXiv:2506.21734},
              year={2025}
            }
            """,
            features=puzzle_features(9),
            supervised_keys=("puzzle", "solution"),
        )

    def _split_generators(self, dl_manager):
        paths = manual_files(dl_manager, [f"sudoku-extreme/{split}.csv" for split in self.SPLITS], self.SOURCE)
        return {split: self._generate_examples(path) for split, path in zip(self.SPLITS, paths)}

    def _generate_examples(self, path):
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            reader = csv.DictReader(file)
            if not set(self.COLUMNS) <= set(reader.fieldnames or ()):
                raise ValueError(f"{path}, line 1: expected the columns {','.join(self.COLUMNS)}")
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                try:
                    puzzle, solution = (parse_board(row[name] or "") for name in ("question", "answer"))
                except ValueError as error:
                    raise ValueError(f"{where}: {error}") from error
                if puzzle.shape != solution.shape or len(puzzle) != 9:
                    raise ValueError(f"{where}: question and answer must have 81 cells each")
                yield reader.line_num, _example(puzzle, solution, where)


def _example(puzzle, solution, where):
    """An example of the data set, once it is certain that the solution is one, and one of this puzzle."""
    try:
        check_board(solution)
    except ValueError as error:
        raise ValueError(f"{where}: the solution is wrong: {error}") from error
    if not solution.all():
        raise ValueError(f"{where}: the solution has blank cells")
    wrong = np.argwhere((puzzle != 0) & (puzzle != solution))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"{where}: the solution has {solution[row, column]} in row {row + 1}, column {column + 1}, "
            f"where the puzzle gives {puzzle[row, column]}"
        )
    return {"puzzle": puzzle, "solution": solution, "givens": np.count_nonzero(puzzle)}


def _digits_of_one_hot(path, blanks):
    """Reads a one-hot tensor file as `(boards, 9, 9)` int32 digits; all-zero cells are blanks, where allowed."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "the data set satnet_sudoku is stored in PyTorch's format; install PyTorch to prepare it: pip install torch"
        ) from error
    try:
        tensor = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is not a tensor saved by PyTorch: {error}") from error
    if not isinstance(tensor, torch.Tensor) or tensor.shape[1:] != (9, 9, 9):
        got = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise ValueError(f"{path} must hold a tensor of shape (boards, 9, 9, 9), got {got}")
    one_hot = tensor.numpy()
    total = one_hot.sum(axis=-1)
    wrong = ((one_hot != 0) & (one_hot != 1)).any(axis=-1) | (total > 1)
    if not blanks:
        wrong |= total == 0
    if wrong.any():
        board, row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"{path}, board {board + 1}: row {row + 1}, column {column + 1} is not one-hot, "
            f"got {one_hot[board, row, column].tolist()}"
        )
    return np.where(total == 0, 0, one_hot.argmax(axis=-1) + 1).astype(np.int32)


def _extracted(dl_manager, url, archive):
    """Directory with the unpacked archive: one that was put there by hand if there is one, else the download."""
    try:
        manual = dl_manager.manual_dir / archive
        if manual.exists():
            return pathlib.Path(dl_manager.extract(manual))
    except AssertionError:
        # TFDS's way to say that the directory for manual downloads does not exist or is empty.
        pass
    # The address may end in a query, from which TFDS can't tell how to unpack the file.
    resource = tfds.download.Resource(url=url, extract_method=tfds.download.ExtractMethod.ZIP)
    try:
        return pathlib.Path(dl_manager.download_and_extract(resource))
    except (OSError, tfds.download.DownloadError) as error:
        raise OSError(
            f"could not download {url}; get it in another way and save it as "
            f"{dl_manager.download_dir / 'manual' / archive}"
        ) from error


def _find(folder, name):
    """The one file of this name below a folder: archives differ in whether they have a folder of their own inside."""
    # Archives made on a Mac have a twin "._name" of each file, in another folder.
    found = sorted(path for path in pathlib.Path(folder).rglob(name) if "__MACOSX" not in path.parts)
    if len(found) != 1:
        raise ValueError(f"expected one file {name} in the archive, found {len(found)} in {folder}")
    return found[0]
