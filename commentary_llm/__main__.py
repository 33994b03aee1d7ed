"""`python -m commentary_llm`."""

from commentary_llm.commands.cli import main
from commentary_llm.ground.world import leave

leave(main)
