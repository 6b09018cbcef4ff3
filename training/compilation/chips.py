"""TPUs: what a chip can do, and how chips are joined to a slice. Google's published figures."""

import dataclasses
import math
import re

from training.options import unknown


@dataclasses.dataclass(frozen=True)
class Chip:
    """A kind of TPU.

    Attributes:
        name: As Google writes it.
        operations: Operations in a second, in bfloat16.
        memory: Bytes of HBM.
        bandwidth: Bytes in a second between HBM and the chip.
        link: Bytes in a second over one link to a neighbour, in one direction.
        axes: Dimensions in which a chip has neighbours, two in each.
        wraps: From which length on an axis of a slice is closed to a ring.
        config: What the compiler calls the configuration of the cores, its own default if empty.

    Reference: https://cloud.google.com/tpu/docs/v4, /v5e, /v5p and /v6e. The bandwidth of the links is given there for
    all of a chip, in both directions together (v5e: 400 GB/s over 4 links).
    """

    name: str
    operations: float
    memory: int
    bandwidth: float
    link: float
    axes: int
    wraps: int
    config: str = ""


_GIB = 2**30
CHIPS = {
    # The two cores of a chip work as one.
    "v4": Chip("TPU v4", 275e12, 32 * _GIB, 1200e9, 50e9, axes=3, wraps=4, config="megacore"),
    "v5e": Chip("TPU v5e", 197e12, 16 * _GIB, 819e9, 50e9, axes=2, wraps=16),
    "v5p": Chip("TPU v5p", 459e12, 95 * _GIB, 2765e9, 100e9, axes=3, wraps=4),
    "v6e": Chip("TPU v6e", 918e12, 32 * _GIB, 1600e9, 100e9, axes=2, wraps=16),
}


@dataclasses.dataclass(frozen=True)
class Slice:
    """Chips that are joined by links.

    Attributes:
        chip: The kind, a `Chip`.
        kind: Its name in `CHIPS`.
        shape: Numbers of chips along the axes.

    Example:

    >>> Slice.parse("v5e:4x4").chips
    16
    """

    chip: Chip
    kind: str
    shape: tuple

    @classmethod
    def parse(cls, text):
        """The slice that a text such as `"v5e:2x2"` or `"v4:2x2x1"` names.

        Raises:
            ValueError: If there are no such chips, or none are joined to that shape.
        """
        kind, _, shape = text.partition(":")
        if kind not in CHIPS:
            raise ValueError(unknown("TPU", kind, CHIPS) + " A topology is written as v5e:2x2.")
        chip = CHIPS[kind]
        sizes = tuple(map(int, shape.split("x"))) if re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", shape) else ()
        # A host has 2 × 2 chips, and slices are made of whole hosts; a single chip may be had alone.
        single = sizes == (1,) * chip.axes
        if len(sizes) != chip.axes or not (single or all(size % 2 == 0 for size in sizes[:2])):
            example = "x".join(["2", "2", "1"][: chip.axes])
            raise ValueError(
                f"A topology of {chip.name} must be {chip.axes} numbers, the first two even, such as {kind}:{example}, "
                f"or {kind}:{'x'.join('1' * chip.axes)}. Received '{text}'."
            )
        return cls(chip, kind, sizes)

    def __str__(self):
        return f"{self.kind}:{'x'.join(map(str, self.shape))}"

    @property
    def chips(self):
        """Number of chips."""
        return math.prod(self.shape)

    @property
    def link_bandwidth(self):
        """Bytes in a second that each chip can send when all take part in a collective.

        A ring along each axis, all at the same time: over both links where the axis is closed to a ring, over one
        where it has ends, since what arrives there must go back.
        """
        rings = sum(0 if size == 1 else 2 if size >= self.chip.wraps else 1 for size in self.shape)
        return rings * self.chip.link

    def environment(self):
        """The environment variables with which the compiler takes this machine for one with such chips."""
        # As many chips as the compiler asks a machine for before it looks at the topology, which says how many.
        names = {"v4": "v4-8", "v5e": "v5litepod-4", "v5p": "v5p-8", "v6e": "v6e-4"}
        return {
            "TPU_SKIP_MDS_QUERY": "1",
            "TPU_ACCELERATOR_TYPE": names[self.kind],
            "TPU_WORKER_HOSTNAMES": "localhost",
            "TPU_WORKER_ID": "0",
            # No chip is used: processes that compile need not wait for each other.
            "ALLOW_MULTIPLE_LIBTPU_LOAD": "true",
            # Nothing but the compiler's errors; its own log files would be written to /tmp/tpu_logs.
            "TPU_MIN_LOG_LEVEL": "3",
            "TPU_STDERR_LOG_LEVEL": "3",
            "TPU_LOG_DIR": "disabled",
            "JAX_PLATFORMS": "cpu",
        }

    def devices(self):
        """The chips as JAX has them. Needs the environment above, before JAX is imported.

        Raises:
            ValueError: If the package `libtpu` is not there.
        """
        from jax.experimental.topologies import get_topology_desc

        options = {"chip_config_name": self.chip.config} if self.chip.config else {}
        if math.prod(self.shape) == 1:
            options["chips_per_host_bounds"] = (1, 1, 1)
        try:
            return get_topology_desc(platform="tpu", topology_name=str(self), **options).devices
        except Exception as error:
            # JAX has no error of its own for a plugin that is missing, another for each fault of it.
            raise ValueError(
                f"Google's TPU compiler does not start ({' '.join(str(error).split())[:200]}). It comes with the extra "
                "'tpu-compile', for Linux on x86-64: pip install 'keras-kuramoto[tpu-compile]'."
            ) from error
