"""hyper_cleaning on made-up data: a Gaussian a class, half of the training labels wrong. It needs no other package.

    image = mean of its class + N(0, I),  the means in random directions at one distance from 0
    lower, upper, x, y and what a row tells: as hyper_cleaning

Training on the clean validation examples alone does about as well here as any cleaning: it is a test of the methods,
not a case for them.

Try: v_pbgd steps=4000 x_step=200.0 y_step=0.5 omega_step=0.5 penalty=(10.0,1.0)
Reference: ours; the task is that of hyper_cleaning.
"""

import numpy as np

from upperhand.forms import Bilevel
from upperhand.problems.hyper_cleaning import Data, check, cleaning, parted
from upperhand.schedule import positive, whole

CLASSES, WIDTH = 5, 20
TESTED = 5000
"""Examples of the test."""


def gaussians(train: int, validation: int, pollution: float, distance: float, seed: int) -> Data:
    """Examples of 5 classes in 20 dimensions, 5000 of them for the test. Args: as of `gaussian_cleaning`."""
    random = np.random.default_rng([seed, 1])
    means = random.normal(size=(CLASSES, WIDTH))
    means *= distance / np.linalg.norm(means, axis=1, keepdims=True)
    labels = random.integers(0, CLASSES, train + validation + TESTED)
    images = means[labels] + random.normal(size=(len(labels), WIDTH))
    return parted(images, labels, (train, validation), pollution, seed)


def gaussian_cleaning(
    *,
    train: int = 1000,
    validation: int = 200,
    pollution: float = 0.5,
    ridge: float = 1e-3,
    distance: float = 3.3,
    batch: tuple[int, int] = (0, 0),
    seed: int = 0,
) -> Bilevel:
    """Find the examples whose labels can be trusted, x ∈ R^train.

    Args:
      train: training examples.
      validation: clean examples that judge.
      pollution: share of the training labels that is replaced by another class, in [0, 1).
      ridge: weight of ½ ‖y‖² in lower, above 0; weights and bias.
      distance: of each class's mean from 0, in standard deviations.
      batch: validation and training examples of a batch; 0 takes all.
      seed: of the means, the examples and the pollution.
    Returns: Bilevel without a truth. Raises: ValueError for a setting out of its range.
    """
    check(pollution, ridge, batch)
    whole("train", (train,), 1, CLASSES)
    whole("validation", (validation,), 1)
    data = gaussians(train, validation, pollution, positive("distance", distance), seed)
    return cleaning(data, CLASSES, ridge, batch)
