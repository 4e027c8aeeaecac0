"""The README tells the truth: its code runs, and the commands, flags and files it names exist.

A block that cannot run within seconds stands behind a comment `<!-- not run: reason -->`.
"""

from __future__ import annotations

import importlib
import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

from textgym.cli.main import COMMANDS
from textgym.cli.manual_parser import ManualParser
from textgym.envs_registry.specs import ENVIRONMENTS
from textgym.envs_registry.summarize import BUNDLE

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: \S[^>]*-->\s*\Z")
COMMAND = re.compile(r"(?:^|[\s`&|;$])textgym +([a-z][\w-]*)((?:[^\n`&|;\\]|\\\n)*)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
NAMED_FILE = re.compile(r"\b((?:examples|benchmarks|docs)/[\w./-]*\w)")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block; `is_run` is False behind a "not run" comment."""

    line: int
    language: str
    text: str
    is_run: bool


def blocks_of(markdown: str) -> list[Block]:
    return [
        Block(
            line=markdown.count("\n", 0, match.start()) + 1,
            language=match["language"],
            text=match["text"],
            is_run=NOT_RUN.search(markdown, 0, match.start()) is None,
        )
        for match in FENCE.finditer(markdown)
    ]


def run_block(block: Block) -> None:
    """Run a block as a module of its own, so that its functions can be found by name."""
    name = f"readme_line_{block.line}"
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        # Empty lines in front make a traceback's line numbers those of the README.
        exec(compile("\n" * block.line + block.text, "README.md", "exec"), module.__dict__)
    finally:
        del sys.modules[name]


def unknown_commands(markdown: str) -> list[str]:
    """Name each command, and each flag of a known one, that the command line does not have."""
    code = [block.text for block in blocks_of(markdown) if block.language != "python"]
    code += re.findall(r"`([^`\n]+)`", FENCE.sub("", markdown))
    unknown = []
    for name, rest in COMMAND.findall("\n".join(code)):
        flags = re.findall(r"(?<!\S)--[\w-]+", rest)
        longer = " ".join((name, *rest.split()[:1]))
        name = longer if longer in COMMANDS else name
        if name not in COMMANDS:
            unknown.append(f"textgym {name}")
        else:
            known = flags_of(name)
            unknown += [f"textgym {name} {flag}" for flag in flags if flag not in known]
    return unknown


def flags_of(command: str) -> set[str]:
    parser = ManualParser(f"textgym {command}")
    importlib.import_module(COMMANDS[command].module).add_arguments(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings}
    return flags | {"--traceback"}


def missing_in_tree(tree: str, root: Path) -> list[str]:
    """Name the paths of an annotated tree that do not exist.

    A line is one or more names (or patterns), then two spaces and the annotation; a name stands in
    the nearest folder above it that is indented less. A line indented as far as the annotation
    above it goes on with the annotation.
    """
    missing = []
    folders: list[tuple[int, Path]] = [(-1, root)]
    annotation_column = 10_000
    for line in re.sub(r"[│├└─]", " ", tree).splitlines():
        names = re.split(r"\s{2,}|\s#|\s←", line.strip())[0]
        indent = len(line) - len(line.lstrip())
        if not names or indent >= annotation_column:
            continue
        rest = line[indent + len(names) :]
        annotation_column = len(line) - len(rest.lstrip()) if rest.strip() else 10_000
        while folders[-1][0] >= indent:
            folders.pop()
        parent = folders[-1][1]
        for name in re.split(r"[,\s]+", names):
            if not any(parent.glob(name.rstrip("/"))):
                missing.append(str((parent / name).relative_to(root)))
        folders.append((indent, parent / names))
    return missing


def is_tree(block: Block) -> bool:
    return re.match(r"\s*[│├└─\s]*[\w.-]+/(\s|$)", block.text) is not None


PYTHON = [block for block in blocks_of(README) if block.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line{block.line}")
def test_python_blocks_run(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile(block.text, "README.md", "exec")
    if not block.is_run:
        pytest.skip("marked as not run")
    if BUNDLE.env_id in block.text and not BUNDLE.folder.is_dir():
        pytest.skip(f"the models of {BUNDLE.env_id} are not built")
    monkeypatch.chdir(tmp_path)
    run_block(block)


def test_most_python_blocks_run() -> None:
    assert sum(block.is_run for block in PYTHON) > len(PYTHON) / 2


def test_commands_and_flags_exist() -> None:
    assert COMMAND.search(README)
    assert unknown_commands(README) == []


def test_annotated_tree_names_existing_paths() -> None:
    trees = [block.text for block in blocks_of(README) if is_tree(block)]
    assert trees, "expected a fenced block that shows the file tree"
    assert [path for tree in trees for path in missing_in_tree(tree, ROOT)] == []


def test_linked_and_named_files_exist() -> None:
    named = {*LINK.findall(README), *NAMED_FILE.findall(README)}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_environment_is_named_in_a_table() -> None:
    rows = "\n".join(line for line in README.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`([A-Z][\w-]*-v\d+)`", rows))
    assert named == {row.id for row in ENVIRONMENTS}


def test_an_environment_of_ones_own_takes_twelve_lines() -> None:
    (block,) = (b.text for b in PYTHON if "register_text_env" in b.text)
    call = block[block.index("textgym.register_text_env(") :].split("\n)\n")[0]
    assert len(call.splitlines()) + 1 <= 12
    assert "gym.make_vec(" in block


@pytest.mark.parametrize("recipe", ["Add an environment", "Add an algorithm"])
def test_recipes_take_ten_steps_at_most(recipe: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {recipe}\n")[1].split("\n## ")[0]
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", section, re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1)) and 3 <= len(steps) <= 10


# The checks themselves, on text that is wrong.

SAMPLE = """
```python
found = 1
```

<!-- not run: takes an hour -->
```python
raise RuntimeError
```

Text between takes a comment's force away.

```python
raise KeyError("broken")
```

```
pip install . && textgym train X --algo ppo && textgym trian X
textgym sft --dtaa chats.jsonl \\
    --model gpt2
```

and `textgym evaluate --nothing` in a line.
"""


def test_blocks_are_found_with_their_marks() -> None:
    blocks = blocks_of(SAMPLE)
    assert [block.language for block in blocks] == ["python", "python", "python", ""]
    assert [block.is_run for block in blocks] == [True, False, True, True]
    assert blocks[0].line == 2


def test_a_broken_block_fails() -> None:
    good, _, broken, _ = blocks_of(SAMPLE)
    run_block(good)
    with pytest.raises(KeyError, match="broken"):
        run_block(broken)


def test_unknown_commands_and_flags_are_named() -> None:
    assert unknown_commands(SAMPLE) == [
        "textgym trian",
        "textgym sft --dtaa",
        "textgym evaluate --nothing",
    ]


def test_missing_paths_of_a_tree_are_named(tmp_path: Path) -> None:
    (tmp_path / "core" / "deep").mkdir(parents=True)
    for name in ("core/a.py", "core/b.py", "core/deep/c.py", "setup.cfg"):
        (tmp_path / name).touch()
    good = """
core/            the core
  a.py, b.py     two files, of which this
                 goes on with the annotation
  deep/
    *.py         all of them
setup.cfg        settings
"""
    assert missing_in_tree(good, tmp_path) == []
    drawn = good.replace("  a.py", "├ a.py").replace("  deep", "└ deep")
    assert missing_in_tree(drawn, tmp_path) == []
    wrong = good.replace("b.py", "x.py").replace("setup.cfg", "core/deep/c.py  here\nlost/")
    assert missing_in_tree(wrong, tmp_path) == ["core/x.py", "lost"]
