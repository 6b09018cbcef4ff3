"""What bounds a step, and a compiled step as text for a person."""

import math


def bound(program, topology):
    """The times that a step takes at least: for its operations, its bytes and its collectives.

    Args:
        program: Dictionary as from `compile_step`.
        topology: A `Slice`.

    Returns:
        Dictionary: `seconds` for each of `compute`, `memory` and `links`, by Google's figures for the chips; `bound`,
        the longest; `share`, each as a share of it.
    """
    chip = topology.chip
    sent = sum(one["sent"] for one in program["collectives"].values())
    seconds = {
        "compute": program["step"]["operations"] / chip.operations,
        "memory": program["step"]["bytes_moved"] / chip.bandwidth,
        "links": sent / topology.link_bandwidth if sent else 0.0,
    }
    longest = max(seconds, key=seconds.get)
    whole = seconds[longest] or 1.0
    return {"bound": longest, "seconds": seconds, "share": {name: time / whole for name, time in seconds.items()}}


def lines(program, topology):
    """A compiled step as lines of text.

    Args:
        program: Dictionary as from `compile_step`, with `bound`.
        topology: A `Slice`.
    """
    memory, step = program["memory"], program["step"]
    most = "" if all(loop["exact"] for loop in program["loops"]) else " at the most"
    for name, text, unit in (("operations", "operations ", ""), ("bytes_moved", "bytes moved", "B")):
        once = f"{_number(program[name])}{unit} with loops once"
        yield f"{text}    {_number(step[name])}{unit} a step{most}; {once}"
    for loop in program["loops"]:
        runs = "as often as the data asks for, counted once" if loop["runs"] is None else f"{loop['runs']} times"
        at_most = "" if loop["exact"] or loop["runs"] is None else "at the most "
        yield f"  a loop       {at_most}{runs}: {loop['place'] or 'unnamed'}"
    share = _percent(memory["whole"] / topology.chip.memory)
    yield f"memory         {_size(memory['whole'])} of {_size(topology.chip.memory)}, {share}"
    yield "  of it        " + ", ".join(f"{name} {_size(memory[name])}" for name in memory if name != "whole")
    for name, one in program["collectives"].items():
        yield (
            f"collectives    {one['count']} {name}, {_number(one['bytes'])}B; each chip sends {_number(one['sent'])}B"
        )
    if not program["collectives"]:
        yield "collectives    none"
    times = program["bound"]["seconds"]
    yield f"bound          {program['bound']['bound']}, {1e3 * max(times.values()):.3g} ms a step at the least"
    yield "  of it        " + ", ".join(f"{name} {_percent(part)}" for name, part in program["bound"]["share"].items())
    yield f"compiled in    {program['compile_seconds']:.1f} s"


def _number(value):
    """A number with a unit of thousands."""
    power = min(int(math.log10(value)) // 3, 4) if value >= 1 else 0
    return f"{value / 1000**power:.3g} {['', 'k', 'M', 'G', 'T'][power]}"


def _percent(share):
    return f"{100 * share:.3g} %" if share >= 1e-4 or not share else "below 0.01 %"


def _size(value):
    """Bytes in MiB or GiB."""
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB"
