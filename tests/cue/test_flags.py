"""Flags: what is asked for is declared, what is declared is set by something, and anything else stops the start."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from english import AnyGate
from script_helpers import cue_for

from checkpoints.finetune.matches import simulate
from commentary_llm.cue import rules
from commentary_llm.cue.excitement import Mood
from commentary_llm.cue.facts import Condition, Facts, facts_of
from commentary_llm.cue.facts.flags import FLAGS
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.en.gate import lexicon
from commentary_llm.language.en.hints import Hint
from commentary_llm.language.en.templates import grammar as templates
from commentary_llm.language.en.training import grammar
from commentary_llm.match import BodyPart, EventType, MatchEvent, MatchInfo, Situation
from commentary_llm.match.match import Match

REPO = Path(__file__).resolve().parents[2]
GATE = Path(lexicon.__file__).parent
TEMPLATES = Path(templates.__file__).parent
TRAINING = Path(grammar.__file__).parent


def read_templates(folder: Path) -> None:
    for file in sorted(folder.glob("*.txt")):
        templates.read_sections(file, templates.STYLES)


# Each kind of list: the folder that holds it, and what reads it from there.
LISTS: dict[str, tuple[Path, Callable[[Path], object]]] = {
    "claims.txt": (GATE, lexicon.read_lexicon),
    "relations.txt": (GATE, lexicon.read_lexicon),
    "openers.txt": (TEMPLATES.parent, lambda folder: templates.read_sections(folder / "openers.txt", frozenset(Mood))),
    **{file.name: (TEMPLATES, read_templates) for file in TEMPLATES.glob("*.txt")},
    "grammar.txt": (TRAINING, grammar.read_grammar),
    "continuations.txt": (TRAINING, grammar.read_grammar),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_asks_for_an_undeclared_flag_is_not_read(name: str, tmp_path: Path) -> None:
    source, read = LISTS[name]
    for file in source.glob("*.txt"):
        shutil.copyfile(file, tmp_path / file.name)
    read(tmp_path)
    lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
    asking = [i for i, line in enumerate(lines) if not line.startswith("#") and "has_player" in line]
    asking = asking or [i for i, line in enumerate(lines) if not line.startswith("#") and "completed" in line]
    at = asking[len(asking) // 2]
    lines[at] = lines[at].replace("has_player", "has_playr").replace("completed", "compleeted")
    (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"{name}:{at + 1}: flag '(has_playr|compleeted)' is not declared.*mean"):
        read(tmp_path)


@pytest.mark.parametrize("condition", ["goal has_plaier", "!diving", "saved/blokced", "level !"])
def test_a_condition_names_declared_flags(condition: str) -> None:
    with pytest.raises(ConfigError, match="a list:7: flag"):
        Condition.parse(condition, "a list:7")


def test_a_condition_wants_all_any_and_none() -> None:
    asked = Condition.parse("goal header/left_foot !late", "here")
    assert asked.holds({"goal", "header"})
    assert not asked.holds({"goal"})
    assert not asked.holds({"header"})
    assert not asked.holds({"goal", "header", "late"})
    assert Condition.parse("", "here").holds(set())


def test_rules_and_tables_and_hints_are_checked_too() -> None:
    with pytest.raises(ConfigError, match=r"the rule 'goall' of commentary_llm.cue.rules: flag 'goall'"):
        rules._rule("goall", "goall", rules.Urgency.NOTE, 1.0, 1)
    with pytest.raises(ConfigError, match=r"hint 'far out': flag 'far_out'"):
        Hint("far out", frozenset({"far_out"}))


def test_an_undeclared_flag_cannot_be_set(small_match: MatchInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    event = MatchEvent(event_id="g", type=EventType.GOAL, period=1, elapsed_s=600, team="h", player="h4")
    state = Match(small_match).accept(event).state_after
    with pytest.raises(ConfigError, match=r"facts of event 'g': flag 'brilliant' is not declared"):
        Facts(event, state, frozenset({"goal", "brilliant"}), {})
    monkeypatch.delitem(FLAGS, "opener")
    with pytest.raises(ConfigError, match=r"flag 'opener' is not declared"):
        facts_of(event, state)


@pytest.mark.parametrize("flag", ["volley", "has_team", "off_target", "double_substitution"])
def test_with_a_list_that_asks_for_an_undeclared_flag_nothing_starts(flag: str, tmp_path: Path) -> None:
    start = (
        f"from commentary_llm.cue.facts.flags import FLAGS; del FLAGS[{flag!r}]; import sys; "
        "from commentary_llm.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", start, "replay", "--out", str(tmp_path / "out"), "--no-audio"]
    run = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=120)
    assert run.returncode != 0
    assert f"flag {flag!r} is not declared" in run.stderr
    assert not (tmp_path / "out").exists()


def rare_events(info: MatchInfo) -> Iterator[MatchEvent]:
    """What the synthetic matches hold seldom or never."""

    def shot(number: int, **fields: object) -> MatchEvent:
        team = {"team": "h", "player": "h9", "elapsed_s": 600.0 + number, "period": 1, "event_id": f"s{number}"}
        return MatchEvent.model_validate({"type": "shot", **team, **fields})

    notes = (
        "volley into the top corner, deflected",
        "rebound at the near post, bottom corner",
        "chipped, one on one",
        "a lob from the far post",
        "curled and tipped over",
        "diving header straight at him, who gets a hand to it",
    )
    for number, note in enumerate(notes):
        yield shot(number, note=note, outcome="saved", goalkeeper="a1")
    for number, situation in enumerate(Situation, start=20):
        yield shot(number, situation=situation.value, outcome="blocked")
    yield shot(40, type="foul", note="handball")
    yield shot(41, type="card", card="yellow", note="for diving, dissent and time wasting")
    yield shot(42, type="card", card="yellow", player="h13")
    yield shot(900, type="period_end", team=None, player=None, period=5)


def test_every_declared_flag_is_set_by_something(small_match: MatchInfo) -> None:
    found: set[str] = set()
    for seed in range(60):
        for event, state in simulate(seed).steps:
            found |= facts_of(event, state).flags
    cup = small_match.model_copy(update={"competition": "World Cup"})
    match = Match(cup)
    for event in rare_events(cup):
        found |= facts_of(event, match.accept(event).state_after).flags
    found |= goals_from_two_down(small_match)
    assert FLAGS.keys() - found == set()


def goals_from_two_down(info: MatchInfo) -> frozenset[str]:
    match = Match(info)
    for number, team in enumerate("aahhh"):
        fields = {"team": team, "player": f"{team}9", "period": 1, "elapsed_s": 60.0 * number}
        event = MatchEvent(event_id=str(number), type=EventType.GOAL, **fields)  # type: ignore[arg-type]
        state = match.accept(event).state_after
    return facts_of(event, state).flags


def test_flags_that_code_looks_up_are_declared() -> None:
    """`"x" in flags` and `flags & {"x"}`, wherever facts are read."""
    wrong = []
    for room in ("commentary_llm/cue", "commentary_llm/language", "commentary_llm/session", "checkpoints/finetune"):
        for file in sorted((REPO / room).rglob("*.py")):
            for flag, line in looked_up(ast.parse(file.read_text(encoding="utf-8"))):
                if flag not in FLAGS:
                    wrong.append(f"{file}:{line}: {flag}")
    assert not wrong


def looked_up(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            if _flags(node.comparators[0]) and isinstance(node.left, ast.Constant):
                yield str(node.left.value), node.lineno
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if _flags(one) and isinstance(other, ast.Set):
                    yield from ((str(each.value), node.lineno) for each in other.elts if isinstance(each, ast.Constant))


def _flags(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id == "flags") or (
        isinstance(node, ast.Attribute) and node.attr == "flags"
    )


def header(note: str | None) -> MatchEvent:
    return MatchEvent(
        event_id="g",
        type=EventType.GOAL,
        period=1,
        elapsed_s=600,
        team="h",
        player="h4",
        body_part=BodyPart.HEAD,
        note=note,
    )


@pytest.mark.parametrize(
    ("text", "note", "passes"),
    [
        ("Hart with a diving header!", None, False),
        ("A diving header!", None, False),
        ("Hart with a diving header!", "diving header at the near post", True),
        ("Hart with a towering header!", None, True),
        ("Hart with a towering header!", "diving header", False),
        ("For diving!", "diving header", False),
        ("A dive!", "diving header", False),
    ],
)
def test_a_diving_header_is_one_only_where_the_note_says_so(
    text: str, note: str | None, passes: bool, small_match: MatchInfo
) -> None:
    event = header(note)
    facts = facts_of(event, Match(small_match).accept(event).state_after)
    assert AnyGate().check(text, cue_for(facts.event, facts.state)).ok is passes


@pytest.mark.parametrize(("note", "passes"), [("for diving", True), ("simulation", True), ("late tackle", False)])
def test_a_card_for_diving_is_one_only_where_the_note_says_so(note: str, passes: bool, small_match: MatchInfo) -> None:
    fields = {"event_id": "c", "type": "card", "card": "yellow", "period": 1, "elapsed_s": 600, "team": "h"}
    event = MatchEvent.model_validate({**fields, "player": "h4", "note": note})
    facts = facts_of(event, Match(small_match).accept(event).state_after)
    assert AnyGate().check("Hart is booked for diving.", cue_for(facts.event, facts.state)).ok is passes
