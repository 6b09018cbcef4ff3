import numpy as np


def assert_same(found, wanted, tolerance=2e-5):
    assert set(found) == set(wanted)
    for name in found:
        np.testing.assert_allclose(found[name], wanted[name], rtol=tolerance, atol=tolerance, err_msg=name)
