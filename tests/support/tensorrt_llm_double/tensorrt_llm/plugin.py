"""Plugin options: what is misspelt is dropped in silence, as in the real class."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class PluginConfig(BaseModel):
    model_config = ConfigDict(extra="ignore", validate_assignment=True)

    dtype: str = "float16"
    gpt_attention_plugin: str | None = "auto"
    gemm_plugin: str | None = None
    nccl_plugin: str | None = "auto"
    context_fmha: bool = True
    remove_input_padding: bool = True
    paged_kv_cache: bool | None = None
    tokens_per_block: int = 32
    use_paged_context_fmha: bool = True
    use_fp8_context_fmha: bool = True
    reduce_fusion: bool = False
    user_buffer: bool = False
    use_fused_mlp: bool = True
    multiple_profiles: bool = False
    manage_weights: bool = False
    smooth_quant_plugins: bool = True
    weight_only_quant_matmul_plugin: Any = None
