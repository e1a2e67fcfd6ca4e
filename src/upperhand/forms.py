"""The problem forms: what a problem is, as pure functions. Every leaf of x and y is a float array."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Int

from upperhand.types import Key, Scalar, Tree

State = Int[Array, ""]
Action = Int[Array, ""]


class Return(NamedTuple):
    """Upper objective (b): an expected return of the upper reward, and a cost of x.

    upper(x, π) = cost(x) − E_π Σ γᵗ u(x, sₜ, aₜ)

    A normalised return puts its 1 − γ into u.
    """

    reward: Callable[[Tree, State, Action], Scalar]  # u(x, s, a)
    cost: Callable[[Tree], Scalar]  # x → []


class Tabular(NamedTuple):
    """Upper objective (a): any differentiable function of x, the policy table and the occupancy of a finite world.

    upper(x, π) = loss(x, π [S, A], μ [S, A])        μ(s, a) = Σ γᵗ P(sₜ = s, aₜ = a), not normalised
    """

    loss: Callable[[Tree, Float[Array, "S A"], Float[Array, "S A"]], Scalar]


class Score(NamedTuple):
    """Upper objective (c): what a person says of whole texts, and a price of leaving the reference.

    upper(x, π) = −E_π U(y) + β KL(π ‖ π_ref) + cost(x)
    """

    person: Callable[[list[str]], Any]  # texts → U [B]; host code
    decode: Callable[[Any], list[str]]  # tokens [B, T] → texts; host code
    beta: float  # β, in units of U for a nat
    cost: Callable[[Tree], Scalar]  # x → []


class Population(NamedTuple):
    """Upper objective (c) that is no mean over texts: a share, a balance, any smooth loss of E_π φ(y).

    upper(x, π) = loss(E_π φ(y)) + β KL(π ‖ π_ref) + cost(x)
    """

    traits: Callable[[list[str]], Any]  # texts → φ [B, M]; host code
    loss: Callable[[Float[Array, " M"]], Scalar]  # of the mean traits
    decode: Callable[[Any], list[str]]
    beta: float
    cost: Callable[[Tree], Scalar]


class Preference(NamedTuple):
    """Upper objective (c) on pairs: how badly R_x explains what a person prefers.

    upper(x, π) = E_π [ log(1 + exp(R_x(y₂) − R_x(y₁))) | y₁ preferred ] + β KL(π ‖ π_ref) + cost(x)
    """

    prefer: Callable[
        [list[str], list[str], int], Any
    ]  # first, second, seed → [B]: 1 first, 0 second, ½ tie, NaN skipped
    decode: Callable[[Any], list[str]]
    beta: float
    cost: Callable[[Tree], Scalar]


class Exact(NamedTuple):
    """The truth, for metrics, checks and tests only: no solver calls it. Precision follows x."""

    temperature: float  # the τ at which runs are judged
    lower_solution: Callable[[Tree, float], Float[Array, "S A"]]  # (x, tau) → π*_τ(x)
    value: Callable[[Tree, float], Scalar]  # (x, tau) → Φ_τ(x)
    hypergradient: Callable[[Tree, float], Tree]  # (x, tau) → ∇Φ_τ(x), like x
    best: Callable[[], tuple[Tree, float]] | None = None  # () → the best known x and its Φ at `temperature`; host code


class BilevelRL(NamedTuple):
    """Choose x; an agent then maximises E Σ γᵗ ( reward(x, s, a) − τ log π(a|s) ); minimise upper(x, π*)."""

    mdp: Any  # the world, with no reward inside
    reward: Callable  # r_x: (x, s, a) → []; of texts (x, Reading) → [B, T]
    policy: Any  # Policy(init, log_prob); of texts a Writer
    upper: Return | Tabular | Score | Population | Preference
    init: Callable[[Key], tuple[Tree, Tree]]  # key → (x, theta)
    project_x: Callable[[Tree], Tree] = lambda x: x  # the nearest allowed x
    metrics: Callable[[Tree, Tree], Mapping[str, Scalar]] = lambda x, theta: {}  # what a row tells besides
    exact: Exact | None = None
    maps: Callable[[Any], Mapping[str, Any]] | None = None  # found x [N, dx] → arrays that the report draws
    record: Callable[[Any, Any], Mapping[str, Any]] | None = None  # (state, told or None) → what a row tells; host code
    texts: Callable[[Tree, Tree], Mapping[str, Any]] | None = None  # found x, y, both [N, ...] → texts.json; host code
