import numpy as np


def assert_same(found, wanted, tolerance=2e-5):
    assert set(found) == set(wanted)
    for name in found:
        np.testing.assert_allclose(found[name], wanted[name], rtol=tolerance, atol=tolerance, err_msg=name)


def assert_answers(answers, wanted):
    assert len(answers) == len(wanted["solution"])
    for index, answer in enumerate(answers):
        assert set(answer) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(answer[name], value[index], rtol=1e-5, err_msg=name)
