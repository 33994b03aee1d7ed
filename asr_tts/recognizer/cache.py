"""The decoder's self-attention cache of one window, for both forms of its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from asr_tts.interfaces import SpeechRuntime, Tensor


class Cache(Protocol):
    """What has been fed to the decoder so far."""

    def advance(self, tokens: Sequence[int]) -> np.ndarray:
        """Feeds tokens; the logits after each of them, (tokens, V) float32. Raises EngineError."""
        ...


def open_cache(network: SpeechRuntime, cross: Mapping[str, Tensor]) -> Cache:
    """An empty cache over the encoder's outputs `cross`."""
    return _FixedCache(network, cross) if network.profiles else _GrowingCache(network, cross)


class _Base:
    def __init__(self, network: SpeechRuntime, cross: Mapping[str, Tensor]) -> None:
        self._network = network
        self._cross = cross
        self._present = [spec.name for spec in network.outputs if spec.name.startswith("present_")]
        # No places at first where their number may vary, all of them where it is fixed.
        self._past: dict[str, Tensor] = {
            spec.name: np.zeros(
                [(size if size >= 0 else int(axis == 0)) for axis, size in enumerate(spec.shape)], spec.dtype
            )
            for spec in network.inputs
            if spec.name.startswith("past_")
        }

    def _run(self, feeds: Mapping[str, Tensor]) -> np.ndarray:
        out = self._network.run({**feeds, **self._past, **self._cross}, keep=self._present)
        self._past = {"past_" + name.removeprefix("present_"): out[name] for name in self._present}
        return np.asarray(out["logits"])[0]


class _GrowingCache(_Base):
    """The imported network: any number of tokens a call, the cache grows by as many places."""

    def advance(self, tokens: Sequence[int]) -> np.ndarray:
        return self._run({"tokens": np.array([tokens], np.int64)})


class _FixedCache(_Base):
    """The network of `checkpoints.engines.whisper`: one token a call at a given place of a cache of fixed size."""

    _position = 0

    def advance(self, tokens: Sequence[int]) -> np.ndarray:
        rows = []
        for token in tokens:
            place = np.array([self._position], np.int64)
            rows.append(self._run({"tokens": np.array([[token]], np.int64), "position": place}))
            self._position += 1
        return np.concatenate(rows)
