"""One folder, one study."""

from __future__ import annotations

from pathlib import Path

import pytest

from textgym.agents.runs.study_settings import claim_settings
from textgym.agents.storage.checkpoint import load_json


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    file = tmp_path / "new" / "study.json"
    claim_settings(file, {"steps": 5, "env": "A"})
    claim_settings(file, {"steps": 5, "env": "A"})
    assert load_json(file) == {"steps": 5, "env": "A"}
    with pytest.raises(ValueError, match="new' holds a study with steps=5, got 6; choose another"):
        claim_settings(file, {"steps": 6, "env": "A"})
    assert load_json(file) == {"steps": 5, "env": "A"}
