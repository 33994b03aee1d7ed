"""Building: what the real builder refuses is refused, what it resets is reset."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from tensorrt_llm.double.rules import note
from tensorrt_llm.plugin import PluginConfig
from tensorrt_llm.quantization import QuantAlgo


class BuildConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")

    max_input_len: int = 1024
    max_seq_len: int | None = None
    opt_batch_size: int = 8
    max_batch_size: int = 2048
    max_beam_width: int = 1
    max_num_tokens: int = 8192
    opt_num_tokens: int | None = None
    kv_cache_type: Any = None
    gather_context_logits: bool = False
    gather_generation_logits: bool = False
    strongly_typed: bool = True
    max_draft_len: int = 0
    input_timing_cache: str | None = None
    output_timing_cache: str = "model.cache"
    plugin_config: PluginConfig = PluginConfig()
    dry_run: bool = False


@dataclass
class Engine:
    config: dict[str, Any]
    content: dict[str, Any]

    def save(self, directory: str) -> None:
        """The engine of one rank; the configuration comes from rank 0 alone."""
        target = Path(directory)
        rank = self.content["rank"]
        (target / f"rank{rank}.engine").write_text(json.dumps(self.content), encoding="utf-8")
        if rank == 0:
            (target / "config.json").write_text(json.dumps(self.config), encoding="utf-8")


def build(model: Any, build_config: BuildConfig) -> Engine:
    plugins = build_config.plugin_config.model_copy()
    algorithm = model.quant_algo
    major, minor = torch.cuda.get_device_capability(torch.cuda.current_device())
    if 100 <= major * 10 + minor < 120:
        raise RuntimeError("INT8/INT4 quantization is not supported on SM>=100")
    if plugins.use_fused_mlp:
        raise ValueError("use_fused_mlp is for unquantised, FP8 and mixed precision models")
    if plugins.reduce_fusion and algorithm is not QuantAlgo.W8A16:
        note("reduce_fusion with SmoothQuant")
    if plugins.reduce_fusion and model.mapping.tp_size == 1:
        plugins.reduce_fusion = False  # with a warning
    if build_config.output_timing_cache == "model.cache":
        note("the timing cache would be written to the working directory")
    Path(build_config.output_timing_cache).write_text("timings", encoding="utf-8")
    values = build_config.model_dump(exclude={"plugin_config"}) | {"plugin_config": plugins.model_dump()}
    config = {
        "version": "1.2.1",
        "pretrained_config": {"architecture": "LlamaForCausalLM", "mapping": model.mapping.to_dict()},
        "build_config": values,
    }
    content = {
        "rank": model.mapping.rank,
        "compute_capability": model.compute_capability,
        "quant_algo": algorithm,
        "script": model.script,
        "padding": "x" * 20_000,
    }
    return Engine(config, content)
