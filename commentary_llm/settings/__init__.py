"""One nested settings model: each option once, with default, description, range and flag.

`groups` and `runs` declare the settings; `root` reads them from flags, environment and file; `flags` makes the command
line; `configs` is what the rest of the engine is given: `StationConfig`, `MatchConfig`, and `EngineConfig` for both.
"""

from commentary_llm.settings.configs import EngineConfig, MatchConfig, StationConfig
from commentary_llm.settings.groups import MatchSettings, StationSettings
from commentary_llm.settings.root import Settings

__all__ = ["EngineConfig", "MatchConfig", "MatchSettings", "Settings", "StationConfig", "StationSettings"]
