"""The examples of docs/feedback.md run, and print what they say."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from textgym.feedback.teachers import TeacherConfig

PAGE = Path(__file__).resolve().parents[3] / "docs" / "feedback.md"


EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=("first", "teacher", "reward", "wrapper"))
def test_an_example_prints_what_it_says(
    example: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(example, {"__name__": "example"})
    said = re.findall(r"^ *# (.*)$", example, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said


def test_every_knob_of_a_teacher_is_in_the_table() -> None:
    others = {"annotator_id", "seed", "answers_per_query", "gold_mean", "gold_std", "phrasings"}
    page = PAGE.read_text("utf-8").split("\n## Simulated teachers\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", page))
    assert {field.name for field in fields(TeacherConfig)} - others <= named
