"""Where a match goes: one file each, which registers itself with `ends.registry`."""
