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
    """The truth, for metrics, checks and tests only: no solver calls it. Precision follows x.

    A general problem has no τ: its functions take one and leave it alone, see `truth`.
    """

    temperature: float  # the τ at which runs are judged
    lower_solution: Callable[[Tree, float], Tree]  # (x, tau) → π*_τ(x) [S, A]; of a general problem y*(x)
    value: Callable[[Tree, float], Scalar]  # (x, tau) → Φ_τ(x)
    hypergradient: Callable[[Tree, float], Tree]  # (x, tau) → ∇Φ_τ(x), like x
    best: Callable[[], tuple[Tree, float]] | None = None  # () → the best known x and its Φ at `temperature`; host code


def truth(
    lower_solution: Callable[[Tree], Tree],
    value: Callable[[Tree], Scalar],
    hypergradient: Callable[[Tree], Tree],
    best: Callable[[], tuple[Tree, float]] | None = None,
) -> Exact:
    """The Exact of a problem that has no temperature."""
    untempered = lambda function: lambda x, tau=0.0: function(x)  # noqa: E731
    return Exact(0.0, untempered(lower_solution), untempered(value), untempered(hypergradient), best)


class Examples(NamedTuple):
    """The finite data behind the batches of a general problem, for methods that choose their order themselves."""

    upper: int  # how many there are
    lower: int
    take_upper: Callable[[Int[Array, " B"]], Tree]  # places → batch
    take_lower: Callable[[Int[Array, " B"]], Tree]


def no_batch(key: Key, x: Tree, y: Tree = ()) -> None:
    """The batch of a loss that needs none."""
    return None


class Bilevel(NamedTuple):
    """Choose x; whoever answers minimises lower(x, y) over y; minimise upper(x, y*(x)).

    Φ(x) = upper(x, y*(x)) + l1 ‖x‖₁        both losses are means over batches
    """

    init: Callable[[Key], tuple[Tree, Tree]]  # key → (x, y)
    upper: Callable[[Tree, Tree, Tree], Array]  # (x, y, batch) → []; with tasks [tasks]
    lower: Callable[[Tree, Tree, Tree], Array]  # (x, y, batch) → []; with tasks [tasks], of y[i] alone each
    draw_upper: Callable[[Key, Tree, Tree], Tree] = no_batch  # (key, x, y) → batch; it may depend on the point
    draw_lower: Callable[[Key, Tree, Tree], Tree] = no_batch
    drawn: tuple[int, int] = (0, 0)  # examples in an upper and in a lower batch, to be counted
    order: int = 2  # how many derivatives of lower may be trusted
    project_x: Callable[[Tree], Tree] = lambda x: x  # the nearest allowed x
    project_y: Callable[[Tree], Tree] = lambda y: y  # the nearest allowed y; the allowed y do not depend on x
    constraint: Callable[[Tree, Tree], Float[Array, " M"]] | None = None  # c(x, y) ≤ 0, which couples x and y
    l1: float = 0.0  # weight of ‖x‖₁, which only mirror steps take
    tasks: int = 0  # above 0: max over tasks of upper(x, y*)[i] is meant; leaves of y are [tasks, ...]
    examples: Examples | None = None
    particles: tuple[int, int] = (0, 0)  # where x and y are clouds, every leaf [N, ...], read by means over N: how many
    metrics: Callable[[Tree, Tree], Mapping[str, Scalar]] | None = None  # what a row tells besides
    exact: Exact | None = None
    maps: Callable[[Any], Mapping[str, Any]] | None = None  # found x [N, ...] → arrays that the report draws
    record: Callable[[Any, Any], Mapping[str, Any]] | None = None  # (state, told or None) → what a row tells; host code
    texts: None = None  # no texts are written


class Equations(NamedTuple):
    """Two coupled equations: find x and y with E slow(x, y) = 0 and E fast(x, y) = 0. Two-time-scale methods' own form.

    y*(x) solves E fast(x, y*(x)) = 0, and x moves along −E slow(x, y*(x)), which may be ∇Φ(x) or no gradient at all.
    """

    init: Callable[[Key], tuple[Tree, Tree]]  # key → (x, y)
    slow: Callable[[Tree, Tree, Tree], Tree]  # (x, y, batch) → like x
    fast: Callable[[Tree, Tree, Tree], Tree]  # (x, y, batch) → like y
    draw: Callable[[Key, Tree, Tree], Tree] = no_batch
    drawn: int = 0  # examples in a batch
    project_x: Callable[[Tree], Tree] = lambda x: x
    metrics: Callable[[Tree, Tree], Mapping[str, Scalar]] | None = None
    exact: Exact | None = None
    maps: Callable[[Any], Mapping[str, Any]] | None = None
    record: Callable[[Any, Any], Mapping[str, Any]] | None = None
    texts: None = None


class Conditional(NamedTuple):
    """As Bilevel, with a lower problem of its own for every upper example: minimise the mean of upper(x, y*ᵢ(x), i).

    y*ᵢ(x) = argmin over y of the mean over j of lower(x, y, i, j)
    """

    init: Callable[[Key], tuple[Tree, Tree]]  # key → (x, y), y as each lower problem starts
    upper: Callable[[Tree, Tree, Int[Array, ""]], Scalar]  # (x, y, i) → []
    lower: Callable[[Tree, Tree, Int[Array, ""], Int[Array, ""]], Scalar]  # (x, y, i, j) → []
    examples: tuple[int, int]  # upper ones, and lower ones of each
    project_x: Callable[[Tree], Tree] = lambda x: x
    metrics: Callable[[Tree, Tree], Mapping[str, Scalar]] | None = None
    exact: Exact | None = None
    maps: Callable[[Any], Mapping[str, Any]] | None = None
    record: Callable[[Any, Any], Mapping[str, Any]] | None = None
    texts: None = None


class Minimise(NamedTuple):
    """Choose x alone: minimise f(x) = E loss(x, batch). There is no lower level, and y is the empty tree.

    Its gradients in x are right in their mean over batches; how heavy their tails are is the problem's affair.
    """

    init: Callable[[Key], tuple[Tree, Tree]]  # key → (x, ())
    loss: Callable[[Tree, Tree], Scalar]  # (x, batch) → []
    draw: Callable[[Key, Tree], Tree] = no_batch  # (key, x) → batch
    drawn: int = 0  # examples in a batch
    project_x: Callable[[Tree], Tree] = lambda x: x
    metrics: Callable[[Tree, Tree], Mapping[str, Scalar]] | None = None
    exact: Exact | None = None  # its lower solution is ()
    maps: Callable[[Any], Mapping[str, Any]] | None = None
    record: Callable[[Any, Any], Mapping[str, Any]] | None = None
    texts: None = None


class BilevelRL(NamedTuple):
    """Choose x; an agent then maximises E Σ γᵗ ( reward(x, s, a) − τ log π(a|s) ); minimise upper(x, π*)."""

    mdp: Any  # the world, with no reward inside
    reward: Callable  # r_x: (x, s, a) → []; of texts (x, Reading) → [B, T]
    policy: Any  # Policy(init, log_prob); of texts a Writer
    upper: Return | Tabular | Score | Population | Preference
    init: Callable[[Key], tuple[Tree, Tree]]  # key → (x, theta)
    project_x: Callable[[Tree], Tree] = lambda x: x  # the nearest allowed x
    metrics: Callable[[Tree, Tree], Mapping[str, Scalar]] | None = None  # what a row tells besides
    exact: Exact | None = None
    maps: Callable[[Any], Mapping[str, Any]] | None = None  # found x [N, dx] → arrays that the report draws
    record: Callable[[Any, Any], Mapping[str, Any]] | None = None  # (state, told or None) → what a row tells; host code
    texts: Callable[[Tree, Tree], Mapping[str, Any]] | None = None  # found x, y, both [N, ...] → texts.json; host code


Problem = Bilevel | BilevelRL | Conditional | Equations | Minimise
"""Any of the forms."""
