"""Greedy texts of a random model through the GPU's runner on 1 or 2 ranks, checked token by token on the CPU."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import torch
from rank_models import SHAPES, ExactModel, RandomWeights, config_of, random_tokens

from benchmarks.torch_sizes import TokenLoop
from commentary_llm.generation.peers import Peers, RankTimeouts, info_of
from commentary_llm.generation.torch.backend import RankBackend, TorchBackendConfig, make_backend
from commentary_llm.generation.torch.config import ModelConfig
from commentary_llm.generation.torch.weights import M, MatrixMaker, ShardWeights, read_shard
from commentary_llm.generation.torch.worker import serve_plans
from commentary_llm.ground.world import world

CONTEXT, NEW_TOKENS = 512, 20


def main(shape_name: str, device: str) -> None:
    comm = world()
    config = TorchBackendConfig(
        Path("random"),
        "auto" if device == "cuda" else "float32",
        device,
        max_context=CONTEXT,
        max_step_tokens=64,
        timeouts=RankTimeouts(answer_s=60.0),  # the exact model keeps rank 0's processor busy
    )
    peers = Peers(comm, config.timeouts) if comm is not None and comm.Get_size() > 1 else None
    info = info_of(peers)
    rank, ranks = info.rank, info.size
    weights = RandomWeights(SHAPES[shape_name], 11)

    def shard(config: ModelConfig, maker: MatrixMaker[M], on: torch.device) -> ShardWeights[M]:
        return read_shard(weights.of_rank(rank, ranks, on), config, maker, "random", "")

    def load() -> RankBackend:
        return make_backend(config, config_of(weights.shape, ranks, CONTEXT), shape_name, shard, peers)

    if peers is not None and rank:
        serve_plans(config, peers, load)
        return
    loop = TokenLoop(config, load())
    draw, exact = random.Random(3), ExactModel(weights, 1, CONTEXT)
    prefix = random_tokens(draw, weights.shape, 90)  # longer than a plan takes at once
    checked = same = 0
    for batch in (1, 3, 8, 2):
        # Prompts that share a prefix: with each other, so that slots are copied, and with earlier ones, which rewinds.
        prompts = [prefix + random_tokens(draw, weights.shape, 1 + 7 * index) for index in range(batch)]
        for prompt, tokens in zip(prompts, loop.run(prompts, NEW_TOKENS).tokens, strict=True):
            assert len(tokens) == NEW_TOKENS
            for index, token in enumerate(tokens):
                text = (*prompt, *tokens[:index])
                start = 0 if not index else len(text) - 1
                (logits,) = exact.run(text[start:], (0, start, len(text) - start))
                # Random logits lie close together: what counts is that the token is as good as the best.
                assert logits[token] >= logits.max() - 1e-2 * logits.abs().max(), (batch, index)
                checked += 1
                same += int(token == int(logits.argmax()))
    loop.close()
    print(json.dumps({"ranks": ranks, "checked": checked, "same": same}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
