import keras
import numpy as np
import pytest
import tensorflow as tf
from export_helpers import assert_same

from export.golden import Case
from export.oscillators import initial_noise
from export.servers import server_for
from export.sudoku import SudokuServer
from keras_kuramoto.models import SudokuModel
from training.datasets.sudoku import is_valid_board

NUMBERS = {
    "serving_default": {},
    "solve_steps": {"num_steps": [6, 1, 3, 9, 2]},
    "vote": {"num_steps": [3, 6, 1, 2, 4], "num_samples": [10, 1, 3, 2, 9], "seed": [0, 4, -7, 2**31 - 1, 4]},
    "search": {"num_steps": [3, 6, 1, 2, 4], "num_samples": [10, 1, 3, 2, 9], "seed": [0, 4, -7, 2**31 - 1, 4]},
}


@pytest.mark.parametrize("signature", NUMBERS)
def test_shapes_types_and_given_digits(served, boards, signature):
    answer = served(signature, board=boards, **NUMBERS[signature])
    more = {"energy_sum", "sample", "steps"} if signature in ("vote", "search") else set()
    assert set(answer) == {"solution", "solved", "probability", "energy", "steps"} | more
    assert answer["solution"].shape == answer["probability"].shape == (5, 4, 4)
    assert answer["energy"].shape == (5,)
    assert answer["solution"].dtype == np.int32
    assert answer["probability"].dtype == answer["energy"].dtype == np.float32
    given = boards > 0
    assert (answer["solution"][given] == boards[given]).all()
    assert (answer["probability"][given] == 1).all()
    assert ((answer["solution"] >= 1) & (answer["solution"] <= 4)).all()
    blank = answer["probability"][~given]
    assert ((blank >= 0.25) & (blank < 1)).all()
    assert answer["solved"].tolist() == [is_valid_board(solution) for solution in answer["solution"]]


@pytest.mark.parametrize("signature", NUMBERS)
def test_answers_do_not_depend_on_the_batch(served, boards, signature):
    together = served(signature, board=boards, **NUMBERS[signature])
    for index in range(5):
        numbers = {name: values[index : index + 1] for name, values in NUMBERS[signature].items()}
        alone = served(signature, board=boards[index : index + 1], **numbers)
        assert_same(alone, {name: value[index : index + 1] for name, value in together.items()})


def test_answers_are_those_of_the_keras_model(model, served):
    server = SudokuServer(model)
    for case in server.sample_cases():
        if case.fault:
            with pytest.raises(tf.errors.InvalidArgumentError, match=case.error):
                served(case.signature, **case.inputs)
        else:
            assert_same(served(case.signature, **case.inputs), server.keras_answers(case))


def test_signatures_agree_where_they_mean_the_same(served, boards):
    default = served("serving_default", board=boards)
    assert_same(served("solve_steps", board=boards, num_steps=[6] * 5), default)
    vote = served("vote", board=boards, num_steps=6, num_samples=1, seed=0)
    assert_same({name: vote[name] for name in default}, default)
    assert (vote["sample"] == 0).all()
    more = served("solve_steps", board=boards, num_steps=[7] * 5)
    assert abs(more["energy"] - default["energy"]).max() > 1e-3


def test_scalars_and_one_number_for_each_board_are_the_same(served, boards):
    numbers = {"num_steps": 3, "num_samples": 5, "seed": 2}
    scalars = served("vote", board=boards, **numbers)
    assert_same(served("vote", board=boards, **{name: [value] * 5 for name, value in numbers.items()}), scalars)
    mixed = {**numbers, "seed": [2] * 5}
    assert_same(served("vote", board=boards, **mixed), scalars)


def test_same_seed_same_answer_and_other_seed_other_oscillators(served, boards):
    one, again, other = (served("vote", board=boards, num_steps=3, num_samples=3, seed=seed) for seed in (1, 1, 2))
    for name in one:
        np.testing.assert_array_equal(one[name], again[name])
    blank = (boards == 0).any((1, 2))
    assert (abs(one["energy_sum"] - other["energy_sum"])[blank] > 1e-3).all()
    # A full board has no oscillators left to draw.
    assert one["energy_sum"][~blank] == pytest.approx(other["energy_sum"][~blank])


def test_vote_picks_the_lowest_sum_of_energies(model, served, boards):
    samples, seed, steps = 20, 3, 5
    noise = np.stack([initial_noise(tf.constant(seed), tf.constant(i), (4, 4, 64)) for i in range(samples)])
    for board in (boards[0], boards[4]):
        logits, energies = model.run(
            np.repeat(board[None], samples, 0), noise=noise, num_steps=steps, return_energy=True
        )
        sums = np.asarray(energies).sum(1)
        best = int(sums.argmin())
        assert best != 0
        answer = served("vote", board=board[None], num_steps=steps, num_samples=samples, seed=seed)
        assert answer["sample"] == [best]
        assert answer["energy_sum"] == pytest.approx(sums[best], rel=1e-5)
        assert answer["energy"] == pytest.approx(np.asarray(energies)[best, -1], rel=1e-5)
        digits = np.asarray(logits)[best].argmax(-1) + 1
        np.testing.assert_array_equal(answer["solution"][0], np.where(board > 0, board, digits))


def test_more_samples_never_raise_the_energy(served, boards):
    # Beside another board with as many samples in each request: the same ones run together then, to the last bit.
    sums = [
        served("vote", board=boards[[4, 4]], num_steps=4, num_samples=[number, 33], seed=0)["energy_sum"][0]
        for number in (1, 4, 9, 16, 33)
    ]
    assert (np.diff(sums) <= 0).all()
    assert sums[-1] < sums[0]


@pytest.mark.parametrize("signature", ["serving_default", "search"])
def test_boards_that_are_complete_contradictory_or_empty(served, boards, signature):
    full = boards[3]
    wrong = full.copy()
    wrong[0, 0] = full[0, 1]
    # Two of a digit in a row, and blanks beside them.
    contradictory = np.zeros_like(full)
    contradictory[0, :2] = 3
    # No rule is broken by what is given, and yet there is no solution: the last cell of the row has no digit left.
    hopeless = np.zeros_like(full)
    hopeless[0, :3], hopeless[1, 3] = (1, 2, 3), 4
    given = np.stack([full, wrong, contradictory, hopeless, np.zeros_like(full)])
    numbers = {"num_steps": 6, "num_samples": 3, "seed": 0} if signature == "search" else {}
    answer = served(signature, board=given, **numbers)
    assert answer["solved"].tolist()[:4] == [1, 0, 0, 0]
    np.testing.assert_array_equal(answer["solution"][:2], given[:2])
    assert (answer["solution"][given > 0] == given[given > 0]).all()
    assert answer["solved"][4] == is_valid_board(answer["solution"][4])
    if signature == "search":
        # Nothing is left to be done after a first run, or after one of each start.
        assert answer["steps"].tolist()[:3] == [6, 18, 18]


@pytest.mark.parametrize(
    ("signature", "changes", "message"),
    [
        ("serving_default", {"digit": 5}, "`board` must be from 0 to 4"),
        ("serving_default", {"digit": -1}, "`board` must be from 0 to 4"),
        ("solve_steps", {"num_steps": [1, 0, 1, 1, 1]}, "`num_steps` must be from 1 to 1024"),
        ("vote", {"num_steps": 1025}, "`num_steps` must be from 1 to 1024"),
        ("vote", {"num_samples": 0}, "`num_samples` must be from 1 to 4096"),
        ("vote", {"num_samples": 5000}, "`num_samples` must be from 1 to 4096"),
        ("vote", {"seed": [1, 2, 3]}, "`seed` must have one entry for each example of `board`, or be a scalar"),
    ],
)
def test_wrong_numbers_are_errors_that_name_the_range(served, boards, signature, changes, message):
    boards, changes = boards.copy(), dict(changes)
    if "digit" in changes:
        boards[2, 0, 0] = changes.pop("digit")
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        served(signature, board=boards, **{**NUMBERS[signature], **changes})


@pytest.mark.parametrize("signature", ["solve_steps", "vote", "search"])
def test_boards_that_rest_stop_early_and_leave_the_others_alone(model, boards, signature):
    # Weights that were never trained keep turning: what counts as rest here is a movement that some boards stay below.
    server = SudokuServer(model, tolerance=0.9)
    answer, numbers = server.functions[signature], {"num_steps": tf.fill([5], 40)}
    if signature != "solve_steps":
        numbers.update(num_samples=tf.ones(5, tf.int32), seed=tf.zeros(5, tf.int32))
    together = {name: value.numpy() for name, value in answer(board=boards, **numbers).items()}
    if signature != "search":
        assert together["steps"].min() == 1
        assert together["steps"].max() == 40
        assert len(set(together["steps"].tolist())) > 2
    for index in range(5):
        own = {name: value[index : index + 1] for name, value in numbers.items()}
        alone = answer(board=boards[index : index + 1], **own)
        assert_same(alone, {name: value[index : index + 1] for name, value in together.items()})
    case = Case(signature, {"board": boards, **{name: value.numpy() for name, value in numbers.items()}})
    assert_same(together, server.keras_answers(case))


@pytest.mark.parametrize("signature", NUMBERS)
def test_an_empty_batch_is_an_error(served, signature):
    numbers = {name: np.zeros(0, np.int32) for name in NUMBERS[signature]}
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold from 1 to 32 examples"):
        served(signature, board=np.zeros((0, 4, 4)), **numbers)


def test_mixed_precision_is_served_in_float32(boards):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = SudokuModel.from_preset("sudoku4_quick", load_weights=False, num_steps=2, channels=32)
    finally:
        keras.config.set_dtype_policy(before)
    server = SudokuServer(model)
    function = server.functions["serving_default"]
    graph = function.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for body in graph.library.function for node in body.node_def)]
    assert tf.bfloat16.as_datatype_enum not in {value.type for node in nodes for value in node.attr.values()}
    assert_same(
        {name: value.numpy() for name, value in function(tf.constant(boards)).items()},
        server.keras_answers(Case("serving_default", {"board": boards})),
    )


def test_a_model_without_energy_has_the_default_signature_alone(boards):
    model = SudokuModel.from_preset(
        "sudoku9_small_transformer", load_weights=False, board_size=4, channels=32, blocks=1
    )
    server = SudokuServer(model)
    assert set(server.signatures()) == {"serving_default"}
    answer = server.functions["serving_default"](tf.constant(boards))
    assert set(answer) == {"solution", "solved", "probability"}
    case = server.sample_cases()[0]
    assert_same({name: value.numpy() for name, value in answer.items()}, server.keras_answers(case))


def test_bad_arguments(model):
    with pytest.raises(ValueError, match=r"Only these models can be exported: SudokuModel, .*Received a Sequential"):
        server_for(keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match="has no limit `steps`"):
        server_for(model, steps=3)
    with pytest.raises(ValueError, match=r"`max_steps` must be an integer of at least 1. Received 0"):
        SudokuServer(model, max_steps=0)
    with pytest.raises(ValueError, match="`max_samples`"):
        SudokuServer(model, max_samples=2.5)
