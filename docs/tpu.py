"""What TPUs would take for the experiments, by Google's compiler: the tables and the plot of `docs/guides/tpu.md`.

    python docs/tpu.py experiments HOPFIELD_RUN     # each kind of experiment on v5e:2x2
    python docs/tpu.py scaling                      # sudoku9_paper on 4 to 256 chips

Prints the tables, and writes all figures to `docs/tpu.json` and the plot to `docs/_static/tpu_scaling.png`. What is in
that file is not compiled again: delete it after a change of the models. Needs the extras `train` and `tpu-compile`; an
hour on two cores. HOPFIELD_RUN is a run of `hopfield_mnist --preset hopfield_digits`.
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from training import plots  # noqa: E402
from training.compilation.chips import Slice  # noqa: E402
from training.compilation.report import bound  # noqa: E402
from training.compilation.run import BACKENDS, compile_step  # noqa: E402

FIGURES = ROOT / "docs/tpu.json"
PLOT = ROOT / "docs/_static/tpu_scaling.png"
PRESETS = (
    *("sudoku4_quick", "sudoku9_small", "sudoku9_hard", "sudoku9_paper", "sudoku9_paper_symmetric"),
    *("sudoku9_paper_iterative", "sudoku9_paper_transformer"),
    *("objects_tetrominoes_small", "objects_tetrominoes", "objects_clevrtex"),
    *("hopfield_digits", "hopfield_mnist", "multiplexing_digits"),
    *("swap_digits", "associative_swap_digits"),
    *("synapses",),
    *("cifar10_akorn_pretraining", "cifar10_akorn_small", "cifar10_akorn", "cifar10_akorn_attention"),
    *("cifar10_resnet18",),
)
SLICES = ("2x2", "4x4", "8x8", "16x16")
SCALED = "sudoku9_paper"
# A chip's share of the batch where that stays the same, and the whole batch where that does.
SHARE, BATCH = 25, 256


def experiments(hopfield):
    """Compiles a preset of each kind for four chips."""
    topology, rows = Slice.parse("v5e:2x2"), {}
    for preset in PRESETS:
        settings = [f"hopfield={hopfield}"] if preset.endswith("swap_digits") else []
        # The batches of all others can be divided among four.
        settings += ["batch_size=48"] if preset == "multiplexing_digits" else []
        rows[preset] = {backend: _compiled(preset, topology, settings, backend) for backend in BACKENDS}
    print("| preset | on | operations | bytes moved | memory | exchanged | bound |")
    print("| --- | --- | ---: | ---: | ---: | ---: | --- |")
    for preset, row in rows.items():
        for backend, one in row.items():
            name = f"`{preset}` | {'TensorFlow' if backend == 'tensorflow' else 'JAX'}"
            if "refused" in one:
                print(f"| {name} | does not compile: {one['refused']} |")
                continue
            most = "" if all(loop["exact"] for loop in one["loops"]) else "≤ "
            exchanged = sum(kind["bytes"] for kind in one["collectives"].values())
            step = one["step"]
            print(
                f"| {name} | {most}{_short(step['operations'])} | {most}{_short(step['bytes_moved'])}B | "
                f"{_short(one['memory']['whole'], 1024)}iB | {_short(exchanged)}B | {one['bound']['bound']}, "
                f"{most}{1e3 * max(one['bound']['seconds'].values()):.3g} ms |"
            )


def scaling():
    """Compiles a preset for 4 to 256 chips, at a constant batch of a chip and at a constant whole batch."""
    rows = {"share": [], "batch": []}
    for shape in SLICES:
        topology = Slice.parse(f"v5e:{shape}")
        for kind, batch in (("share", SHARE * topology.chips), ("batch", BATCH)):
            one = _compiled(SCALED, topology, [f"batch_size={batch}"], "tensorflow")
            rows[kind].append({"topology": str(topology), "chips": topology.chips, **one})
    for kind, title in (("share", f"{SHARE} boards for each chip"), ("batch", f"{BATCH} boards in all")):
        print(f"\n{title}:\n")
        print("| chips | topology | memory | temporary | all-reduced | sent by a chip | step | links | efficiency |")
        print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for one, share in zip(rows[kind], efficiencies(rows[kind], constant_share=kind == "share")):
            step, links = times(one)
            sums = one["collectives"].get("all-reduce", {"bytes": 0, "sent": 0})
            print(
                f"| {one['chips']} | `{one['topology']}` | {one['memory']['whole'] / 2**30:.2f} GiB | "
                f"{one['memory']['temporary'] / 2**30:.2f} GiB | {sums['bytes'] / 1e6:.2f} MB | "
                f"{sums['sent'] / 1e6:.2f} MB | {1e3 * step:.2f} ms | {1e3 * links:.3f} ms | {100 * share:.1f} % |"
            )
    _draw(rows)


def times(program):
    """`(step, links)`: seconds of a chip's own work, at the least, and of the exchange after it."""
    seconds = program["bound"]["seconds"]
    return max(seconds["compute"], seconds["memory"]), seconds["links"]


def efficiencies(programs, constant_share):
    """Of each number of chips: examples in a second and chip, as a share of those of the fewest chips."""
    rates = []
    for program in programs:
        batch = SHARE * program["chips"] if constant_share else BATCH
        rates.append(batch / sum(times(program)) / program["chips"])
    return [rate / rates[0] for rate in rates]


def _short(number, base=1000):
    """A number with three digits and a prefix."""
    power = 0
    while number >= base and power < 4:
        number, power = number / base, power + 1
    return f"{number:.3g} {['', 'K' if base == 1024 else 'k', 'M', 'G', 'T'][power]}"


def _compiled(preset, topology, settings, backend):
    """A compiled step with its bound, or `{"refused": reason}`."""
    # Where a run is, is nobody else's concern.
    shown = [setting for setting in settings if not setting.startswith("hopfield=")]
    key = " ".join([preset, str(topology), backend, *shown])
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if key not in figures:
        print(key, file=sys.stderr, flush=True)
        try:
            program = compile_step(preset, topology, settings, backend=backend)
            # Other work on the machine is in it.
            del program["compile_seconds"]
            figures[key] = {**program, "bound": bound(program, topology)}
        except ValueError as error:
            figures[key] = {"refused": str(error)}
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    return figures[key]


def _draw(rows):
    figure, axes = plots.figure(1, 2, width=4.8, height=3.4)
    left, right = axes[0]
    chips = [one["chips"] for one in rows["share"]]
    for kind, label in (("share", f"{SHARE} boards for each chip"), ("batch", f"{BATCH} boards in all")):
        left.semilogx(
            chips, [100 * share for share in efficiencies(rows[kind], kind == "share")], "o-", base=2, label=label
        )
        right.loglog(chips, [one["memory"]["whole"] / 2**30 for one in rows[kind]], "o-", base=2, label=label)
    left.set(xlabel="chips (v5e)", ylabel="efficiency, %", ylim=(0, None))
    right.set(xlabel="chips (v5e)", ylabel="memory of a chip, GiB")
    right.yaxis.set_major_formatter("{x:g}")
    for axis in (left, right):
        axis.set_xticks(chips, chips)
        axis.legend(frameon=False, fontsize=8)
    plots.save(figure, PLOT)
    print(f"Plot: {PLOT}", file=sys.stderr)


if __name__ == "__main__":
    {"experiments": experiments, "scaling": scaling}[sys.argv[1]](*sys.argv[2:])
