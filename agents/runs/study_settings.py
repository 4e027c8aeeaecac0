"""A folder belongs to one study: what was measured under other settings is not mixed in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textgym.agents.storage.checkpoint import load_json, save_json


def claim_settings(file: Path, ours: Mapping[str, Any]) -> None:
    """Write the settings to `file`, or check that those there are the same.

    Args:
        file: study.json of the folder, which is made where it is missing.
        ours: All that must be equal for measurements to belong together; JSON values.

    Raises:
        ValueError: Another study lies there; the message names what differs.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    theirs = load_json(file) if file.is_file() else ours
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise ValueError(
                f"{str(file.parent)!r} holds a study with {name}={theirs.get(name)!r}, got "
                f"{value!r}; choose another output folder"
            )
    save_json(file, dict(ours))
