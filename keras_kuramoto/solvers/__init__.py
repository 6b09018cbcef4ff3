"""Explicit Runge–Kutta methods for ordinary differential equations, with steps of each example's own.

A solver is a method, a `Tableau`, and a control of the steps, equal ones or such as keep a tolerance:

- `tableaus`: the methods;
- `step_control`: how long a step is, and whether it counts;
- `stepping`: one solve with the two, on the loop of `keras_kuramoto._backend.adjoint`;
- `solver`: what is called.
"""

from keras_kuramoto.solvers.solver import AdaptiveSolver, FixedStepSolver, Solution
from keras_kuramoto.solvers.tableaus import TABLEAUS, Tableau

__all__ = ["TABLEAUS", "AdaptiveSolver", "FixedStepSolver", "Solution", "Tableau"]
