"""The double's own machinery; the real library has no such package."""
