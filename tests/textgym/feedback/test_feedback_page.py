"""The first example of docs/feedback.md runs, and prints what it says."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from textgym.feedback.teachers import TeacherConfig

PAGE = Path(__file__).resolve().parents[3] / "docs" / "feedback.md"


def test_the_first_example_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    found = re.search(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    monkeypatch.chdir(tmp_path)
    exec(found.group(1), {"__name__": "example"})
    said = re.findall(r"^ +# (.*)$", found.group(1), re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said


@pytest.mark.parametrize("holds", ["TeacherConfig.parse(", 'reward="teacher"'])
def test_the_examples_of_teachers_run(
    holds: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (block,) = [text for text in blocks if holds in text]
    monkeypatch.chdir(tmp_path)
    exec(block, {"__name__": "example"})


def test_every_knob_of_a_teacher_is_in_the_table() -> None:
    others = {"annotator_id", "seed", "answers_per_query", "gold_mean", "gold_std", "phrasings"}
    page = PAGE.read_text("utf-8").split("\n## Simulated teachers\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", page))
    assert {field.name for field in fields(TeacherConfig)} - others <= named
