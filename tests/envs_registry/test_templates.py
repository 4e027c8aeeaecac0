"""Reading text by templates."""

from __future__ import annotations

import pytest

from textgym.envs_registry.templates import Clause, TemplateReader, sentences_of, slots_of

READER = TemplateReader(
    templates={"eat": ("{who} ate a {food}",), "like": ("{who} likes {food} (much)",)},
    values={"who": ("Ann", "Ann Lee"), "food": ("pie", "apple pie")},
)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("Ann ate a pie", (("who", "ann"), ("food", "pie"))),
        ("ANN LEE ate a apple pie", (("who", "ann lee"), ("food", "apple pie"))),
        ("Bob ate a pie", None),
        ("Ann ate a pie today", None),
        ("Ann ate a  pie", None),
        ("", None),
    ],
)
def test_what_a_text_spells(text: str, claims: tuple | None) -> None:
    assert READER.read(text) == (None if claims is None else Clause("eat", claims))
    assert READER.read(text) == READER.read(text)


def test_marks_of_patterns_are_plain_text() -> None:
    clause = READER.read("ann likes pie (much)")
    assert clause is not None and clause.kind == "like"
    assert READER.read("ann likes pie much") is None


def test_sentences_and_slots() -> None:
    assert sentences_of(" A  b. C?\nD ") == ["A b.", "C?", "D"]
    assert sentences_of("  ") == []
    assert slots_of("{who} ate a {food}") == ("who", "food")


def test_a_slot_without_values() -> None:
    with pytest.raises(ValueError, match="expected values for each slot of .*got none for 'when'"):
        TemplateReader(templates={"x": ("{when}",)}, values={})
