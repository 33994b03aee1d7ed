"""The languages there are: each is a folder whose `__init__.py` holds `LANGUAGE`, and nothing else lists them.

Folders are looked for in this package, and in the folders that COMMENTARY_LANGUAGES names (parted as in PATH).
"""

from __future__ import annotations

import os
from importlib import import_module
from pkgutil import iter_modules

import commentary_llm.language as package
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.contract import Language

DEFAULT_LANGUAGE = "en"


def languages() -> tuple[str, ...]:
    """The codes of all languages, sorted. Loads none of them."""
    for folder in filter(None, os.environ.get("COMMENTARY_LANGUAGES", "").split(os.pathsep)):
        if folder not in package.__path__:
            package.__path__.append(folder)
    return tuple(sorted(module.name for module in iter_modules(package.__path__) if module.ispkg))


def language(code: str) -> Language:
    """The language called `code`; raises ConfigError with the codes there are, or for what is wrong with its lists."""
    if code not in languages():
        raise ConfigError(f"language {code!r} is not known; choose one of {', '.join(languages())}")
    module = import_module(f"{package.__name__}.{code}")
    found: Language | None = getattr(module, "LANGUAGE", None)
    if found is None or found.code != code:
        raise ConfigError(f"{module.__file__}: expected LANGUAGE with the code {code!r}, the folder's name")
    return found
