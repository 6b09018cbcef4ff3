"""Explicit Runge-Kutta methods for ordinary differential equations, with steps of each example's own."""

from keras_kuramoto.solvers.integrators import TABLEAUS, AdaptiveSolver, FixedStepSolver, Solution, Tableau

__all__ = ["TABLEAUS", "AdaptiveSolver", "FixedStepSolver", "Solution", "Tableau"]
