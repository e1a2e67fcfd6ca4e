"""The oracle of a finite problem."""

from collections.abc import Callable

from upperhand.forms import BilevelRL, Exact
from upperhand.hypergradients.bellman import bellman, upper_derivatives
from upperhand.policy_gradients.linear import dense, is_small, sweeps
from upperhand.policy_gradients.soft import policy_iteration, value_iteration
from upperhand.rewards.table import reward_table


def exact(problem: BilevelRL, *, temperature: float, tolerance: float = 1e-10, best: Callable | None = None) -> Exact:
    """Value, hypergradient and lower solution of any finite problem, to rounding or to a tolerance.

    Few states: soft policy iteration and LU factors. Many: soft value iteration and matrix-free sweeps; see `is_small`.
    The functions are pure and take the precision of x: call them inside `jax.enable_x64(True)` for float64.

    Args:
      problem: a finite problem.
      temperature: τ at which runs are judged, in units of reward.
      tolerance: bound on max |V − V*|, and relative one of the linear solves, where there are many states.
      best: () → the best known x and its value, or None.
    Returns: Exact. Cost: a value is one lower and three linear solutions, a hypergradient one more.
    """
    mdp, by_factors = problem.mdp, is_small(problem.mdp)
    resolvent = dense if by_factors else sweeps(tolerance)

    def lower_solution(x, tau=temperature):
        r = reward_table(problem.reward, x, mdp.states, mdp.actions)
        soft = policy_iteration(mdp, r, tau) if by_factors else value_iteration(mdp, r, tau, tolerance=tolerance)
        return soft.pi

    def value(x, tau=temperature):
        return upper_derivatives(problem, x, lower_solution(x, tau), resolvent).loss

    def hypergradient(x, tau=temperature):
        return bellman(problem, x, lower_solution(x, tau), tau, resolvent)[1]

    return Exact(temperature, lower_solution, value, hypergradient, best)
