"""Saving all or nothing, and refusing what is damaged or foreign."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch

from textgym.agents.storage import checkpoint
from textgym.agents.storage.checkpoint import (
    CheckpointError,
    load_json,
    load_tensors,
    open_folder,
    save_folder,
    save_json,
    save_tensors,
)


def write_value(value):
    def write(folder: Path) -> None:
        (folder / "part").mkdir()
        save_json(folder / "part" / "value.json", value)
        save_tensors(folder / "weights.safetensors", {"w": torch.full((2, 3), float(value))})

    return write


def value_in(folder: Path) -> int:
    opened = open_folder(folder)
    value = load_json(opened / "part" / "value.json")
    assert torch.equal(load_tensors(opened / "weights.safetensors")["w"], torch.full((2, 3), value))
    return value


def leftovers(parent: Path) -> list[str]:
    return sorted(p.name for p in parent.iterdir())


def test_round_trip_and_replacement(tmp_path):
    target = tmp_path / "deep" / "agent"
    save_folder(target, write_value(1.0))
    assert value_in(target) == 1.0
    save_folder(target, write_value(2.0))
    assert value_in(target) == 2.0
    assert leftovers(target.parent) == ["agent"]
    manifest = json.loads((target / "manifest.json").read_text())
    assert sorted(manifest["files"]) == ["part/value.json", "weights.safetensors"]


def test_full_disk_leaves_the_previous_folder_whole(tmp_path):
    target = tmp_path / "agent"
    save_folder(target, write_value(1.0))

    def full_disk(folder: Path) -> None:
        write_value(2.0)(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left.*previous one is whole") as caught:
        save_folder(target, full_disk)
    assert caught.value.errno == errno.ENOSPC
    assert value_in(target) == 1.0
    assert leftovers(tmp_path) == ["agent"]


def test_full_disk_on_a_first_save_leaves_nothing(tmp_path):
    def full_disk(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="could not save"):
        save_folder(tmp_path / "agent", full_disk)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("killed_at", range(2))
def test_a_kill_at_any_rename_leaves_one_whole_folder(tmp_path, monkeypatch, killed_at):
    target = tmp_path / "agent"
    save_folder(target, write_value(1.0))
    calls = []
    rename = os.rename

    class Killed(BaseException):
        """Stands for SIGKILL: no handler of the library may catch it."""

    def dying_rename(source, destination):
        if len(calls) == killed_at:
            raise Killed
        calls.append(source)
        rename(source, destination)

    monkeypatch.setattr(checkpoint.os, "rename", dying_rename)
    with pytest.raises(Killed):
        save_folder(target, write_value(2.0))
    monkeypatch.undo()
    assert value_in(target) == 1.0
    save_folder(target, write_value(3.0))
    assert value_in(target) == 3.0
    assert leftovers(tmp_path) == ["agent"]


def test_what_a_killed_save_left_is_cleared_by_the_next(tmp_path):
    (tmp_path / ".agent.tmp").mkdir()
    (tmp_path / ".agent.tmp" / "half.bin").write_bytes(b"0")
    save_folder(tmp_path / "agent", write_value(2.0))
    assert value_in(tmp_path / "agent") == 2.0
    assert leftovers(tmp_path) == ["agent"]


def test_a_kill_before_the_clean_up_keeps_the_new_folder(tmp_path):
    target = tmp_path / "agent"
    save_folder(tmp_path / "agent.old", write_value(1.0))
    save_folder(target, write_value(2.0))
    assert value_in(target) == 2.0
    assert leftovers(tmp_path) == ["agent"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "weights.safetensors").unlink(), "'weights.safetensors' is missing"),
        (lambda f: (f / "part/value.json").write_text("1"), "'part/value.json' has 1 bytes"),
        (
            lambda f: (f / "part/value.json").write_text("9.0\n"),
            "'part/value.json' has a wrong SHA",
        ),
        (lambda f: (f / "manifest.json").unlink(), "has no manifest.json"),
        (lambda f: (f / "manifest.json").write_text("{"), "expected JSON in .*manifest.json"),
        (lambda f: (f / "manifest.json").write_text('{"model": 1}'), "foreign"),
        (
            lambda f: save_json(f / "manifest.json", {"format": checkpoint.FORMAT, "version": 99}),
            "format version 1 or lower, got 99",
        ),
        (
            lambda f: save_json(
                f / "manifest.json",
                {"format": checkpoint.FORMAT, "version": 1, "files": {"../secret": {}}},
            ),
            "bad entry '../secret'",
        ),
    ],
)
def test_damaged_and_foreign_folders_are_refused(tmp_path, damage, message):
    target = save_folder(tmp_path / "agent", write_value(1.0))
    damage(target)
    with pytest.raises(CheckpointError, match=message):
        open_folder(target)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_folder(tmp_path / "nowhere")


def test_saving_over_other_peoples_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="holds other files"):
        save_folder(tmp_path, write_value(1.0))
    with pytest.raises(CheckpointError, match="got the file"):
        save_folder(tmp_path / "thesis.txt", write_value(1.0))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_tied_tensors_and_views_are_stored(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    save_tensors(tmp_path / "t.safetensors", {"a": base, "b": base, "c": base.T})
    loaded = load_tensors(tmp_path / "t.safetensors")
    assert torch.equal(loaded["b"], base)
    assert torch.equal(loaded["c"], base.T)


def test_a_broken_tensor_file_is_named(tmp_path):
    (tmp_path / "t.safetensors").write_bytes(b"not tensors")
    with pytest.raises(CheckpointError, match="t.safetensors"):
        load_tensors(tmp_path / "t.safetensors")


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_json(tmp_path / "x.json", {"score": float("nan")})
    assert leftovers(tmp_path) == []
