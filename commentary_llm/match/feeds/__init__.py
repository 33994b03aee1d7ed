"""Where matches come from: the project's own files, provider files, and the built-in match."""

from commentary_llm.match.feeds.builtin import builtin_match_path
from commentary_llm.match.feeds.jsonl import read_jsonl, write_jsonl
from commentary_llm.match.feeds.providers import PROVIDERS, load_provider
from commentary_llm.match.feeds.recording import Recording

__all__ = ["PROVIDERS", "Recording", "builtin_match_path", "load_provider", "read_jsonl", "write_jsonl"]
