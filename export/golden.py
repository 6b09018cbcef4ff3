"""Golden answers: what the Keras model answers, kept beside an exported model to compare with."""

import dataclasses

import numpy as np

BATCH_SIZES = (1, 2, 7, 32)
# Results in float32 of another order of summation, and of another machine, differ by less.
TOLERANCE = 1e-4


@dataclasses.dataclass
class Case:
    """Inputs of a signature, and the answers to them.

    Attributes:
        signature: Name of the signature.
        inputs: Dictionary from names to arrays, scalars or with the batch as first axis: int32, float32, uint8 or
            bytes. NumPy's arrays of bytes, and so these, end at the last byte that is not zero.
        outputs: Dictionary from names to arrays, the batch as first axis: int32, float32 or bytes (UTF-8).
        fault: What is wrong with the inputs, if they are to be rejected, else empty.
        error: A part of the message that they are rejected with.
        tolerance: By how much a float output may differ, as `differences` measures it.
    """

    signature: str
    inputs: dict
    outputs: dict = dataclasses.field(default_factory=dict)
    fault: str = ""
    error: str = ""
    tolerance: float = TOLERANCE

    @property
    def has_scalars(self):
        """Whether an input has no batch axis: a server that joins requests can't take it."""
        return any(not np.ndim(value) for value in self.inputs.values())

    @property
    def size(self):
        """Number of examples."""
        return max(len(value) for value in self.inputs.values() if np.ndim(value))

    def examples(self, number):
        """The case with so many examples, the same ones again after the last: scalars stay as they are."""

        def take(arrays):
            return {
                name: array[np.arange(number) % len(array)] if np.ndim(array) else array
                for name, array in arrays.items()
            }

        return dataclasses.replace(self, inputs=take(self.inputs), outputs=take(self.outputs))


def differences(found, wanted, tolerance=TOLERANCE):
    """How two sets of outputs differ.

    Args:
        found: Dictionary from names to arrays.
        wanted: Likewise.
        tolerance: Largest difference of floats that counts as agreement.

    Returns:
        `(largest, problems)`: the largest difference of a float output, as a share of its value where that is above 1,
        and a list of sentences, empty if the outputs agree: integers and bytes exactly, floats within `tolerance`.
    """
    largest, problems = 0.0, []
    if set(found) != set(wanted):
        problems.append(f"outputs are {sorted(found)}, not {sorted(wanted)}")
    for name in sorted(set(found) & set(wanted)):
        a, b = np.asarray(found[name]), np.asarray(wanted[name])
        # The dtype of bytes has the length of the longest in it.
        if a.shape != b.shape or (a.dtype != b.dtype and {a.dtype.kind, b.dtype.kind} != {"S"}):
            problems.append(f"{name} is {a.dtype} {a.shape}, not {b.dtype} {b.shape}")
        elif a.dtype.kind == "f":
            difference = float((np.abs(a - b) / np.maximum(1, np.abs(b))).max(initial=0))
            largest = max(largest, difference)
            # Not the other way round: a NaN is a problem.
            if not difference <= tolerance:
                problems.append(f"{name} differs by up to {difference:.1e}")
        elif not np.array_equal(a, b):
            problems.append(f"{name} differs in {int((a != b).sum())} of {a.size} values")
    return largest, problems


def save_cases(path, cases):
    """Writes cases to an `.npz` file."""
    arrays = {}
    for index, case in enumerate(cases):
        error = {case.fault: np.array(case.error)} if case.fault else {}
        tolerance = {"value": np.array(case.tolerance)}
        groups = {"inputs": case.inputs, "outputs": case.outputs, "error": error, "tolerance": tolerance}
        for kind, values in groups.items():
            arrays.update({f"{index}/{case.signature}/{kind}/{name}": value for name, value in values.items()})
    np.savez_compressed(path, **arrays)


def load_cases(path):
    """Reads cases from an `.npz` file.

    Raises:
        ValueError: If the file isn't there or isn't of `save_cases`.
    """
    cases = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays.files:
                index, signature, kind, name = key.split("/")
                case = cases.setdefault(int(index), Case(signature, {}))
                if kind == "error":
                    case.fault, case.error = name, str(arrays[key])
                elif kind == "tolerance":
                    case.tolerance = float(arrays[key])
                else:
                    {"inputs": case.inputs, "outputs": case.outputs}[kind][name] = arrays[key]
    except FileNotFoundError:
        raise ValueError(f"'{path}' is missing: the model was not written by this exporter.") from None
    except Exception as error:
        # NumPy and zipfile raise many kinds of errors for a damaged file.
        raise ValueError(f"'{path}' is damaged: {error}") from error
    return [cases[index] for index in sorted(cases)]
