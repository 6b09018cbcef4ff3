"""Reading prepared data sets into memory."""

from training.datasets.records import prepare, read_split


def load(config, split, data_dir=None):
    """Reads a split of a Sudoku data set into memory, preparing the data set first if that was not done before.

    Args:
        config: `"4x4"`, `"9x9"`, `"9x9_hard"`, `"9x9_mixed"`, `"9x9_extreme"` or a `SudokuConfig` for generated
            puzzles; for published ones `"satnet_sudoku"`, `"rrn_sudoku"`, which are downloaded, or `"sudoku_extreme"`.
        split: `"train"` or `"test"`; `"rrn_sudoku"` has a `"validation"` split, too, `"9x9_hard"` and
            `"9x9_extreme"` have `"test"` only.
        data_dir: directory for prepared data sets; that of TensorFlow Datasets by default (`~/tensorflow_datasets`,
            or the environment variable `TFDS_DATA_DIR`).

    Returns:
        Dictionary of int32 arrays: `puzzle` and `solution` `(count, size, size)`, 0 for a blank, `givens` `(count,)`.

    Raises:
        ValueError: if the data set or the split is unknown, or damaged on the disk.

    Example:

    >>> train = load("9x9", "train")
    >>> train["puzzle"].shape
    (9000, 9, 9)
    """
    from training.datasets.sudoku.builder import Sudoku, SudokuConfig
    from training.datasets.sudoku.published import RrnSudoku, SatnetSudoku, SudokuExtreme

    published = {builder.name: builder for builder in (SatnetSudoku, RrnSudoku, SudokuExtreme)}
    if isinstance(config, SudokuConfig):
        name, splits = config.name, tuple(config.examples)
    elif config in Sudoku.builder_configs:
        name, splits = config, tuple(Sudoku.builder_configs[config].examples)
    elif config in published:
        name, splits = config, published[config].SPLITS
    else:
        raise ValueError(
            f"unknown Sudoku data set {config!r}; known are {', '.join([*Sudoku.builder_configs, *published])}"
        )
    if split not in splits:
        raise ValueError(f"the Sudoku data set {name!r} has no split {split!r}; known are {', '.join(splits)}")

    options = {} if config in published else {"config": config}
    builder = published.get(config, Sudoku)(data_dir=data_dir, **options)
    prepare(builder)
    return read_split(builder, split)
