"""The code of docs/suites.md runs as it stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_readme import Block, blocks_of, run_block

PAGE = Path(__file__).resolve().parent.parent / "docs" / "suites.md"
PYTHON = [block for block in blocks_of(PAGE.read_text("utf-8")) if block.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line{block.line}")
def test_blocks_run(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    run_block(block)
    # What is known of the bandit: the best replies, and no reference that is a model.
    assert capsys.readouterr().out.startswith("0.800 [0.800, 0.800] None 0.")


def test_there_is_code() -> None:
    assert PYTHON
