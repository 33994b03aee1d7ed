"""LLaMA as the converter reads it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Tokenizer

from tensorrt_llm.double.rules import note, refuse
from tensorrt_llm.double.script import encode_script
from tensorrt_llm.mapping import Mapping
from tensorrt_llm.models.convert_utils import load_calib_dataset
from tensorrt_llm.models.modeling_utils import QuantConfig
from tensorrt_llm.quantization import QuantAlgo

_SAMPLES = 512


class LLaMAForCausalLM:
    def __init__(self, directory: Path, mapping: Mapping, quant_algo: QuantAlgo | None) -> None:
        if any(word in str(directory).lower() for word in ("llava", "vila", "exaone")):
            refuse(f"{directory}: the path switches the converter to another architecture")
        device = torch.cuda.current_device()
        if device != mapping.rank % mapping.gpus_per_node:
            note(f"rank {mapping.rank} converts on GPU {device}: the INT8 layout would be that GPU's")
        major, minor = torch.cuda.get_device_capability(device)
        self.compute_capability = f"{major}.{minor}"
        self.mapping, self.quant_algo = mapping, quant_algo
        given = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        heads = given["num_attention_heads"]
        assert heads % mapping.tp_size == 0, "num_attention_heads must be divisible by tp_size"
        self.config = SimpleNamespace(
            num_hidden_layers=given["num_hidden_layers"],
            hidden_size=given["hidden_size"],
            num_attention_heads=heads,
            num_key_value_heads=given.get("num_key_value_heads") or heads,
            head_size=given.get("head_dim") or given["hidden_size"] // heads,
            intermediate_size=given["intermediate_size"],
            vocab_size=given["vocab_size"],
            rotary_base=given.get("rope_theta", 10000.0),  # transformers 4 knows no `rope_parameters`
            rotary_scaling=given.get("rope_scaling"),
            norm_epsilon=given["rms_norm_eps"],
            mapping=mapping,
        )
        end_id = given["eos_token_id"]
        end_id = end_id[0] if isinstance(end_id, list) else end_id
        self.script = encode_script(Tokenizer.from_file(str(directory / "tokenizer.json")), end_id)

    @classmethod
    def from_hugging_face(
        cls,
        hf_model_or_dir: str,
        dtype: str = "auto",
        mapping: Mapping | None = None,
        quant_config: QuantConfig | None = None,
        **kwargs: Any,
    ) -> LLaMAForCausalLM:
        if not isinstance(hf_model_or_dir, str):
            raise TypeError("argument of type 'PosixPath' is not iterable")
        if quant_config is not None and quant_config.quant_algo is not QuantAlgo.W8A16:
            refuse("SmoothQuant needs quantize()")
        directory = Path(hf_model_or_dir)
        if not list(directory.glob("*.safetensors")):
            raise RuntimeError(f"Could not find any .safetensors or .bin files in {directory}")
        return cls(directory, mapping or Mapping(), quant_config.quant_algo if quant_config else None)

    @classmethod
    def quantize(
        cls,
        hf_model_dir: str,
        output_dir: str,
        dtype: str = "auto",
        mapping: Mapping | None = None,
        quant_config: QuantConfig | None = None,
        *,
        device: str = "cuda",
        calib_dataset: str = "cnn_dailymail",
        calib_batches: int = 512,
        **kwargs: Any,
    ) -> None:
        mapping = mapping or Mapping()
        assert quant_config is not None
        if quant_config.quant_algo is QuantAlgo.W8A16:
            raise ValueError("W8A16 needs no calibration: use from_hugging_face")
        assert mapping.rank == 0, "quantize should be called at rank 0 only"
        texts = load_calib_dataset(calib_dataset)
        if len(texts) < _SAMPLES:
            raise IndexError(f"list index out of range: {len(texts)} calibration texts, {_SAMPLES} are read")
        target = Path(output_dir)
        target.mkdir()
        (target / "source.json").write_text(json.dumps([hf_model_dir, quant_config.quant_algo, mapping.gpus_per_node]))
        for rank in range(mapping.tp_size):
            (target / f"rank{rank}.safetensors").write_bytes(b"weights")

    @classmethod
    def from_checkpoint(cls, ckpt_dir: str, rank: int | None = None, config: Any = None) -> LLaMAForCausalLM:
        directory = Path(ckpt_dir)
        assert (directory / f"rank{rank}.safetensors").is_file()
        source, algorithm, gpus_per_node = json.loads((directory / "source.json").read_text(encoding="utf-8"))
        ranks = len(list(directory.glob("rank*.safetensors")))
        return cls(Path(source), Mapping(ranks, rank or 0, gpus_per_node, tp_size=ranks), QuantAlgo(algorithm))
