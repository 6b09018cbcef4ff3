"""The TFDS builder `sudoku`: generated puzzles with unique solutions, no download."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from training.datasets.sudoku import generator
from training.datasets.sudoku.kinds import Climbing, Digging, Mixture

_DESCRIPTION = """
Sudoku puzzles on 4x4 and 9x9 boards, generated from a seed. Each puzzle has exactly one solution, no puzzle occurs
twice in a split, and no solution grid of a test split occurs in a train split.
"""

_CITATION = """
@inproceedings{miyato2025artificial,
  title={Artificial {K}uramoto Oscillatory Neurons},
  author={Miyato, Takeru and L{\\"o}we, Sindy and Geiger, Andreas and Welling, Max},
  booktitle={International Conference on Learning Representations},
  year={2025}
}
"""


@dataclasses.dataclass(eq=False, kw_only=True)
class SudokuConfig(tfds.core.BuilderConfig):
    """Configuration of one generated data set.

    Attributes:
        box: side of a box, 2 for 4x4 boards and 3 for 9x9 boards.
        kind: what kind of puzzles: a `Digging`, a `Climbing` or a `Mixture`.
        examples: number of puzzles of each split, such as `{"train": 9000, "test": 1000}`.
        seed: non-negative integer from which all puzzles follow.
        workers: number of threads that generate; all available cores by default. Has no influence on the puzzles.
    """

    box: int
    kind: Digging | Climbing | Mixture
    examples: dict[str, int]
    seed: int = 0
    workers: int | None = None

    def variant(self, seed=None, examples=None):
        """The same kind of puzzles from another seed, or another number of them.

        The name of the variant tells what differs, so that it gets a directory of its own on disk.

        Args:
            seed: non-negative integer; unchanged by default.
            examples: dictionary from the names of splits to numbers of puzzles; unchanged by default.

        Returns:
            `SudokuConfig`.

        Raises:
            ValueError: if `examples` names a split that this configuration doesn't have.

        Example:

        >>> Sudoku.builder_configs["9x9"].variant(seed=7, examples={"train": 100, "test": 20}).name
        '9x9_seed7_train100_test20'
        """
        changes = {}
        name = self.name
        if seed is not None and seed != self.seed:
            changes["seed"] = seed
            name += f"_seed{seed}"
        if examples is not None and examples != self.examples:
            unknown = sorted(set(examples) - set(self.examples))
            if unknown or not examples:
                raise ValueError(
                    f"examples must be given for splits of {self.name!r} ({', '.join(self.examples)}), got {examples!r}"
                )
            changes["examples"] = dict(examples)
            name += "".join(f"_{split}{count}" for split, count in examples.items())
        return dataclasses.replace(self, name=name, **changes) if changes else self


def puzzle_features(size):
    """Features of every Sudoku builder: `puzzle` and `solution` `(size, size)` int32, and `givens`, a scalar int32."""
    return tfds.features.FeaturesDict(
        {
            "puzzle": tfds.features.Tensor(shape=(size, size), dtype=np.int32),
            "solution": tfds.features.Tensor(shape=(size, size), dtype=np.int32),
            "givens": tfds.features.Scalar(dtype=np.int32),
        }
    )


class Sudoku(tfds.core.GeneratorBasedBuilder):
    """Generated Sudoku puzzles, each with exactly one solution.

    | config        | splits                   | givens                                                      |
    | ------------- | ------------------------ | ----------------------------------------------------------- |
    | `4x4`         | 10,000 train, 1,000 test | 4 to 10, each equally often                                 |
    | `9x9`         | 9,000 train, 1,000 test  | 31 to 42, each equally often                                |
    | `9x9_hard`    | 1,000 test               | 21 to 28, on average 24.4                                   |
    | `9x9_mixed`   | 10,000 train, 1,000 test | 18 to 42: easy and hard ones, with few givens and with many |
    | `9x9_extreme` | 1,000 test               | as `9x9_hard`, and many guesses for a search                |

    In `9x9_hard` every given is needed: without any one of them, the puzzle has several solutions. These puzzles are
    what one pass of digging leaves, in random order over a random grid. (The hard set of `rrn_sudoku` has 17 to 34
    givens; puzzles with fewer than 20 are too rare to be met that way.) Those of `9x9_mixed` and `9x9_extreme` were
    changed from there, see `Climbing`.

    A solution grid is either on the train side or on the test side (about one in five), by a hash of its digits: the
    test splits hold grids that no train split holds, for all seeds. In `9x9_mixed` and `9x9_extreme` that is so for all
    symmetries of a grid together. There are only 288 grids of 4x4, so that symmetries such as a relabelling of digits
    turn train grids into test grids there: augment 9x9 boards only.

    Example:

    >>> builder = Sudoku(config="9x9", data_dir=data_dir)
    >>> builder.download_and_prepare()
    >>> dataset = builder.as_dataset(split="train")
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar = [
        SudokuConfig(
            name="4x4",
            description="4x4 boards with 4 to 10 givens.",
            box=2,
            kind=Digging((4, 10)),
            examples={"train": 10_000, "test": 1_000},
        ),
        SudokuConfig(
            name="9x9",
            description="9x9 boards with 31 to 42 givens.",
            box=3,
            kind=Digging((31, 42)),
            examples={"train": 9_000, "test": 1_000},
        ),
        SudokuConfig(
            name="9x9_hard",
            description="9x9 boards from which no given can be taken away.",
            box=3,
            kind=Digging(None),
            examples={"test": 1_000},
        ),
        SudokuConfig(
            name="9x9_mixed",
            description="9x9 boards from easy ones to hard ones, with many givens and with few.",
            box=3,
            kind=Mixture(
                (
                    Climbing((0, 0), extra=(0, 18)),
                    Climbing((0, 300)),
                    Climbing((0, 300), extra=(0, 6)),
                    Climbing((0, 300), fewer_givens=True),
                    Climbing((0, 300), fewer_givens=True, extra=(0, 17)),
                )
            ),
            examples={"train": 10_000, "test": 1_000},
        ),
        SudokuConfig(
            name="9x9_extreme",
            description="9x9 boards that were changed until a search needs many guesses.",
            box=3,
            kind=Climbing((2000, 2000)),
            examples={"test": 1_000},
        ),
    ]

    def _info(self):
        return self.dataset_info_from_configs(
            description=_DESCRIPTION,
            citation=_CITATION,
            features=puzzle_features(self.builder_config.box**2),
            supervised_keys=("puzzle", "solution"),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {split: self._generate_examples(split) for split in self.builder_config.examples}

    def _generate_examples(self, split):
        config = self.builder_config
        puzzles = generator.generate_puzzles(
            config.examples[split],
            box=config.box,
            kind=config.kind,
            side=split,
            seed=config.seed,
            workers=config.workers,
        )
        for index, (puzzle, solution, givens) in enumerate(
            zip(puzzles.puzzle, puzzles.solution, puzzles.givens, strict=True)
        ):
            yield index, {"puzzle": puzzle, "solution": solution, "givens": givens}
