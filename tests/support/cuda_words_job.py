"""Greedy tokens of the default model for some prompts, as JSON: on the CPU or on GPUs, on any number of ranks."""

from __future__ import annotations

import json
import sys

from commentary_llm.generation import GenerationRequest, SamplingParams
from commentary_llm.generation.torch.backend import TorchBackendConfig
from commentary_llm.generation.torch.generator import open_torch_generator
from commentary_llm.generation.torch.worker import serve_torch_generator
from commentary_llm.ground.home import LLM_MODEL, shards_dir
from commentary_llm.ground.world import world

PROMPTS = (
    "Lionel Messi scores from the penalty spot and Argentina lead",
    "Football is a game of",
    "The capital of France is",
    "After ninety minutes in Lusail the score is two all, and",
    "Goal! Messi",
    "The referee points to the spot",
    "Mbappé — été",
    "90+4 minutes, and the keeper ⚽",
)
_CHAT = "You are a football commentator. Say one lively sentence."
_EVENTS = ("Goal by Messi, a penalty, 23rd minute, 1-0.", "Yellow card for Paredes, 45th minute.", "Full time, 3-3.")
NEW_TOKENS = 32


def main(device: str) -> None:
    comm = world()
    ranks = comm.Get_size() if comm is not None else 1
    config = TorchBackendConfig(shards_dir(LLM_MODEL, ranks), device=device)
    if comm is not None and comm.Get_rank():
        serve_torch_generator(config, comm)
        return
    with open_torch_generator(config, comm) as generator:
        prompts = [*PROMPTS, *(generator.chat(_CHAT, [("user", event)]) for event in _EVENTS)]
        found = []
        for prompt in prompts:
            sampling = SamplingParams(NEW_TOKENS, temperature=0.0)
            (completion,) = generator.submit(GenerationRequest("", prompt, sampling)).result(60)
            found.append(list(completion.token_ids))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
