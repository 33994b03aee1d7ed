from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_tts.audio.ring_buffer import RingBuffer


@given(
    capacity=st.integers(1, 20),
    pieces=st.lists(st.integers(0, 45), max_size=12),
    start=st.integers(-10, 120),
    count=st.integers(0, 60),
)
def test_holds_the_newest_samples_at_their_positions(capacity: int, pieces: list[int], start: int, count: int) -> None:
    ring = RingBuffer(capacity)
    stream = np.arange(1, sum(pieces) + 1, dtype=np.float32)
    position = 0
    for size in pieces:
        assert ring.write(stream[position : position + size]) == position + size
        position += size
    expected = [
        stream[place] if max(position - capacity, 0) <= place < position else 0.0
        for place in range(start, start + count)
    ]
    np.testing.assert_array_equal(ring.read(start, start + count), expected)
    first, newest = ring.newest(count)
    assert first == position - len(newest)
    assert len(newest) == min(count, capacity, position)
    np.testing.assert_array_equal(newest, stream[first:position])


def test_capacity_must_be_positive() -> None:
    with pytest.raises(ValueError, match="capacity_samples is 0"):
        RingBuffer(0)
