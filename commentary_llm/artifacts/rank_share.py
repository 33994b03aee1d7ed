"""A rank's share of a LLaMA-family model: what is padded so that it divides, and how each tensor is cut.

Column-parallel (q, k, v, gate, up): rows and their scales are split. Row-parallel (o, down): columns are split, scales
stay whole. Embedding and lm_head: rows of the vocabulary are split. Norms: whole on every rank.
"""

from __future__ import annotations

from dataclasses import replace

from commentary_llm.artifacts.llama import LlamaShape
from commentary_llm.artifacts.manifest import Padding
from commentary_llm.ground.errors import ConfigError

_ROW_PARALLEL = ("self_attn.o_proj.weight", "mlp.down_proj.weight")


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def padding_for(shape: LlamaShape, ranks: int) -> Padding:
    """What has to be padded so that heads, intermediate size and vocabulary divide by `ranks`."""
    if ranks < 1:
        raise ConfigError(f"ranks is {ranks}, expected 1 or more")
    kv_heads = _round_up(shape.kv_heads, ranks)
    return Padding(
        query_heads=shape.query_heads,
        padded_query_heads=kv_heads * (shape.query_heads // shape.kv_heads),
        kv_heads=shape.kv_heads,
        padded_kv_heads=kv_heads,
        intermediate=shape.intermediate,
        padded_intermediate=_round_up(shape.intermediate, ranks),
        vocabulary=shape.vocabulary,
        padded_vocabulary=_round_up(shape.vocabulary, ranks),
    )


def rank_shape(shape: LlamaShape, ranks: int) -> LlamaShape:
    """The sizes one rank holds; the same for every rank."""
    padding = padding_for(shape, ranks)
    return replace(
        shape,
        query_heads=padding.padded_query_heads // ranks,
        kv_heads=padding.padded_kv_heads // ranks,
        intermediate=padding.padded_intermediate // ranks,
        vocabulary=padding.padded_vocabulary // ranks,
    )


def split_axis(name: str) -> int | None:
    """Along which axis a tensor (weight or scale) is split between ranks; None: whole on every rank."""
    weight = name.removesuffix("_scale")
    if weight.endswith(_ROW_PARALLEL):
        return None if name.endswith("_scale") else 1
    return None if "norm" in name else 0
