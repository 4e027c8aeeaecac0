"""Episodes as coloured text for a terminal: green tokens were paid, red ones cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from textgym.tokenizer import Tokenizer

RESET = "\x1b[0m"
DIM = "\x1b[2m"
BOLD = "\x1b[1m"
# Backgrounds of the 256-colour cube, from strong red over none to strong green.
_COLOURS = (160, 167, 174, None, 108, 71, 34)
_MIDDLE = len(_COLOURS) // 2


def token_pieces(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """Return the text that each token adds; joined, they give the decoded whole.

    A token that completes no character by itself (a byte of several) adds an empty piece, and the
    one that completes it the whole character. Special tokens show their names.
    """
    pieces: list[str] = []
    shown = ""
    for end in range(1, len(ids) + 1):
        text = tokenizer.decode(ids[:end], skip_special_tokens=False)
        is_broken = text.endswith("\N{REPLACEMENT CHARACTER}") and end < len(ids)
        piece = "" if is_broken or not text.startswith(shown) else text[len(shown) :]
        shown = text if piece or text.startswith(shown) and not is_broken else shown
        pieces.append(piece)
    return pieces


def render_ansi(
    *,
    prompt: str,
    pieces: Sequence[str],
    rewards: Sequence[float],
    end: Mapping[str, object] | None = None,
) -> str:
    """Return prompt (dim), response coloured by reward, and the scores once it has ended.

    Args:
        prompt: Text of the prompt.
        pieces: Text that each response token added.
        rewards: Reward of each response token; NaN (withheld) is shown without colour.
        end: `finish_reason`, `score`, `gold_score`, … to show below; None while it goes on.
    """
    values = np.asarray(rewards, dtype=np.float64)
    scale = float(np.nanmax(np.abs(values), initial=0.0)) if np.isfinite(values).any() else 0.0
    coloured = [_coloured(piece, value, scale) for piece, value in zip(pieces, values, strict=True)]
    text = f"{DIM}{prompt}{RESET}{''.join(coloured)}"
    if end is None:
        return text
    facts = "  ".join(f"{name} {_shown(value)}" for name, value in end.items())
    return f"{text}\n{BOLD}{facts}{RESET}"


def _coloured(piece: str, reward: float, scale: float) -> str:
    if not np.isfinite(reward) or scale == 0.0:
        return piece
    colour = _COLOURS[_MIDDLE + round(_MIDDLE * reward / scale)]
    return piece if colour is None else f"\x1b[48;5;{colour}m{piece}{RESET}"


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
