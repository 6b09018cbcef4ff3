"""Google's TPU compiler: programs in, what they cost out."""

import re
import time

import numpy as np

from training.compilation.hlo import Program, place
from training.compilation.stablehlo import largest


class Compiler:
    """Compiles programs for the chips of a slice.

    Args:
        topology: A `Slice`, whose `environment` is set.

    Raises:
        ValueError: If the compiler is not there.
    """

    def __init__(self, topology):
        self.topology = topology
        self.devices = topology.devices()

    def stablehlo(self, text):
        """Compiles a program of one chip, which all chips run; they meet in its collectives.

        Args:
            text: The program in StableHLO.

        Returns:
            Dictionary as from `describe`.

        Raises:
            ValueError: If the compiler refuses the program; it says why.
        """
        from jax._src.interpreters import mlir
        from jax._src.lib import xla_client
        from jax._src.lib.mlir import ir

        options = xla_client.CompileOptions()
        options.num_replicas, options.num_partitions = len(self.devices), 1
        identifiers = np.array([[device.id] for device in self.devices])
        options.device_assignment = xla_client.DeviceAssignment.create(identifiers)
        with mlir.make_ir_context():
            try:
                module = ir.Module.parse(text)
            except ir.MLIRError as error:
                raise ValueError(f"A TPU refuses the step: {_one_line(error)}") from error
            devices = xla_client.DeviceList(tuple(self.devices))
            return self.describe(lambda: self.devices[0].client.compile(module, devices, options), text)

    def lowered(self, program):
        """Compiles a program of all chips.

        Args:
            program: A `jax.stages.Lowered` for the compiler's devices.

        Returns:
            Dictionary as from `describe`.

        Raises:
            ValueError: If the compiler refuses the program; it says why.
        """
        text = program.as_text(debug_info=True)
        return self.describe(lambda: program.compile().runtime_executable(), text)

    def describe(self, compile_program, text):
        """Compiles, and reads what came out.

        Args:
            compile_program: Function without arguments that returns an executable of the runtime.
            text: The program in StableHLO, with locations.

        Returns:
            Dictionary, everything for one chip: `operations` and `bytes_moved` as the compiler counts them, with the
            bodies of loops once; the same of a step, with each loop as often as it runs, in `step`; the `loops`;
            `memory` in bytes; `collectives`; `compile_seconds`.

        Raises:
            ValueError: If the compiler refuses the program.
        """
        started = time.perf_counter()
        try:
            executable = compile_program()
        except Exception as error:
            # The runtime's error, of another class in each version of JAX.
            raise ValueError(refusal(str(error), text)) from error
        seconds = time.perf_counter() - started
        cost = executable.cost_analysis()
        cost = cost[0] if isinstance(cost, list) else cost
        memory = executable.get_compiled_memory_stats()
        program = Program(executable.hlo_modules()[0].to_string())
        once = program.bytes(repeat=False)
        used = {
            "arguments": memory.argument_size_in_bytes,
            # Weights that are updated in place are arguments.
            "results": memory.output_size_in_bytes - memory.alias_size_in_bytes,
            "temporary": memory.temp_size_in_bytes,
            "program": memory.generated_code_size_in_bytes,
        }
        return {
            "operations": cost["flops"],
            "bytes_moved": cost["bytes accessed"],
            "loops": [{"place": loop.place, "runs": loop.runs, "exact": loop.exact} for loop in program.loops],
            "step": {
                "operations": program.operations(_operations),
                # Our own count of the bytes is that of the compiler to some per cent, see the guide.
                "bytes_moved": cost["bytes accessed"] * program.bytes(repeat=True) / once if once else 0.0,
            },
            "memory": {**used, "whole": sum(used.values())},
            "collectives": program.collectives(len(self.devices)),
            "compile_seconds": seconds,
        }


def refusal(message, text):
    """The compiler's error in one line: what does not fit, and which part of the model is largest.

    Args:
        message: The error's text, of many lines.
        text: The program in StableHLO.
    """
    over = re.search(r"\(([\d.]+\w)\) exceeds available HBM \(([\d.]+\w)\)|Used ([\d.]+\w) of ([\d.]+\w) hbm", message)
    if over:
        needed, there = [part for part in over.groups() if part]
        size, operation, at = largest(text)
        return (
            f"The step does not fit into the memory of a chip: it needs {needed}iB of {there}iB. Its largest array, "
            f"{size / 2**30:.1f} GiB before it is laid out, is of {operation} at '{at}'."
        )
    name = re.search(r"op_name=\"([^\"]*)\"", message)
    at = f" At '{place(name[1])}'." if name else ""
    return f"A TPU refuses the step: {_one_line(message)}{at}"


def _operations(text):
    """Number of floating-point operations of a program, with the bodies of loops once."""
    import jax
    from jaxlib import _hlo, _jax

    module = _hlo.hlo_module_from_text(re.sub(r" stack_frame_id=\d+", "", text))
    return _jax.hlo_module_cost_analysis(jax.devices("cpu")[0].client, module)["flops"]


def _one_line(error):
    return " ".join(str(error).split())[:300]
