"""Tokens per second of sampling and one policy update: ours against a plain PyTorch loop of the same model.

Batch 32, 48 tokens, 4 layers of width 128, vocabulary 2048, the two top layers tuned: one REINFORCE step with a KL to
the reference (rewards of a lexicon), Adam, clipped. The PyTorch model has the same weights, and its logits are compared
first. Its loop is as people write it: once it feeds the whole prefix for every token, once it keeps keys and values;
then a pass of the policy with its gradient, a pass of the reference without. The bar is 3 against the plain loop.

Needs PyTorch besides (pip install torch==2.13.0, the CPU build). Run: python benchmarks/text_throughput.py
"""

import math
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from torch import nn
from torch.nn import functional

from upperhand.hoist import hoist
from upperhand.mdps.tokens import Tokens, write
from upperhand.policies.transformer import Shape, initial, network, writer

SHAPE = Shape(vocabulary=2048, length=48, width=128, layers=4, heads=4)
WORLD = Tokens(SHAPE.vocabulary, SHAPE.length)
BATCH, TEMPERATURE, PACE, TURNS = 32, 0.5, 2e-3, 10


class Block(nn.Module):
    """A layer, with the weights of ours."""

    def __init__(self, layer):
        super().__init__()
        for name, value in layer.items():
            self.register_parameter(name, nn.Parameter(torch.from_numpy(np.array(value))))

    def forward(self, h, turn, cache):
        B, S, D = h.shape
        qkv = functional.rms_norm(h, (D,), self.before, 1e-6) @ self.qkv
        q, k, v = qkv.view(B, S, 3, SHAPE.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, turn), rotate(k, turn)
        if cache is not None:
            k, v = (torch.cat([old, new], 2) for old, new in zip(cache, (k, v), strict=True)) if cache else (k, v)
            cache = (k, v)
        read = functional.scaled_dot_product_attention(q, k, v, is_causal=S > 1)
        h = h + read.transpose(1, 2).reshape(B, S, D) @ self.out
        return h + functional.relu(
            functional.rms_norm(h, (D,), self.between, 1e-6) @ self.up
        ).square() @ self.down, cache


class Model(nn.Module):
    """The network, with the weights of ours; the top layers and the norm have gradients."""

    def __init__(self, weights):
        super().__init__()
        self.embedding = nn.Parameter(torch.from_numpy(np.array(weights["embedding"])), requires_grad=False)
        self.layers = nn.ModuleList([Block(weights["layers"][place]) for place in range(SHAPE.layers)])
        self.norm = nn.Parameter(torch.from_numpy(np.array(weights["norm"])))
        for layer in self.layers[: SHAPE.layers - SHAPE.tuned]:
            layer.requires_grad_(False)
        pairs = SHAPE.width // SHAPE.heads // 2
        angle = torch.arange(SHAPE.length + 1)[:, None] * 1000.0 ** (-torch.arange(pairs) / pairs)
        self.turn = angle.cos(), angle.sin()

    def forward(self, tokens, cache=None, start=0):
        h = self.embedding[tokens] * math.sqrt(SHAPE.width)
        turn = [part[start : start + tokens.shape[1]] for part in self.turn]
        for place, layer in enumerate(self.layers):
            h, held = layer(h, turn, None if cache is None else cache[place])
            if cache is not None:
                cache[place] = held
        logits = functional.rms_norm(h, (SHAPE.width,), self.norm, 1e-6) @ self.embedding.T
        logits[..., :2] = -1e9
        return logits


def rotate(q, turn):
    """Rotary positions."""
    a, b = q.chunk(2, -1)
    return torch.cat([a * turn[0] - b * turn[1], a * turn[1] + b * turn[0]], -1)


@torch.no_grad()
def sampled(model, is_cached):
    """Texts, token by token."""
    tokens = torch.full((BATCH, 1), WORLD.begin)
    done, cache = torch.zeros(BATCH, dtype=torch.bool), [()] * SHAPE.layers if is_cached else None
    for t in range(SHAPE.length):
        logits = model(tokens[:, -1:], cache, t) if is_cached else model(tokens)
        token = torch.multinomial(logits[:, -1].softmax(-1), 1)[:, 0].masked_fill(done, WORLD.pad)
        done |= token == WORLD.end
        tokens = torch.cat([tokens, token[:, None]], 1)
    return tokens


def in_torch(weights, x, is_cached):
    """A function that samples and updates once."""
    model, reference = Model(weights), Model(weights).requires_grad_(False)
    tuned = [one for one in model.parameters() if one.requires_grad]
    optimiser, x = torch.optim.Adam(tuned, PACE), torch.from_numpy(np.array(x))

    def update():
        tokens = sampled(model, is_cached)
        read, written = tokens[:, :-1], tokens[:, 1:]
        alive = (written != WORLD.pad).float()
        log_pi = model(read).log_softmax(-1)
        with torch.no_grad():
            log_ref = reference(read).log_softmax(-1)
        kl = (log_pi.exp() * (log_pi - log_ref)).sum(-1) * alive
        to_go = (x[written] * alive).flip(1).cumsum(1).flip(1)
        to_go -= TEMPERATURE * (kl.flip(1).cumsum(1).flip(1) - kl).detach()
        gain = (to_go - to_go.mean(0)) * log_pi.gather(-1, written[..., None])[..., 0] * alive
        loss = (TEMPERATURE * kl - gain).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(tuned, 1.0)
        optimiser.step()
        return float(loss.detach())

    return update, model


def in_jax(weights, x):
    """The same of ours, one program."""
    policy = writer(SHAPE, weights, write, WORLD)
    x, optimiser = jnp.asarray(x), optax.chain(optax.clip_by_global_norm(1.0), optax.adam(PACE))

    def one(key, theta, state):
        reading = policy.read(policy.write(key, theta, BATCH))
        written, alive = reading.tokens, reading.alive

        def loss(theta):
            log_pi = policy.log_prob(theta, reading)
            kl = jnp.sum(jnp.exp(log_pi) * (log_pi - reading.log_ref), -1) * alive
            to_go = jnp.cumsum((x[written] * alive)[:, ::-1], 1)[:, ::-1]
            to_go -= TEMPERATURE * jax.lax.stop_gradient(jnp.cumsum(kl[:, ::-1], 1)[:, ::-1] - kl)
            told = jnp.take_along_axis(log_pi, written[..., None], -1)[..., 0]
            gain = (to_go - to_go.mean(0)[None]) * told * alive
            return jnp.mean(jnp.sum(TEMPERATURE * kl - gain, 1))

        value, gradient = jax.value_and_grad(loss)(theta)
        change, state = optimiser.update(gradient, state, theta)
        return optax.apply_updates(theta, change), state, value

    key, theta = jax.random.key(0), policy.init(jax.random.key(0))
    held = [theta, optimiser.init(theta), 0]
    program = hoist(one, key, *held[:2])

    def update():
        *after, value = program(jax.random.fold_in(key, held[2]), *held[:2])
        held[:] = [*after, held[2] + 1]
        return float(value)

    return update


def main() -> None:
    """Print tokens per second of each, and the ratios."""
    random = np.random.default_rng(0)
    start = initial(jax.random.key(0), SHAPE)
    weights = jax.tree.map(lambda leaf: leaf + 0.02 * random.normal(size=leaf.shape).astype(np.float32), start)
    x = random.normal(size=SHAPE.vocabulary).astype(np.float32)
    torch.set_num_threads(os.cpu_count() or 1)
    (plain, model), (cached, _) = in_torch(weights, x, False), in_torch(weights, x, True)
    tokens = np.random.default_rng(1).integers(3, SHAPE.vocabulary, (4, SHAPE.length))
    positions = jnp.broadcast_to(jnp.arange(SHAPE.length)[None], tokens.shape)
    ours = np.asarray(network(SHAPE, weights)(jnp.asarray(tokens), positions)[0])[..., 2:]
    theirs = model(torch.from_numpy(tokens)).detach().numpy()[..., 2:]
    print(f"largest difference of logits {np.abs(ours - theirs).max():.1e} (they reach {np.abs(ours).max():.1f})")
    calls = {"upperhand": in_jax(weights, x), "PyTorch, with a cache": cached, "PyTorch, plain": plain}
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(TURNS + 1):  # by turns; the first compiles
        for name, update in calls.items():
            began = time.perf_counter()
            update()
            if turn:
                best[name] = min(best[name], time.perf_counter() - began)
    for name, seconds in best.items():
        rate, ratio = BATCH * SHAPE.length / seconds, seconds / best["upperhand"]
        print(f"{name:22s} {1e3 * seconds:8.1f} ms an iteration {rate:10,.0f} tokens/s   ours / this {ratio:5.2f}")


if __name__ == "__main__":
    main()
