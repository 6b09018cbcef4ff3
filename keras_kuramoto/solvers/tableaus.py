"""Explicit Runge–Kutta methods, by their Butcher tableaus."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Tableau:
    """An explicit Runge–Kutta method: its Butcher tableau.

    With the slopes kᵢ = f(t + cᵢ h, y + h Σⱼ aᵢⱼ kⱼ), a step goes to y + h Σᵢ bᵢ kᵢ, its error is estimated by
    h Σᵢ eᵢ kᵢ, and the solution at t + θ h between its ends is y + h Σᵢ (Σⱼ pᵢⱼ θʲ) kᵢ, j from 1.

    Args:
        name: The name that solvers know it by, such as `"tsitouras"`.
        order: Order of convergence.
        a: Rows of the strictly lower triangle: row i has i numbers.
        b: The weights of the slopes.
        error: The weights minus those of the embedded method, or `None` for a method without an error estimate.
        interpolant: The rows pᵢ, or `None` for the cubic through the values and slopes at both ends of the step
            (Hermite), which is of third order.

    Example:

    >>> midpoint = Tableau("midpoint", order=2, a=((), (1 / 2,)), b=(0.0, 1.0))
    >>> midpoint.c
    (0.0, 0.5)
    """

    name: str
    order: int
    a: tuple
    b: tuple
    error: tuple | None = None
    interpolant: tuple | None = None

    def __post_init__(self):
        # Lists, as a saved configuration has them, become tuples.
        object.__setattr__(self, "a", tuple(map(tuple, self.a)))
        object.__setattr__(self, "b", tuple(self.b))
        object.__setattr__(self, "error", self.error and tuple(self.error))
        object.__setattr__(self, "interpolant", self.interpolant and tuple(map(tuple, self.interpolant)))
        stages = len(self.b)
        if len(self.a) != stages or any(len(row) != i for i, row in enumerate(self.a)):
            raise ValueError(
                f"`a` of an explicit method with {stages} stages must have rows of 0, 1, …, {stages - 1} numbers. "
                f"Received rows of {[len(row) for row in self.a]}."
            )
        for name in ("error", "interpolant"):
            value = getattr(self, name)
            if value is not None and len(value) != stages:
                raise ValueError(
                    f"`{name}` must have one entry for each of the {stages} stages. Received {len(value)}."
                )

    @property
    def c(self):
        """The times of the slopes, in steps: the sums of the rows of `a`."""
        return tuple(float(sum(row)) for row in self.a)

    @property
    def first_same_as_last(self):
        """Whether the last slope is the one at the end of the step, the first of the next step."""
        return len(self.b) > 1 and self.b[-1] == 0 and self.a[-1] == self.b[:-1]


EULER = Tableau("euler", 1, ((),), (1.0,))
HEUN = Tableau("heun", 2, ((), (1.0,)), (1 / 2, 1 / 2), (-1 / 2, 1 / 2))
RK4 = Tableau("rk4", 4, ((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
# Bogacki and Shampine, A 3(2) pair of Runge–Kutta formulas, 1989.
BOGACKI_SHAMPINE = Tableau(
    "bogacki_shampine",
    3,
    ((), (1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
    (2 / 9, 1 / 3, 4 / 9, 0.0),
    (-5 / 72, 1 / 12, 1 / 9, -1 / 8),
)
# Dormand and Prince, A family of embedded Runge–Kutta formulae, 1980; interpolant of fourth order: Shampine, Some
# practical Runge–Kutta formulas, 1986.
DORMAND_PRINCE = Tableau(
    "dormand_prince",
    5,
    (
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0),
    (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    (
        (1.0, -8048581381 / 2820520608, 8663915743 / 2820520608, -12715105075 / 11282082432),
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 131558114200 / 32700410799, -68118460800 / 10900136933, 87487479700 / 32700410799),
        (0.0, -1754552775 / 470086768, 14199869525 / 1410260304, -10690763975 / 1880347072),
        (0.0, 127303824393 / 49829197408, -318862633887 / 49829197408, 701980252875 / 199316789632),
        (0.0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844),
        (0.0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423),
    ),
)
# Tsitouras, Runge–Kutta pairs of order 5(4) satisfying only the first column simplifying assumption, 2011; interpolant
# of fourth order from there.
TSITOURAS = Tableau(
    "tsitouras",
    5,
    (
        (),
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    ),
    (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774, 0.0),
    (
        0.001780011052225777,
        0.0008164344596567469,
        -0.007880878010261995,
        0.1447110071732629,
        -0.5823571654525552,
        0.45808210592918697,
        -1 / 66,
    ),
    (
        (1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216),
        (0.0, 0.1317, -0.2234, 0.1017),
        (0.0, 3.930296236894751, -5.941033872131505, 2.490627285651253),
        (0.0, -12.411077166933676, 30.338188630282318, -16.548102889244902),
        (0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928),
        (0.0, -27.896526289197286, 65.09189467479368, -34.87065786149661),
        (0.0, 1.5, -4.0, 2.5),
    ),
)

TABLEAUS = {t.name: t for t in (EULER, HEUN, RK4, BOGACKI_SHAMPINE, DORMAND_PRINCE, TSITOURAS)}
