"""Fine-tuning of a small model on commentary: synthetic pairs, LoRA training, merging."""

from __future__ import annotations

from pathlib import Path

BASE_MODEL = "smollm2-135m-instruct"
COMMENTATOR_MODEL = "smollm2-135m-commentator"  # the base with the adapter merged in
ADAPTER_FILE = Path(__file__).parent / "adapter" / "commentator.safetensors"
