"""The same model decoded by others, for comparison: Hugging Face transformers and llama.cpp."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import summary_ms
from commentary_llm.ground.errors import ConfigError

_PROMPT = "Lionel Messi scores from the penalty spot and Argentina lead"


def bench_transformers(model: Path, dtype: str, *, threads: int = 2, new_tokens: int = 48) -> dict[str, Any]:
    """Greedy decode with a KV cache of the imported model at `model`, `dtype` "float32" or "bfloat16"."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
        network = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype), local_files_only=True).eval()
        gaps = []
        with torch.inference_mode():
            for measured in (False, True):
                ids = tokenizer(_PROMPT, return_tensors="pt").input_ids
                cache = None
                for step in range(new_tokens):
                    started = time.perf_counter()
                    output = network(ids, past_key_values=cache, use_cache=True)
                    cache, ids = output.past_key_values, output.logits[:, -1:].argmax(-1)
                    if measured and step:
                        gaps.append(time.perf_counter() - started)
        return {"what": f"transformers {dtype}, {threads} threads", "decode": {"1": summary_ms(gaps)}}
    finally:
        torch.set_num_threads(before)


def check_llama_cpp(gguf: Path) -> None:
    """Raises ConfigError, naming what is missing, unless llama.cpp can run the file `gguf`."""
    if importlib.util.find_spec("llama_cpp") is None:
        raise ConfigError("--gguf needs the package llama-cpp-python, which is not installed")
    if not gguf.is_file():
        raise ConfigError(f"--gguf is {str(gguf)!r}, expected a model file that is there")


def bench_llama_cpp(gguf: Path, *, threads: int = 2, new_tokens: int = 48) -> dict[str, Any]:
    """Greedy decode of a GGUF file by llama.cpp; see `check_llama_cpp`."""
    from llama_cpp import Llama  # type: ignore[import-not-found,unused-ignore]

    network = Llama(str(gguf), n_threads=threads, n_ctx=512, verbose=False)
    gaps = []
    for measured in (False, True):
        network.reset()
        network.eval(network.tokenize(_PROMPT.encode()))
        for _ in range(new_tokens):
            token = network.sample(temp=0.0)
            started = time.perf_counter()
            network.eval([token])
            if measured:
                gaps.append(time.perf_counter() - started)
    return {"what": f"llama.cpp {gguf.name}, {threads} threads", "decode": {"1": summary_ms(gaps)}}
