"""Commands that build what is missing or damaged, as messages name them."""

from __future__ import annotations

BUILD_ENGINES_COMMAND = "python -m checkpoints engines build"
CONVERT_GRAPHS_COMMAND = "python -m checkpoints engines convert"
SETUP_COMMAND = "python -m checkpoints setup"
