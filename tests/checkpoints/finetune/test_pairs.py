"""The training pairs: simulated matches fold, targets are true, names of the two sets never meet."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from english import history
from hypothesis import given, settings
from hypothesis import strategies as st

from checkpoints.finetune import pairs as pairs_module
from checkpoints.finetune.cultures import CULTURES
from checkpoints.finetune.matches import SyntheticMatch, simulate
from checkpoints.finetune.matches_lineups import make_info
from checkpoints.finetune.names import NameMaker, is_held_out
from checkpoints.finetune.narration import narrate
from checkpoints.finetune.pairs import Recipe, cue_of, main, pairs_of_match
from commentary_llm.cue.choice import repeats_opener
from commentary_llm.cue.facts import facts_of
from commentary_llm.cue.wording import clauses_of, distinct_2, exact_repeats
from commentary_llm.language.en.describe import event_line
from commentary_llm.language.en.gate import FactGate
from commentary_llm.language.en.hints import hint_text, hints_of
from commentary_llm.language.en.names import name_book, surname
from commentary_llm.language.en.openers import OpenerBook
from commentary_llm.language.en.personas import persona_called
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.language.en.training.drawer import LineDrawer, _telling
from commentary_llm.language.en.training.grammar import fitting, forms, slots_of
from commentary_llm.language.en.training.visible import visible
from commentary_llm.match import EventType
from commentary_llm.match.match import Match

_RATES = {kind.value: 0.4 for kind in EventType}


class _PlainChat:
    """Stands for the tokenizer: the conversation as plain paragraphs, a token a word."""

    def chat(self, system: str, turns: list[tuple[str, str]]) -> str:
        return "\n\n".join([system, *(content for _, content in turns), ""])

    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]


@pytest.fixture
def plain_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_module, "_tokenizer", lambda model: _PlainChat())


def _cues(match: SyntheticMatch):  # type: ignore[no-untyped-def]
    for event, state in match.steps:
        cue = cue_of(event, state)
        if cue is not None:
            yield cue


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), held_out=st.booleans())
def test_simulated_matches_fold_without_a_refusal(seed: int, held_out: bool) -> None:
    match = simulate(seed, held_out)
    holder = Match(match.info)
    for event, _ in match.steps:
        holder.accept(event)
    assert holder.rejected == 0
    assert holder.state.score == match.steps[-1][1].score
    assert match.steps[-1][0].type is EventType.MATCH_END


def test_all_kinds_of_event_and_situation_occur() -> None:
    kinds: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    for seed in range(40):
        for event, state in simulate(seed).steps:
            kinds[event.type.value] += 1
            if event.type in (EventType.GOAL, EventType.OWN_GOAL, EventType.CARD, EventType.MATCH_END):
                flags.update(facts_of(event, state).flags)
    assert {kind.value for kind in EventType} <= kinds.keys()
    wanted = (
        "hat_trick equaliser turnaround brace restores_lead second_yellow red kick_scored won_on_penalties drawn late"
    )
    assert set(wanted.split()) <= flags.keys()


def test_a_match_depends_on_its_seed_alone() -> None:
    assert simulate(5).steps[-1] == simulate(5).steps[-1]
    assert simulate(5).info != simulate(6).info


def test_names_of_the_two_sets_are_disjoint() -> None:
    parts: dict[bool, set[str]] = {False: set(), True: set()}
    for held_out, found in parts.items():
        rng = random.Random(3)
        names = NameMaker(rng, held_out)
        for _ in range(60):
            for culture in CULTURES:
                family = names.family(culture)
                assert is_held_out(family) is held_out
                found.add(family)
                found.add(names.place(culture))
        for number in range(30):
            info = make_info(random.Random(number), "m", held_out)
            found |= {info.home.name, info.away.name}
            found |= {surname(player) for team in (info.home, info.away) for player in team.players}
    assert not parts[False] & parts[True]


def _clauses(line: str) -> list[str]:
    return list(clauses_of(line, ENGLISH_RULES))


@pytest.mark.parametrize("with_opener", [False, True])
def test_every_target_passes_the_gate_clause_by_clause(plain_chat: None, with_opener: bool) -> None:
    drawn = 0
    for seed, speaker in enumerate(("neutral", "excited", "dry", "blind_listener")):
        match = simulate(seed)
        names = name_book(match.info)
        gate, book = FactGate(names), OpenerBook(names)
        drawer = LineDrawer(names, persona_called(speaker), random.Random(seed))
        for cue in random.Random(seed).sample(list(_cues(match)), 60):
            hints = hints_of(cue.facts, names)
            shown = event_line(cue.facts, names) + hint_text(hints)
            opener = book.choose(cue) if with_opener else ""
            line = drawer.draw(cue, visible(cue.facts, names, hints, shown), shown, history(), opener)
            if line is None:
                continue
            drawn += 1
            before = opener
            for clause in _clauses(line):
                assert gate.check(clause, cue, None, before).ok, (clause, opener, line, shown)
                before = f"{before} {clause}".strip()
            assert len(f"{opener} {line}".split()) <= cue.max_words
            assert speaker != "dry" or "!" not in line
            assert not repeats_opener(line, opener, ENGLISH_RULES)
    assert drawn >= 216  # of 240


def test_targets_name_nobody_whom_the_prompt_does_not_name(plain_chat: None) -> None:
    for number in range(4):
        match = simulate(f"{Recipe().seed}-{number}")
        names = set(name_book(match.info).surnames.values())
        for pair in pairs_of_match(number, Recipe(), _RATES, False):
            prompt = pair.text.removesuffix(pair.opener).strip().splitlines()[-1]
            for name in names:
                if f" {name} " in f" {pair.target.replace('.', ' ').replace('!', ' ').replace(',', ' ')} ":
                    assert name in prompt, (pair.target, prompt)


def test_most_pairs_go_on_from_a_production_opener(plain_chat: None) -> None:
    pairs = [pair for number in range(4) for pair in pairs_of_match(number, Recipe(), _RATES, False)]
    begun = [pair for pair in pairs if pair.opener]
    assert 0.75 < len(begun) / len(pairs) < 0.93
    for pair in begun:
        assert pair.text.endswith(pair.opener)
        assert pair.target.startswith(" ")
        assert pair.target[1] != " "
        assert len(pair.target.split()) <= 13
    for pair in pairs:
        if not pair.opener:
            assert not pair.target.startswith(" ")


def test_a_told_match_is_varied_and_repeats_nothing() -> None:
    for number, speaker in enumerate(("neutral", "excited", "dry")):
        # Of an average match's length: the longer a text, the fewer of its word pairs are new.
        told = narrate(simulate(f"told-{number}"), persona_called(speaker), random.Random(number))[:75]
        lines = [each.line for each in told if each.line]
        assert len(lines) >= 0.93 * len(told)
        assert distinct_2(map(ENGLISH_RULES.words, lines)) >= 0.72
        assert exact_repeats(map(ENGLISH_RULES.words, lines)) == 0


def test_a_continuation_shuns_the_words_of_the_line_before() -> None:
    told = narrate(simulate("shun"), persona_called("neutral"), random.Random(2))
    for before, after in pairwise(told):
        if before.line and after.line:
            assert not _telling(after.line) & _telling(before.text)


def test_pairs_are_the_same_for_the_same_seed(plain_chat: None) -> None:
    first = pairs_of_match(3, Recipe(), _RATES, False)
    assert first == pairs_of_match(3, Recipe(), _RATES, False)
    assert first != pairs_of_match(3, Recipe(seed=8), _RATES, False)
    assert len({(pair.text, pair.target) for pair in first}) == len(first)


def test_without_hints_the_prompt_is_the_engines_own(plain_chat: None) -> None:
    for pair in pairs_of_match(2, Recipe(hints=False), _RATES, False):
        assert "Also:" not in pair.text


def test_grammar_is_well_formed() -> None:
    rng = random.Random(1)
    for form in forms():
        text = form.expand(rng)
        assert "<" not in text
        assert "|" not in text
        assert slots_of(text) == slots_of(form.text) or "<" in form.text
    assert len({(form.part, form.condition, form.text) for form in forms()}) == len(forms())


def test_every_cue_of_a_match_has_forms_of_both_kinds() -> None:
    match = simulate(11)
    names = name_book(match.info)
    for cue in _cues(match):
        found = fitting(visible(cue.facts, names, (), event_line(cue.facts, names)), frozenset({"neutral"}))
        assert {form.part for form in found} >= {"", "~"}, cue.event


def test_hints_let_be_said_what_they_show() -> None:
    match = simulate("dirty-1")
    names = name_book(match.info)
    shown = 0
    for event, state in match.steps:
        facts = facts_of(event, state)
        hints = hints_of(facts, names)
        if event.type is EventType.CARD and any("foul on" in hint.text for hint in hints):
            line = event_line(facts, names) + hint_text(hints)
            assert "has_fouled" in visible(facts, names, hints, line).flags
            assert "has_fouled" not in visible(facts, names, (), event_line(facts, names)).flags
            shown += 1
    assert shown


def test_command_writes_files_and_a_summary(
    plain_chat: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pairs_module, "event_rates", lambda seed: _RATES)
    command = ["--out", str(tmp_path), "--count", "150", "--heldout", "40", "--processes", "1"]
    assert main(command) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["train"]["pairs"] == 150
    rows = [json.loads(line) for line in (tmp_path / "heldout.jsonl").read_text(encoding="utf-8").splitlines()]
    prefixes = json.loads((tmp_path / "prefixes.json").read_text(encoding="utf-8"))
    assert len(rows) == 40
    assert {row["split"] for row in rows} == {"heldout"}
    assert all(row["prefix_id"] in prefixes and row["target"] for row in rows)
