"""Checks what is fed to a network before any library sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from asr_tts.interfaces import Tensor, TensorSpec
from asr_tts.runtime.profiles import Profile, profile_of
from commentary_llm.ground.errors import EngineError


def check_feeds(
    network: str,
    inputs: Sequence[TensorSpec],
    profiles: Sequence[Profile],
    feeds: Mapping[str, Tensor],
    device_tensor: type | None = None,
) -> int | None:
    """The number of the profile that `feeds` fit; None for a network without profiles.

    `device_tensor`: what may be fed beside host arrays. Raises EngineError naming the network and the tensor when an
    input is missing, unknown, of another type, dtype or shape than `inputs` says, or when no profile has these shapes.
    """
    names = {spec.name for spec in inputs}
    unknown = feeds.keys() - names
    if unknown:
        raise EngineError(f"network {network!r} has no input {sorted(unknown)}; it takes {sorted(names)}")
    for spec in inputs:
        value = feeds.get(spec.name)
        if value is None:
            raise EngineError(f"network {network!r}: input {spec.name!r} is missing; it takes {wanted(spec)}")
        known = isinstance(value, np.ndarray) or (device_tensor is not None and isinstance(value, device_tensor))
        fits = (
            known
            and value.dtype == spec.dtype
            and len(value.shape) == len(spec.shape)
            and all(want in (-1, size) for want, size in zip(spec.shape, value.shape, strict=True))
        )
        if not fits:
            found = f"{value.dtype} {value.shape}" if known else type(value).__name__
            raise EngineError(f"network {network!r}: input {spec.name!r} is {found}; expected {wanted(spec)}")
    if not profiles:
        return None
    number = profile_of(profiles, feeds)
    if number is None:
        found = ", ".join(f"{name} {feeds[name].shape}" for name in profiles[0])
        made_for = " or ".join(", ".join(f"{name} {shape}" for name, shape in profile.items()) for profile in profiles)
        raise EngineError(f"network {network!r}: inputs are {found}; it was made for {made_for}")
    return number


def wanted(spec: TensorSpec) -> str:
    """A specification in words: dtype and sizes."""
    sizes = ", ".join("any" if size == -1 else str(size) for size in spec.shape)
    return f"{spec.dtype} ({sizes})"
