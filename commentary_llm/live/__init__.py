"""A match as it happens: events from a tracker, the stadium's sound, and the voice as a stream in real time."""
