"""Checks an exported model the way a server would run it: without Keras and without this library."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from export import native
from export.card import content_hash, wrong_files
from export.golden import BATCH_SIZES, differences, load_cases, save_cases
from export.runtimes import RUNTIMES, UnsupportedSignatureError
from export.versions import EXTRA, latest_version, read_declaration, read_description

_SCRIPT = pathlib.Path(__file__).parent / "fresh_process.py"


@dataclasses.dataclass
class Row:
    """One line of a check's result.

    Attributes:
        what: What was compared, such as the name of a signature.
        where: Which runtimes, such as "Python runtime".
        examples: Batch sizes, or another detail.
        difference: Largest difference of a float output, as `golden.differences` measures it, or `None`.
        problems: Sentences; empty if all is well.
        note: A remark, such as why something was skipped.
    """

    what: str
    where: str
    examples: str = ""
    difference: float | None = None
    problems: list = dataclasses.field(default_factory=list)
    note: str = ""


@dataclasses.dataclass
class Result:
    """What `check` found.

    Attributes:
        version: Directory of the version.
        tensorflow: Version of TensorFlow that ran it.
        rows: List of `Row`.
        ops: Names of all ops in the graph.
    """

    version: pathlib.Path
    tensorflow: str
    rows: list
    ops: list

    @property
    def passed(self):
        """Whether no row has a problem."""
        return not any(row.problems for row in self.rows)

    def table(self):
        """The result as text."""
        lines = [("what", "where", "examples", "difference", "")]
        for row in self.rows:
            difference = "" if row.difference is None else f"{row.difference:.1e}"
            verdict = "; ".join(row.problems[:3]) or row.note or "ok"
            if len(row.problems) > 3:
                verdict += f"; and {len(row.problems) - 3} more"
            lines.append(
                (row.what, row.where, row.examples, difference, f"FAILED: {verdict}" if row.problems else verdict)
            )
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        text = [f"{self.version}, run by TensorFlow {self.tensorflow}", ""]
        for line in lines:
            text.append("  ".join(cell.ljust(width) for cell, width in zip(line, [*widths, 0])).rstrip())
        text += ["", f"{len(self.ops)} kinds of ops: {', '.join(self.ops)}", ""]
        text.append("All checks passed." if self.passed else "Something is wrong with this model: see FAILED above.")
        return "\n".join(text)


def check(directory, model=None, runtimes=("c",)):
    """Runs an exported model in fresh processes and compares its answers with the Keras model's.

    - In a Python process that can import neither Keras nor this library: every signature, at batches of 1, 2, 7 and
      32 examples, against the golden answers that the Keras model gave when it was exported.
    - Through TensorFlow's C API, in a program of C: the same, against the answers in Python. Left out, with a note,
      where there is no C compiler. On other runtimes, if asked: the same for each signature that they take.
    - The ops of the graph must all be TensorFlow's own, on no fixed device, in float32; input out of range must
      be an error that says so; and the warm-up requests must fit the signatures.

    Args:
        directory: Directory of the versions, of which the latest is checked, or of one version.
        model: The Keras model, to compare with what it answers now as well.
        runtimes: Where to run it besides Python: `"c"` and the names in `export.runtimes.RUNTIMES`.

    Returns:
        A `Result`.

    Raises:
        ValueError: If there is no exported model, or its files are damaged.

    Example:

    >>> check("served/sudoku").passed  # doctest: +SKIP
    True
    """
    version = latest_version(directory)
    cases = load_cases(version / EXTRA / "golden.npz")
    declaration = read_declaration(version)
    # A model may accept no more than one example at a time.
    sizes = sorted({min(size, declaration.max_batch) for size in BATCH_SIZES})
    good = [index for index, case in enumerate(cases) if not case.fault]
    with tempfile.TemporaryDirectory() as folder:
        report, answers = _run_fresh(version, cases, sizes, pathlib.Path(folder))
        rows = [_compare(cases[index], answers[index], cases[index], sizes, "golden, Python") for index in good]
        if model is not None:
            from export.servers import server_for

            stored = read_description(version).get("weights", "float32")
            server = server_for(model, stored, **declaration.settings)
            for index in good:
                now = dataclasses.replace(cases[index], outputs=server.golden_answers(cases[index]))
                rows.append(_compare(cases[index], answers[index], now, sizes, "Keras now, Python"))
        if "c" in runtimes:
            rows += _through_c(version, report, cases, answers, sizes, folder)
    for name in runtimes:
        if name != "c":
            rows += _on_runtime(RUNTIMES[name], version, declaration, [cases[index] for index in good], sizes)
    for index, case in enumerate(cases):
        if case.fault:
            rows.append(_rejection(case, "Python", report["rejections"].get(str(index))))
    rows.append(Row("ops", "graph", str(len(report["ops"])), problems=report["problems"]))
    rows.append(_check_signatures(report, cases, declaration))
    rows.append(_check_warmup(version, report))
    rows.append(Row("sums of files", "file", problems=wrong_files(version), note=content_hash(version)[:16]))
    return Result(version, report["tensorflow"], rows, report["ops"])


def _run_fresh(version, cases, sizes, folder):
    save_cases(folder / "cases.npz", cases)
    command = [sys.executable, "-P", _SCRIPT, version, folder / "cases.npz", folder / "answers.npz", sizes]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["nothing on stderr"]
        raise ValueError(f"'{version}' can't be run without Keras: {lines[-1]}")
    report = json.loads(result.stdout.splitlines()[-1])
    answers = [{} for _ in cases]
    with np.load(folder / "answers.npz") as arrays:
        for key in arrays.files:
            index, number, name = key.split("/")
            answers[int(index)].setdefault(int(number), {})[name] = arrays[key]
    return report, answers


def _title(case):
    return f"{case.signature} (scalars)" if case.has_scalars else case.signature


def _compare(case, answers, wanted, sizes, where):
    largest, problems = 0.0, []
    for number in sizes:
        if number not in answers:
            problems.append("it was not run")
            break
        difference, found = differences(answers[number], wanted.examples(number).outputs, case.tolerance)
        largest = max(largest, difference)
        problems += [f"{number} examples: {sentence}" for sentence in found]
    return Row(_title(case), where, ", ".join(map(str, sizes)), largest, problems)


def _through_c(version, report, cases, answers, sizes, folder):
    where = "Python, C API"
    if any(case.signature not in report["signatures"] for case in cases):
        return [Row("all signatures", where, problems=["a signature is missing"])]
    try:
        program = native.build(folder, report["include"], report["library"])
        runs = [run for case in cases for run in ([case] if case.fault else map(case.examples, sizes))]
        outputs = iter(native.run(program, version, report["signatures"], runs))
    except native.UnavailableError as error:
        return [Row("all signatures", where, note=f"SKIPPED: {error}")]
    except RuntimeError as error:
        return [Row("all signatures", where, problems=[str(error)])]
    rows = []
    for case, python in zip(cases, answers):
        if case.fault:
            found = next(outputs)
            rows.append(_rejection(case, "C API", found if isinstance(found, str) else None))
            continue
        largest, problems = 0.0, []
        for number in sizes:
            found = next(outputs)
            if isinstance(found, str):
                problems.append(f"{number} examples: {found}")
                continue
            difference, sentences = differences(found, python.get(number, {}), case.tolerance)
            largest = max(largest, difference)
            problems += [f"{number} examples: {sentence}" for sentence in sentences]
        rows.append(Row(_title(case), where, ", ".join(map(str, sizes)), largest, problems))
    return rows


def _on_runtime(runtime, version, declaration, cases, sizes):
    """What another runtime answers to the cases. It need not take every signature, but must take one."""
    rows, taken = [], 0
    for signature in declaration.signatures.values():
        own = [case for case in cases if case.signature == signature.name and not case.has_scalars]
        try:
            model = runtime(version, signature)
        except UnsupportedSignatureError as error:
            rows.append(Row(signature.name, runtime.title, note=f"NOT TAKEN: {error}"))
            continue
        taken += 1
        for case in own:
            largest, problems = 0.0, []
            for number in sizes:
                wanted = case.examples(number)
                try:
                    found = model.run(wanted.inputs)
                except Exception as error:
                    # Every runtime has its own kinds of errors.
                    problems.append(f"{number} examples: {' '.join(str(error).split())[:200]}")
                    continue
                difference, sentences = differences(found, wanted.outputs, case.tolerance)
                largest = max(largest, difference)
                problems += [f"{number} examples: {sentence}" for sentence in sentences]
            rows.append(Row(_title(case), runtime.title, ", ".join(map(str, sizes)), largest, problems))
    if not taken:
        rows.append(Row("all signatures", runtime.title, problems=["it takes no signature"]))
    return rows


def _rejection(case, where, message):
    problems = []
    if message is None:
        problems.append(f"the model answered to a {case.fault}")
    elif case.error not in message:
        problems.append(f"the error doesn't say '{case.error}': {message}")
    return Row(case.fault, where, str(case.size), problems=problems)


def _check_signatures(report, cases, declaration):
    missing = sorted({case.signature for case in cases} - set(report["signatures"]))
    unknown = sorted(set(report["signatures"]) - {case.signature for case in cases})
    problems = [f"there is no {name}" for name in missing] + [f"{name} has no golden answers" for name in unknown]
    for name, signature in report["signatures"].items():
        if name not in declaration.signatures:
            problems.append(f"{name} is not declared in export.json")
            continue
        declared = declaration.signatures[name]
        for kind, tensors in (("inputs", declared.inputs), ("outputs", declared.outputs)):
            found = {own: (tensor["dtype"], tensor["shape"]) for own, tensor in signature[kind].items()}
            wanted = {t.name: (t.dtype, None if t.scalar else [-1, *t.shape]) for t in tensors}
            if found != wanted:
                problems.append(f"the {kind} of {name} are {found}, and declared are {wanted}")
    return Row("signatures", "graph", str(len(report["signatures"])), problems=problems)


def _check_warmup(version, report):
    from export.serving import read_warmup, require_serving_api

    path = version / EXTRA / "tf_serving_warmup_requests"
    if not path.is_file():
        return Row("warm-up requests", "file", problems=[f"{path.name} is missing"])
    try:
        require_serving_api()
    except ValueError as error:
        return Row("warm-up requests", "file", note=f"SKIPPED: {error}")
    try:
        requests = read_warmup(path)
    except Exception as error:
        # TensorFlow's and protobuf's errors for a damaged file.
        return Row("warm-up requests", "file", problems=[f"{path.name} is damaged: {type(error).__name__}"])
    problems = []
    for name in sorted(report["signatures"]):
        inputs = set(report["signatures"][name]["inputs"])
        own = [request for request in requests if request.model_spec.signature_name == name]
        if not own:
            problems.append(f"there is none for {name}")
        if any(set(request.inputs) != inputs for request in own):
            problems.append(f"those for {name} have other inputs")
    return Row("warm-up requests", "file", str(len(requests)), problems=problems)
