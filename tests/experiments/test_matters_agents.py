"""The agents of rlhf_matters that write: laws by enumeration and loops, draws by frequencies, slopes by differences."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.experiments import matters_style as style
from upperhand.experiments.matters_bias import bias
from upperhand.experiments.matters_markov import BLOCK, answer, chain, inverse, key_of, log_ratio, markov
from upperhand.experiments.matters_people import Person, beside, pen, person
from upperhand.language.saved import Language
from upperhand.mdps.tokens import Tokens, every_text, write
from upperhand.policies.transformer import Shape, biased, initial

WORLD = Tokens(6, 3)  # letters 3, 4, 5
TEXTS = np.array([[3, 4, 2], [3, 3, 5], [4, 2, 0], [2, 0, 0], [3, 4, 3], [5, 5, 2], [3, 4, 4]], np.int32)
X = np.array([[0.8, -0.6], [-0.3, 0.9]])
WEIGHED = [3, 5]


def test_a_chain_is_witten_bell_by_hand():
    pi = np.asarray(chain(TEXTS, WORLD).pi, float)
    assert pi.shape == (BLOCK, BLOCK) and not pi[6:].any() and not pi[:, 6:].any() and not pi[:, :2].any()
    np.testing.assert_allclose(pi[[1, 3, 4, 5]].sum(1), 1, rtol=1e-6)
    tokens = [token for text in TEXTS for token in text if token]
    share = (tokens.count(5) + 0.5) / (len(tokens) + 0.5 * 4)
    # 3 is followed by 4, 3, 4, 4, and 5: five times, three kinds... counted from the texts
    after = [b for text in TEXTS for a, b in zip(text[:-1], text[1:], strict=True) if a == 3]
    kinds = len(set(after))
    assert pi[3, 5] == pytest.approx((after.count(5) + kinds * share) / (len(after) + kinds), rel=1e-5)


def values(pi, r, gamma, before, left):
    """V of a state by loops."""
    if not left or before == WORLD.end:
        return 0.0
    return np.log(sum(pi[before, a] * np.exp(r[a] + gamma * values(pi, r, gamma, a, left - 1)) for a in range(2, 6)))


def laws(pi, r, gamma):
    """(texts, π_x, log π_x/π_ref, KL along the text) of every text, by loops."""
    texts = every_text(WORLD)
    found = []
    for text in texts:
        before, probability, ratio, cost = WORLD.begin, 1.0, 0.0, 0.0
        for place, a in enumerate(text):
            if before == WORLD.end:
                break
            q = [r[b] + gamma * values(pi, r, gamma, b, 2 - place) for b in range(2, 6)]
            v = values(pi, r, gamma, before, 3 - place)
            law = [pi[before, b] * np.exp(q[b - 2] - v) for b in range(2, 6)]
            cost += sum(p * (each - v) for p, each in zip(law, q, strict=True))
            probability, ratio, before = probability * law[a - 2], ratio + q[a - 2] - v, a
        found.append((probability, ratio, cost))
    return texts, *np.array(found).T


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_a_markov_agent_answers_with_its_soft_bellman_equation(gamma):
    model = chain(TEXTS, WORLD)
    pi = np.asarray(model.pi, float)
    agent = markov(model, WEIGHED, gamma, None, ["3", "5"])
    found = agent.play([(7,), (8,)], X, 8192)
    for lane, x in enumerate(X):
        r = np.zeros(6)
        r[WEIGHED] = x
        texts, probability, ratio, cost = laws(pi, r, gamma)
        assert probability.sum() == pytest.approx(1, abs=1e-5)
        place = {tuple(text): at for at, text in enumerate(texts)}
        drawn = np.array([place[tuple(text)] for text in found.texts[lane]])
        wanted, seen = 8192 * probability, np.bincount(drawn, minlength=len(texts))
        kept = wanted > 5
        assert np.sum((seen - wanted)[kept] ** 2 / wanted[kept]) < kept.sum() + 4 * (2 * kept.sum()) ** 0.5
        np.testing.assert_allclose(found.log_ratio[lane], ratio[drawn], atol=1e-4)
        np.testing.assert_array_equal(
            found.features[lane], [[(text == 3).sum(), (text == 5).sum()] for text in found.texts[lane]]
        )
        kl = probability @ ratio
        assert probability @ cost == pytest.approx(kl, abs=1e-6)
        assert found.kl[lane] == pytest.approx(kl, abs=4 * np.std(cost[drawn]) / 8192**0.5 + 1e-5)
        if gamma == 1:  # the Gibbs law
            counts = np.stack([(texts == token).sum(1) for token in WEIGHED], 1)
            ratios = ratio - counts @ x
            np.testing.assert_allclose(ratios, ratios[0], atol=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_the_pull_of_a_markov_agent_is_the_slope_of_its_law(gamma):
    model = chain(TEXTS, WORLD)
    agent = markov(model, WEIGHED, gamma, None, ["3", "5"])
    found = agent.play([(7,), (8,)], X, 16)
    c = np.random.default_rng(0).normal(size=(2, 16))
    c[0] = 0  # a lane that is not asked for
    pi, place = np.asarray(model.pi, float), {tuple(text): at for at, text in enumerate(every_text(WORLD))}
    drawn = [place[tuple(text)] for text in found.texts[1]]

    def total(x):
        r = np.zeros(6)
        r[WEIGHED] = x
        return c[1] @ laws(pi, r, gamma)[2][drawn]

    wanted = [(total(X[1] + d) - total(X[1] - d)) / 2e-4 for d in 1e-4 * np.eye(2)]
    np.testing.assert_allclose(agent.pull(found, X, c), [[0, 0], wanted], rtol=1e-3, atol=1e-3)


def test_answers_of_many_lanes_are_those_of_each():
    model, r = chain(TEXTS, WORLD), jnp.asarray(np.random.default_rng(0).normal(size=(BLOCK, 3)), jnp.float32)
    q, v = answer(model, r, 0.9)
    one = answer(model, r[:, 1:2], 0.9)
    np.testing.assert_allclose(q[:, :6, 1:2], one[0][:, :6], rtol=1e-5)
    np.testing.assert_allclose(v[:, 1:6, 1:2], one[1][:, 1:6], rtol=1e-5)
    tokens = jnp.asarray(TEXTS)[None].repeat(3, 0)
    assert log_ratio(model, r, tokens, 0.9).shape == (3, 7)


def test_tokens_are_drawn_as_by_one_running_sum():
    random = np.random.default_rng(0)
    weights = random.gamma(0.05, size=(4, 50, 5 * BLOCK)) * (random.random((4, 50, 5 * BLOCK)) < 0.3)
    words = random.random((4, 50))
    sums = np.cumsum(weights, -1)
    wanted = (sums <= (words * sums[..., -1])[..., None]).sum(-1)
    np.testing.assert_array_equal(inverse(jnp.asarray(weights), jnp.asarray(words)), wanted)


@pytest.fixture(scope="module")
def language():
    """A tiny transformer whose logits differ."""
    shape = Shape(40, 5, 8, 1, 2, 1)
    random = np.random.default_rng(0)
    weights = jax.tree.map(
        lambda leaf: jnp.asarray(leaf + 0.4 * random.normal(size=leaf.shape), leaf.dtype),
        initial(jax.random.key(0), shape),
    )
    decode = lambda tokens: [" ".join(map(str, row[row > 2])) for row in np.asarray(tokens)]  # noqa: E731
    return Language(Tokens(40, 5), shape, weights, decode, None, [str(i) for i in range(40)], [], 0.0, {}, None)


def test_a_logit_bias_is_that_of_the_biased_writer(language):
    """Log-ratio, slopes and KL of each text against the whole forward pass, and frequencies of the first token."""
    weighed = [2, 7, 11]
    x = np.array([[0.5, 1.5, -1.0], [0.0, -0.5, 2.0]])
    agent = bias(language, weighed, lambda tokens: tokens.sum(1), "abc")
    found = agent.play([(1,), (2,)], x, 96)
    writer = biased(language.shape, language.weights, write, language.world)
    for lane in range(2):
        reading = writer.read(jnp.asarray(found.texts[lane]))

        def log_pi(x, reading=reading):
            theta = jnp.zeros(40, jnp.float32).at[np.array(weighed)].set(jnp.asarray(x, jnp.float32))
            return np.asarray(writer.log_prob(theta, reading), float)

        alive, log_ref = np.asarray(reading.alive), np.asarray(reading.log_ref, float)

        def ratio(x, log_pi=log_pi, log_ref=log_ref, alive=alive, tokens=found.texts[lane][..., None]):
            return np.sum(alive * np.take_along_axis(log_pi(x) - log_ref, tokens, 2)[..., 0], 1)

        np.testing.assert_allclose(found.log_ratio[lane], ratio(x[lane]), atol=1e-4)
        slopes = np.stack([(ratio(x[lane] + d) - ratio(x[lane] - d)) / 2e-2 for d in 1e-2 * np.eye(3)], 1)
        np.testing.assert_allclose(found.slopes[lane], slopes, atol=2e-3)
        pi = np.exp(log_pi(x[lane]))
        kl = np.sum(pi * (log_pi(x[lane]) - log_ref), -1)
        assert found.kl[lane] == pytest.approx(np.mean(np.sum(alive * kl, 1)), abs=1e-4)
        first = np.bincount(agent.play([(5,), (6,)], x, 4096).texts[lane, :, 0], minlength=40)
        wanted = 4096 * pi[0, 0]
        kept = wanted > 5
        assert np.sum((first - wanted)[kept] ** 2 / wanted[kept]) < kept.sum() + 4 * (2 * kept.sum()) ** 0.5
    np.testing.assert_array_equal(agent.scores(found), found.texts.sum(2))
    c = np.random.default_rng(0).normal(size=(2, 96))
    np.testing.assert_allclose(agent.pull(found, x, c)[1], c[1] @ found.slopes[1])


def test_lanes_are_the_same_whoever_is_beside_them(language):
    agent, x = bias(language, [3, 4], None, "ab"), np.random.default_rng(0).normal(size=(5, 2))
    seeds = [(seed, 1) for seed in range(5)]
    together = agent.play(seeds, x, 8)
    for lane in (0, 2, 4):
        alone = agent.play(seeds[lane : lane + 1], x[lane : lane + 1], 8)
        np.testing.assert_array_equal(together.texts[lane], alone.texts[0])
        np.testing.assert_allclose(together.log_ratio[lane], alone.log_ratio[0], atol=1e-5)
    assert (key_of((1, 2)) != key_of((2, 1))) and (together.texts[0] != together.texts[1]).any()


def test_a_pool_is_drawn_from_the_reference(language):
    found = style.pool(language, 2050, seed=1)
    assert found.tokens.shape == (2050, 5) and len(found.texts) == 2050
    assert (found.tokens[:1024] != found.tokens[1024:2048]).any(1).mean() > 0.5  # no batch is there twice
    np.testing.assert_array_equal(found.tokens, style.pool(language, 2050, seed=1).tokens)


def test_style_is_counted_and_what_is_paid_takes_the_agent_so_far():
    lines = ["@user hi there!! :) #fun", "see <url> .. #a #b 12 34", "why????? @user", "x"]
    names = list(style.STYLE)
    found = [dict(zip(names, row, strict=True)) for row in style.styles(lines)]
    none = dict.fromkeys(names, 0.0)
    assert found[0] == none | {"!": 2, "smileys": 1, "handles": 1, "words": 5, "#": 1, "begins with a handle": 1}
    assert found[1] == none | {"links": 1, "words": 7, "#": 2, "..": 1, "digits": 2}
    assert found[2] == none | {"?": 3, "handles": 1, "words": 2} and found[3] == none | {"words": 1}
    counts = np.random.default_rng(0).poisson(0.5, 1000).astype(float)
    pay = style.paid(counts, 0.3)
    pi = np.exp(pay) / np.exp(pay).sum()
    assert pi @ np.log(pi * 1000) == pytest.approx(0.3, abs=1e-9)
    np.testing.assert_allclose(pay / np.maximum(counts, 1), pay.max() / counts.max() * (counts > 0))


def test_the_pen_friend():
    short, long = "@user hi", " ".join(["word"] * 13)
    np.testing.assert_array_equal(pen([short, long, "hi", f"{long} @user"]), [0, 1, 0.5, 0.5])
    assert pen([" ".join(["a"] * 12)])[0] == 0.5
    judge = person(lambda tokens: [short, "good good"], "pen")
    mood = judge.mood([short, "good good"])
    np.testing.assert_allclose(judge(np.zeros((2, 3))), mood - [0, 0.5])
    np.testing.assert_allclose(judge._replace(truth="vader")(np.zeros((2, 3))), mood)
    told = beside(
        Person(lambda tokens: ["a b", "b b b"], lambda texts: np.array([0.0, 1.0]), "vader"), np.zeros((2, 1))
    )
    assert told == {"vader": 0.5, "length": 2.5, "repetition": pytest.approx(2 / 3), "distinct_2": pytest.approx(2 / 3)}


def test_all_words_of_the_enumeration_are_there():
    assert len(every_text(WORLD)) == len(list(product(range(3), repeat=3))) + 1 + 3 + 9
