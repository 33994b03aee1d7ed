"""The decoder's self-attention cache of a batch of windows, for both forms of its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from asr_tts.interfaces import SpeechRuntime, Tensor


class Cache(Protocol):
    """What has been fed to the decoder so far, for each window."""

    def advance(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        """Feeds each window as many tokens; the logits after each of them, (B, tokens, V) float32. Raises EngineError.

        A window's logits are the same in any company, but for the order in which the network's products are summed.
        """
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these windows alone, in this order."""
        ...


def open_cache(network: SpeechRuntime, windows: Sequence[Mapping[str, Tensor]]) -> Cache:
    """An empty cache over the encoder's outputs of each window. A network of fixed shapes takes one window."""
    if network.profiles:
        (cross,) = windows
        return _FixedCache(network, cross)
    cross = {name: np.concatenate([np.asarray(window[name]) for window in windows]) for name in windows[0]}
    return _GrowingCache(network, cross)


class _Base:
    def __init__(self, network: SpeechRuntime, cross: Mapping[str, Tensor]) -> None:
        self._network = network
        self._cross = cross
        self._present = [spec.name for spec in network.outputs if spec.name.startswith("present_")]
        batch = next(iter(cross.values())).shape[0]
        # No places at first where their number may vary, all of them where it is fixed.
        self._past: dict[str, Tensor] = {
            spec.name: np.zeros(
                [(size if size >= 0 else batch * int(axis == 0)) for axis, size in enumerate(spec.shape)], spec.dtype
            )
            for spec in network.inputs
            if spec.name.startswith("past_")
        }

    def _run(self, feeds: Mapping[str, Tensor]) -> np.ndarray:
        out = self._network.run({**feeds, **self._past, **self._cross}, keep=self._present)
        self._past = {"past_" + name.removeprefix("present_"): out[name] for name in self._present}
        return np.asarray(out["logits"])


class _GrowingCache(_Base):
    """The imported network: any number of windows and of tokens a call, the cache grows by as many places."""

    def advance(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        return self._run({"tokens": np.array(tokens, np.int64)})

    def keep(self, rows: Sequence[int]) -> None:
        chosen = np.array(rows)
        self._past = {name: np.asarray(value)[chosen] for name, value in self._past.items()}
        self._cross = {name: np.asarray(value)[chosen] for name, value in self._cross.items()}


class _FixedCache(_Base):
    """The network of `checkpoints.engines.whisper`: one token a call at a given place of a cache of fixed size."""

    _position = 0

    def advance(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        (window,) = tokens
        steps = []
        for token in window:
            place = np.array([self._position], np.int64)
            steps.append(self._run({"tokens": np.array([[token]], np.int64), "position": place}))
            self._position += 1
        return np.concatenate(steps, axis=1)

    def keep(self, rows: Sequence[int]) -> None:
        assert list(rows) == [0]
