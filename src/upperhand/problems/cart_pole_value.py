"""What is a policy of CartPole worth, by the data of another one? Off-policy evaluation as an instrumental regression.

    A = (s, a, s', a', done),  Z = (s, a),  Y = reward + noise N(0, 1)        a' = π(s'), the policy asked about
    h_x(A) = q(s, a) − γ (1 − done) q(s', a')        E[ h_x(A) | s, a ] = E[ Y | s, a ] where q is π's
    lower, upper: as npiv

π pushes the cart to the side where the pole leans, and lets it fall after some forty steps. The data are of a policy
that does so half of the time and else pushes at random. With probability `slip` the world pushes at random whatever was
asked: so s' is uncertain, and a regression of the Bellman residual alone, without h_y, would be biased.
q is the cloud's network over 1 − γ, which so stays within its bound. States are standardised by the data.

A row tells the root mean squared error of q(s, π(s)), in rewards, at start states (`error`) and at states of the data
(`error_visited`), against mean discounted returns of roll-outs without noise on the reward; `level`, the mean of q at
start states; and `flat`, what `error_visited` would be for the best constant. At the default settings
lambda_pen = 1/w of 1 or less is steady; 10 is not (seen), as it multiplies the noise of h_y − h_yw.

Try: f2bmld
Reference: the task is that of Z. Chen, Nitanda, Gretton, Suzuki, "Towards a Unified Analysis of Neural Networks in
Nonparametric Instrumental Variable Regression: Optimization and Generalization" (arXiv 2511.14710), A, Z, Y and h from
the authors' code; behaviour, π, discount, noises and sizes are ours, and no figure of the paper is reproduced.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel
from upperhand.policies.neurons import Neurons, tanh_neurons
from upperhand.problems.npiv import instrumental
from upperhand.schedule import nonnegative, positive, whole

STEPS, ROLLS, ASKED = 200, 20, 100
"""Steps of an episode at most; roll-outs of each state that is asked about; states of either kind that are."""


class Rolled(NamedTuple):
    """Episodes side by side."""

    states: np.ndarray  # [T + 1, E, 4]
    actions: np.ndarray  # [T, E], as they were asked for
    done: np.ndarray  # [T, E], 1 in the step where an episode ended
    alive: np.ndarray  # [T, E], 1 up to that step


def leaning(states: np.ndarray) -> np.ndarray:
    """π(s): push to the side where the pole leans. Returns: 0 or 1, [...] of [..., 4]."""
    return (states[..., 2] > 0).astype(np.int64)


def rolled(starts: np.ndarray | int, steps: int, wander: float, slip: float, random: np.random.Generator) -> Rolled:
    """Episodes of CartPole-v1 by π, which wanders, in a world that slips.

    Args:
      starts: [E, 4] first states, or how many of the world's own.
      steps: T of each episode at most.
      wander: share of the actions that are asked for at random.
      slip: share of the pushes that are at random whatever was asked.
      random: draws all of it.
    Returns: Rolled. Raises: ValueError where Gymnasium is not installed.
    """
    try:
        import gymnasium
    except ImportError:
        raise ValueError("cart_pole_value needs Gymnasium: pip install 'upperhand[worlds]'.") from None
    E = starts if isinstance(starts, int) else len(starts)
    world = gymnasium.make_vec("CartPole-v1", num_envs=E, vectorization_mode="vector_entry_point")
    seen = world.reset(seed=int(random.integers(2**31)))[0]
    if not isinstance(starts, int):
        world.unwrapped.state, seen = starts.T.copy(), starts
    mixed = lambda actions, share: np.where(random.random(E) < share, random.integers(0, 2, E), actions)  # noqa: E731
    states, actions, ended, alive = [seen], [], [], [np.ones(E)]
    for _ in range(steps):
        actions.append(mixed(leaning(states[-1]), wander))
        seen, _, terminated, _, _ = world.step(mixed(actions[-1], slip))
        states.append(seen)
        ended.append(terminated * alive[-1])
        alive.append(alive[-1] * (1 - ended[-1]))
    world.close()
    return Rolled(*(np.array(each, np.float64) for each in (states, actions, ended, alive[:-1])))


def returns(starts: np.ndarray, discount: float, slip: float, random: np.random.Generator) -> np.ndarray:
    """Mean discounted returns [E] of π from [E, 4] states, until γᵗ is below 1e-3 or a limit of 500 steps."""
    steps = min(500, int(np.ceil(np.log(1e-3) / np.log(discount))))
    alive = rolled(np.repeat(starts, ROLLS, 0), steps, 0.0, slip, random).alive
    return (discount ** np.arange(steps) @ alive).reshape(len(starts), ROLLS).mean(1)


def cart_pole_value(
    *,
    episodes: int = 200,
    noise: float = 0.1,
    slip: float = 0.1,
    discount: float = 0.9,
    particles: int = 50,
    batch: int = 128,
    ridge: float = 1e-5,
    seed: int = 0,
) -> Bilevel:
    """Find q of a policy from the transitions of another one.

    Args:
      episodes: of the data, at least 4; half of them are stage I's, half stage II's.
      noise: standard deviation of the noise on a reward, which is 1 a step.
      slip: share of the pushes that are at random, in [0, 1).
      discount: γ in (0, 1), per step.
      particles: neurons of either network.
      batch: transitions of a batch of either stage; 0 takes all.
      ridge: weight of ½ E‖x‖² in upper and of ½ E‖y‖² in lower, at least 0.
      seed: of the data and the roll-outs.
    Returns: Bilevel without a truth of Φ; x and y [particles, 7] begin standard normal.
    Raises: ValueError for a setting out of its range, or without Gymnasium. Cost: below a second, on the host.
    """
    whole("episodes", (episodes,), 1, 4)
    whole("particles", (particles,), 1)
    whole("batch", (batch,), 1, least=0)
    if nonnegative("slip", slip) >= 1 or positive("discount", discount) >= 1:
        raise ValueError(f"slip and discount must be below 1: got {slip!r} and {discount!r}.")
    for name, number in (("ridge", ridge), ("noise", noise)):
        nonnegative(name, number)
    random = np.random.default_rng(seed)
    data = rolled(episodes, STEPS, 0.5, slip, random)
    of_first = np.where(np.arange(episodes) < episodes // 2, 1.0, 0.0)[None] * data.alive > 0
    of_second = (data.alive > 0) & ~of_first
    middle, width = (measure(data.states[:-1][data.alive > 0], axis=0) for measure in (np.mean, np.std))
    pairs = lambda s, a: np.concatenate([(s - middle) / width, 2.0 * a[..., None] - 1], -1)  # noqa: E731
    now, after = pairs(data.states[:-1], data.actions), pairs(data.states[1:], leaning(data.states[1:]))
    treatments = np.concatenate([now, after, data.done[..., None]], -1)
    rewards = (1 - discount) * (1 + noise * random.normal(size=int(of_second.sum())))
    starts = rolled(ASKED, 1, 0.0, slip, random).states[0]
    visited = random.permutation(data.states[:-1][data.alive > 0])[:ASKED]
    asked = [(pairs(s, leaning(s)), returns(s, discount, slip, random)) for s in (starts, visited)]
    neurons = tanh_neurons()

    def residual(cloud, a):
        both = neurons.network(cloud, jnp.concatenate([a[:, :5], a[:, 5:10]]))
        return both[: len(a)] - discount * (1 - a[:, 10]) * both[len(a) :]

    def metrics(x, y):
        like = lambda array: jnp.asarray(array, x.dtype)  # noqa: E731
        (first, at_first), (second, at_second) = [(neurons.network(x, like(t)) / (1 - discount), q) for t, q in asked]
        error = lambda found, wanted: jnp.sqrt(jnp.mean((found - like(wanted)) ** 2))  # noqa: E731
        told = {"error": error(first, at_first), "error_visited": error(second, at_second), "level": jnp.mean(first)}
        return told | {"flat": like(np.std(at_second))}

    problem = instrumental(
        now[of_first], treatments[of_first], rewards, z_upper=now[of_second], particles=particles, batch=batch,
        ridge=ridge, neurons=(Neurons(lambda key, N, d: neurons.start(key, N, 5), residual), neurons),
    )  # fmt: skip
    return problem._replace(metrics=metrics)
