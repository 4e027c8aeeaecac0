"""docs/plug-in.md: every block runs, those of packages that are not installed excepted."""

from __future__ import annotations

import ast
import importlib.util
import re
import warnings
from pathlib import Path

import pytest

import textgym  # noqa: F401

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "plug-in.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
OPTIONAL = ("sb3_contrib", "torchrl", "tianshou")
MAX_LINES = 10


def title(block: str) -> str:
    return re.findall(r"^## (.*)$", PAGE[: PAGE.index(block)], re.MULTILINE)[-1]


def lines_of(block: str) -> list[str]:
    """Lines that say something: imports, blank lines and continuations of a call do not count."""
    return [
        line
        for node in ast.parse(block).body
        if not isinstance(node, ast.Import | ast.ImportFrom)
        for line in ast.unparse(node).splitlines()
    ]


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{i}: {title(b)}" for i, b in enumerate(BLOCKS)])
def test_block(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(lines_of(block)) <= MAX_LINES
    for package in OPTIONAL:
        if package in block and importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (extra `algorithms`)")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(block, "plug-in.md", "exec"), {"__name__": "plug_in"})


def test_every_library_has_its_block() -> None:
    for name in ("stable_baselines3", *OPTIONAL, "textgym.agents", "kl_shaped", "TwoState-v0"):
        assert any(name in block for block in BLOCKS), name


def test_named_files_exist() -> None:
    root = Path(__file__).resolve().parent.parent
    for link in re.findall(r"\]\(((?!#|http)[^)#]+)", PAGE):
        assert (root / "docs" / link).exists(), link
    for name in re.findall(r"`((?:tests|benchmarks|examples)/[\w/.]+)`", PAGE):
        assert (root / name).exists(), name
