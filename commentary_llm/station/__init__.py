"""One process group's engine: the models, held once, and the threads that work for every match on it."""

from commentary_llm.station.station import Station

__all__ = ["Station"]
