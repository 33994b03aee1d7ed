"""The model's own tokenizer and chat template, through Hugging Face `transformers`; needed on rank 0 alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from commentary_llm.ground.errors import ArtifactError


class Tokenizer:
    """Text to token ids and back. Thread-safe for encoding and decoding."""

    def __init__(self, directory: Path) -> None:
        """Reads the tokenizer files of a model or shard directory. Raises ArtifactError."""
        # 0.5 s and 25 MB, and only here: other ranks never see text. PreTrainedTokenizerFast rather than
        # AutoTokenizer: the same files without importing the registry of model classes.
        from transformers import PreTrainedTokenizerFast

        if not (directory / "tokenizer.json").is_file():
            raise ArtifactError(
                f"{directory} has no tokenizer.json; import the model again: `python -m checkpoints setup`"
            )
        self._tokenizer = PreTrainedTokenizerFast.from_pretrained(str(directory), local_files_only=True)
        self._fast = self._tokenizer.backend_tokenizer
        self._bos = self._tokenizer.bos_token
        self.eos_token_ids = _eos_token_ids(directory, self._tokenizer.eos_token_id)

    def encode(self, text: str) -> list[int]:
        """Token ids; special tokens written in the text are recognised, one at the start is added only if missing."""
        own_start = bool(self._bos) and text.startswith(self._bos)
        ids: list[int] = self._fast.encode(text, add_special_tokens=not own_start).ids
        return ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text without special tokens; bytes of unfinished characters become U+FFFD."""
        text: str = self._fast.decode(list(token_ids), skip_special_tokens=True)
        return text

    def chat(self, system: str, turns: list[tuple[str, str]]) -> str:
        """The conversation as the model was trained to read it, up to the assistant's turn.

        Without a chat template: one paragraph a turn.
        """
        if not self._tokenizer.chat_template:
            return "\n\n".join([system, *(content for _, content in turns), ""]).lstrip()
        messages = [{"role": role, "content": content} for role, content in turns]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        text: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text


def _eos_token_ids(directory: Path, own: int | None) -> frozenset[int]:
    """End-of-text ids of the tokenizer, config.json and generation_config.json together."""
    ids = set() if own is None else {own}
    for name in ("config.json", "generation_config.json"):
        path = directory / name
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
            ids |= set(found) if isinstance(found, list) else set() if found is None else {found}
    return frozenset(ids)
