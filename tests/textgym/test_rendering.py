"""Coloured text: every token is there, colours follow the signs."""

from __future__ import annotations

import re

from textgym.rendering import render_ansi, token_pieces
from textgym.tokenizer import SymbolTokenizer, Tokenizer, load_tokenizer


def plain(text: str) -> str:
    return re.sub("\x1b\\[[0-9;]*m", "", text)


def test_pieces_join_to_the_whole(tiny_tokenizer_folder: object) -> None:
    tokenizer: Tokenizer = load_tokenizer(str(tiny_tokenizer_folder))
    for text in ("my boss is angry", "héllo — 🙂 end"):
        ids = tokenizer.encode(text)
        pieces = token_pieces(tokenizer, ids)
        assert len(pieces) == len(ids)
        assert "".join(pieces) == tokenizer.decode(ids)
    symbols = SymbolTokenizer(["a", "b", "<eos>"])
    assert token_pieces(symbols, [0, 1, 2]) == ["a", " b", " <eos>"]


def test_colours_follow_the_rewards() -> None:
    text = render_ansi(prompt="P: ", pieces=["x", "y", "z"], rewards=[1.0, -1.0, 0.0])
    assert plain(text) == "P: xyz"
    assert "48;5;34mx" in text and "48;5;160my" in text and text.endswith("z")


def test_withheld_rewards_and_ends() -> None:
    nan = float("nan")
    text = render_ansi(prompt="", pieces=["x"], rewards=[nan], end={"score": 0.5, "why": "eos"})
    assert plain(text) == "x\nscore 0.500  why eos"
    assert plain(render_ansi(prompt="p", pieces=[], rewards=[])) == "p"
