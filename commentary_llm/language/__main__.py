"""`python -m commentary_llm.language`: the languages there are, one a line: code, tab, name, tab, personas."""

from __future__ import annotations

from commentary_llm.language.registry import language, languages


def main() -> None:
    for code in languages():
        found = language(code)
        print(code, found.name, ",".join(found.personas), sep="\t")


if __name__ == "__main__":
    main()
