"""Where a tracker's lines come from: one file each, which registers itself with `ends.registry`."""
