"""Sound as samples: levels, loudness, the mix of speech over a background, reading and writing files."""
