"""The first example of docs/feedback.md runs, and prints what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
