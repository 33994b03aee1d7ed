"""Speech recognition and synthesis, and the sound they go through."""
