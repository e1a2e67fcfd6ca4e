"""Which training examples can be trusted? Half of the digits have a wrong label; a few clean ones judge the weights.

    lower = 1/n Σ σ(xᵢ) CE(y; imageᵢ, labelᵢ) + ridge/2 ‖y‖²        n training examples, a share of the labels wrong
    upper = 1/m Σ CE(y; imageⱼ, labelⱼ)                             m clean validation examples
    y     = weights and bias of a linear softmax classifier         x = one logit of trust for each training example

A row tells the accuracy of y on test images that neither loss sees, and the F1 of {xᵢ ≥ 0} as a guess of the clean
examples; x starts at 0, so that all are kept at first, and an x of exactly 0 counts as clean.

Steps of x must be large, since ∂ₓ lower is a mean over n: x_step 200 where y_step is 0.5 (seen to work for v_pbgd).

Try: v_pbgd steps=4000 x_step=200.0 y_step=0.5 omega_step=0.5 penalty=(10.0,1.0)
Try: ma_soba steps=4000 x_step=200.0 y_step=0.5 z_step=0.5 pace=1.0 average=0.3
Reference: the task is the field's own, in the form of the experiments of "On Penalty-based Bilevel Gradient Descent
Method" (arXiv 2302.05185), there on MNIST; ours is the smaller set of 1797 digits of 8 × 8 pixels that scikit-learn has
with it. A wrong label is always another class (in the authors' code, a tenth of the replaced ones is right by chance).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from upperhand.forms import Bilevel, Examples
from upperhand.schedule import positive, whole
from upperhand.types import Tree


class Data(NamedTuple):
    """What a classifier is trained, judged and tested on. Arrays may be NumPy's or traced: seeds can be an axis."""

    images: Any  # [n, D] of training
    labels: Any  # [n], some of them wrong
    clean: Any  # [n], 1 where the label is right
    judging: Any  # [m, D] validation images
    judges: Any  # [m] their labels
    test: Any  # [t, D]
    answers: Any  # [t] their labels


def polluted(labels: np.ndarray, share: float, classes: int, random: np.random.Generator) -> np.ndarray:
    """The labels [n] with round(share · n) of them, at random places, replaced by another class, each as likely."""
    places = random.permutation(len(labels))[: round(share * len(labels))]
    found = labels.copy()
    found[places] = (labels[places] + random.integers(1, classes, len(places))) % classes
    return found


def parted(images: np.ndarray, labels: np.ndarray, sizes: tuple[int, int], share: float, seed: int) -> Data:
    """Data at random: sizes of training and validation, the rest for the test; a share of training labels is wrong."""
    random = np.random.default_rng(seed)
    order, (n, m) = random.permutation(len(labels)), sizes
    images, labels = images[order], labels[order]
    given = polluted(labels[:n], share, int(labels.max()) + 1, random)
    clean = (given == labels[:n]).astype(np.float64)
    return Data(images[:n], given, clean, images[n : n + m], labels[n : n + m], images[n + m :], labels[n + m :])


def losses(y: Tree, images: Any, labels: Any) -> jax.Array:
    """Cross-entropies [n] of a linear softmax classifier."""
    logits = jnp.asarray(images, y["weights"].dtype) @ y["weights"] + y["bias"][None]
    return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(labels, jnp.int32))


def scores(data: Data, x: Any, y: Tree) -> dict[str, jax.Array]:
    """Accuracy of y on the test images, and F1 of {x ≥ 0} as a guess of the clean examples; both in [0, 1]."""
    logits = jnp.asarray(data.test, y["weights"].dtype) @ y["weights"] + y["bias"][None]
    kept, clean = (x >= 0).astype(x.dtype), jnp.asarray(data.clean, x.dtype)
    f1 = 2 * jnp.vdot(kept, clean) / (jnp.sum(kept) + jnp.sum(clean))
    right = jnp.argmax(logits, -1) == jnp.asarray(data.answers, jnp.int32)
    return {"accuracy": jnp.mean(right.astype(x.dtype)), "f1": f1}


def cleaning(data: Data, classes: int, ridge: float | jax.Array, batch: tuple[int, int] = (0, 0)) -> Bilevel:
    """The problem of some data.

    Args:
      data: as it is.
      classes: of the labels.
      ridge: weight of ½ ‖y‖² in lower.
      batch: validation and training examples of a batch, drawn with replacement; 0 takes all.
    Returns: Bilevel without a truth; x starts at 0, y near it.
    """
    (n, width), m = data.images.shape, data.judging.shape[0]
    of_upper, of_lower = batch
    at = lambda table, places: table if places is None else jnp.asarray(table)[places]  # noqa: E731

    def upper(x, y, places):
        return jnp.mean(losses(y, at(data.judging, places), at(data.judges, places)))

    def lower(x, y, places):
        each = losses(y, at(data.images, places), at(data.labels, places))
        return jnp.mean(jax.nn.sigmoid(at(x, places)) * each) + ridge / 2 * optax.tree.norm(y, squared=True)

    def init(key):
        y = {"weights": 0.01 * jax.random.normal(key, (width, classes)), "bias": jnp.zeros(classes)}
        return jnp.zeros(n), y

    def draw(key, number, size):
        return jax.random.randint(key, (size,), 0, number) if size else None

    return Bilevel(
        init=init,
        upper=upper,
        lower=lower,
        draw_upper=lambda key, x, y: draw(key, m, of_upper),
        draw_lower=lambda key, x, y: draw(key, n, of_lower),
        drawn=(of_upper or m, of_lower or n),
        examples=Examples(m, n, lambda places: places, lambda places: places),
        metrics=lambda x, y: scores(data, x, y),
    )


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images [1797, 64] with pixels in [0, 1], and labels. Raises: ValueError where scikit-learn is missing."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ValueError("the digits need scikit-learn: pip install 'upperhand[data]'.") from None
    images, labels = load_digits(return_X_y=True)
    return images / 16.0, labels


def hyper_cleaning(
    *,
    train: int = 1000,
    validation: int = 200,
    pollution: float = 0.5,
    ridge: float = 1e-3,
    batch: tuple[int, int] = (0, 0),
    seed: int = 0,
) -> Bilevel:
    """Find the digits whose labels can be trusted, x ∈ R^train.

    Args:
      train: training examples.
      validation: clean examples that judge; what is left of 1797 is for the test.
      pollution: share of the training labels that is replaced by another class, in [0, 1).
      ridge: weight of ½ ‖y‖² in lower, above 0; weights and bias.
      batch: validation and training examples of a batch; 0 takes all.
      seed: of the split and the pollution.
    Returns: Bilevel without a truth. Raises: ValueError for a setting out of its range, or without scikit-learn.
    """
    check(pollution, ridge, batch)
    images, labels = digits()
    whole("train", (train,), 1, 2)
    whole("validation", (validation,), 1)
    if train + validation >= len(labels):
        raise ValueError(f"train + validation must be below {len(labels)}: got {train} + {validation}.")
    return cleaning(parted(images, labels, (train, validation), pollution, seed), 10, ridge, batch)


def check(pollution: float, ridge: float, batch: tuple[int, int]) -> None:
    """ValueError where a setting of a cleaning problem is out of its range."""
    if not 0 <= pollution < 1:
        raise ValueError(f"pollution must be in [0, 1): got {pollution!r}.")
    positive("ridge", ridge)
    whole("batch", batch, 2, least=0)
