"""`python -m commentary_llm`."""

from commentary_llm.cli import main
from commentary_llm.ranks import leave

leave(main)
