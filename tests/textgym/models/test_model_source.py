"""Where models come from: folders are local, typing errors are told at once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from textgym.models import model_source
from textgym.models.model_source import cannot_load, is_local_only


def test_a_folder_is_local(tmp_path: Path):
    assert is_local_only(str(tmp_path), "model")


@pytest.mark.parametrize("path", ["/no/such/folder", "./folder", "a/b/c", "C:\\models\\x", ""])
def test_what_cannot_be_a_hub_name_is_a_missing_folder(path: str):
    with pytest.raises(ValueError, match="no such folder"):
        is_local_only(path, "reward model")


def test_a_hub_name_is_local_where_no_hub_answers(monkeypatch):
    assert is_local_only("organisation/name", "model")  # HF_HUB_OFFLINE, set for all tests
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(model_source, "getproxies", dict)

    def unknown_host(*args: object) -> None:
        raise socket.gaierror("unknown host")

    monkeypatch.setattr(socket, "getaddrinfo", unknown_host)
    assert is_local_only("organisation/name", "model")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: [])
    assert not is_local_only("gpt2", "model")


def test_errors_keep_the_first_line_of_the_reason():
    error = cannot_load("org/name", "reward model", OSError("no route\nlong story"))
    assert "reward model from 'org/name' (no route)" in str(error)
    assert "(OSError)" in str(cannot_load("org/name", "tokenizer", OSError()))
