"""Training with half the digits."""

import keras
import numpy as np
import pytest
import tiny

from training.loop import Trainer
from training.runs import RunDirectory
from training.strategies import make_strategy


class ManyBoards(tiny.TinyExperiment):
    """Enough boards that what is learned holds for others."""

    def train_boards(self):
        return self._many(range(0, 16))

    def test_boards(self):
        return self._many(range(16, 24))

    @staticmethod
    def _many(seeds):
        parts = [tiny.boards(seed) for seed in seeds]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.fixture
def any_policy():
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def accuracy(path, policy):
    """Share of the blank cells of other boards that are right after a short training."""
    keras.config.set_dtype_policy(policy)
    run = RunDirectory(path)
    settings = tiny.options(
        arguments={"channels": 32, "connectivity": {"heads": 2}},
        symmetries=False,
        min_steps=4,
        max_steps=4,
        batch_size=16,
        test_boards=0,
        steps=120,
        steps_per_call=120,
        evaluate_every=120,
        checkpoint_every=120,
    )
    run.create({"experiment": "sudoku", "preset": "tiny", "options": settings})
    Trainer(ManyBoards(settings), run, make_strategy("cpu"), verbose=False).train()
    return tiny.losses(path)[-1][-1]


def test_mixed_bfloat16_learns_what_float32_learns(tmp_path, any_policy):
    full, mixed = [accuracy(tmp_path / policy, policy) for policy in ("float32", "mixed_bfloat16")]
    assert full > 0.9
    assert mixed == pytest.approx(full, abs=0.02)
