"""Prompt lists, templates, splits and files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from textgym.dataset_files import read_rows
from textgym.file_prompts import FilePrompts, take_split
from textgym.prompts import PromptList, TemplatePrompts, check_prompts
from textgym.types import Prompt


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def test_items_of_every_kind() -> None:
    prompts = PromptList(
        [
            "one",
            {"prompt": ["two", "too"], "reference": ["a", "b"], "topic": 3},
            Prompt(prompt_id=9, text="x"),
        ]
    )
    assert [p.prompt_id for p in prompts] == [0, 1, 2]
    assert prompts[1].text == "two too" and prompts[1].references == ("a", "b")
    assert prompts[1].facts == {"topic": 3}
    with pytest.raises(ValueError, match=r"no column 'prompt'; it has \['text'\]"):
        PromptList([{"text": "x"}])
    with pytest.raises(ValueError, match="prompt 0 must be a string, a dict or a Prompt, got int"):
        PromptList([3])  # type: ignore[list-item]
    for value in (5, [["a"], 3], [[1]]):
        with pytest.raises(ValueError, match="'prompt' must be a string or a list of strings"):
            PromptList([{"prompt": value}])
    triples = [["Ann", "LIKES", "tea"], ["Ann", "IS", "ten"]]
    assert PromptList([{"prompt": triples}])[0].text == "Ann | LIKES | tea\nAnn | IS | ten"


def test_templates_fill_once_and_name_unknown_columns() -> None:
    source = PromptList([{"prompt": "say {topic}", "topic": "{prompt}"}])
    assert (
        TemplatePrompts(source, "{topic}: {prompt} {x y}!")[0].text
        == "{prompt}: say {topic} {x y}!"
    )
    with pytest.raises(ValueError, match="must contain '{prompt}', got 'hello'"):
        TemplatePrompts(source, "hello")
    with pytest.raises(ValueError, match=r"'\{tpic\}'.*\['prompt', 'topic'\]"):
        TemplatePrompts(source, "{prompt} {tpic}")[0]


def test_what_counts_as_a_source() -> None:
    assert len(check_prompts(["a"], "it")) == 1
    with pytest.raises(ValueError, match="it holds no prompts"):
        check_prompts([], "it")
    for wrong in ("text", 3, {"a": 1}):
        with pytest.raises(ValueError, match="it must give prompts"):
            check_prompts(wrong, "it")


def test_files_with_mappings_nested_columns_and_gzip(tmp_path: Path) -> None:
    rows = [{"post": {"text": f"text {i}"}, "sums": ["a", "b"], "k": i} for i in range(3)]
    file = write(tmp_path / "data.jsonl.gz", rows)
    prompts = FilePrompts(file, columns="prompt=post.text, reference=sums")
    assert prompts[1].text == "text 1" and prompts[1].references == ("a", "b")
    assert prompts[1].facts["k"] == 1
    with pytest.raises(ValueError, match=r"no column 'body'; it has \['k', 'post', 'sums'\]"):
        FilePrompts(file, columns="prompt=body")
    with pytest.raises(ValueError, match="no column 'prompt'.*dataset_columns='prompt=COLUMN,ref"):
        FilePrompts(file)
    with pytest.raises(ValueError, match="names among .*got 'promt=k'"):
        FilePrompts(file, columns="promt=k")


def test_dialogues_and_messages(tmp_path: Path) -> None:
    dialogue = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: more\n\nAssistant: yes"
    prompts = FilePrompts(write(tmp_path / "a.jsonl", [{"chosen": dialogue, "rejected": "x"}]))
    assert prompts[0].text == dialogue.removesuffix(" yes") and prompts[0].references == ("yes",)
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    file = write(tmp_path / "b.jsonl", [{"messages": messages}])
    assert FilePrompts(file)[0].text == "\n\nHuman: hi\n\nAssistant:"
    rendered = FilePrompts(file, render_chat=lambda chat: f"<{chat[0]['content']}>")
    assert rendered[0].text == "<hi>" and rendered[0].references == ("hello",)
    with pytest.raises(ValueError, match="expected a dialogue with"):
        FilePrompts(write(tmp_path / "c.jsonl", [{"chosen": "no turns"}]))


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="empty.jsonl' is empty"):
        FilePrompts(write(tmp_path / "empty.jsonl", []))
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"prompt": "a"}\n{"prompt"', encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: expected JSON"):
        FilePrompts(broken)
    with pytest.raises(FileNotFoundError, match="gone.jsonl"):
        FilePrompts(tmp_path / "gone.jsonl")


def test_other_formats_through_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "data.csv"
    file.write_text("prompt,reference\nhello,hi\n", encoding="utf-8")
    prompts = FilePrompts(file)
    assert (prompts[0].text, prompts[0].references) == ("hello", ("hi",))
    array = tmp_path / "data.json"
    array.write_text('[{"prompt": "one"}, {"prompt": "two"}]', encoding="utf-8")
    assert [prompt.text for prompt in FilePrompts(array)] == ["one", "two"]


def test_no_network_for_a_hub_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def unreachable(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(ValueError, match="cannot load 'hf:org/name'.*hub and a network"):
        next(read_rows("hf:org/name"))


def test_splits_share_no_text_and_ignore_the_order() -> None:
    prompts = [Prompt(prompt_id=i, text=f"text {i % 50}") for i in range(100)]
    parts = {split: take_split(prompts, split) for split in ("train", "validation", "test")}
    texts = {split: {p.text for p in part} for split, part in parts.items()}
    assert [len(part) for part in texts.values()] == [40, 5, 5]
    assert len(texts["train"] | texts["validation"] | texts["test"]) == 50
    assert {p.text for p in take_split(prompts[::-1], "test")} == texts["test"]
    assert [p.prompt_id for p in parts["test"]] == list(range(10))
    assert len(take_split(prompts[:5], "test")) == 5  # too few to split
    with pytest.raises(ValueError, match="got 'dev'"):
        take_split(prompts, "dev")
