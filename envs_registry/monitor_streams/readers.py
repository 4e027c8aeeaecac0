"""How people read a stream: the best reader, and readers in haste."""

from __future__ import annotations

from collections.abc import Sequence

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.monitor_streams.remarks import NUM_REMARKS, POLARITIES, WORDS_PER_REMARK
from textgym.envs_registry.monitor_streams.stopping import Counts, decides, likeliest

# In haste: how often a reader decides behind a remark, and picks a decision blindly.
DECISION_RATE, BLIND_RATE = 0.4, 0.2
WAIT = "wait"


def symbol_of(action: str) -> str:
    """Return how an action stands in a text: one token of the bundled tokenizer."""
    return f"<{action}>"


def told(words: Sequence[str], num_words: int, decision: str) -> str:
    """Return a reader's episode as text: waited for `num_words` words, then decided."""
    waits = "".join(f"{symbol_of(WAIT)} {word}" for word in words[:num_words])
    return waits + symbol_of(decision)


def best_reading(polarities: Sequence[str]) -> tuple[int, str]:
    """Return after how many words the best reader decides, and for what."""
    for seen in range(NUM_REMARKS + 1):
        counts = _counts(polarities[:seen])
        if decides(counts):
            break
    return WORDS_PER_REMARK * seen, POLARITIES[likeliest(counts)]


def hasty_reading(polarities: Sequence[str], rng: Draws) -> tuple[int, str]:
    """Return after how many words somebody in haste decides, and for what."""
    seen = 1
    while seen < NUM_REMARKS and rng.random() >= DECISION_RATE:
        seen += 1
    if rng.random() < BLIND_RATE:
        return WORDS_PER_REMARK * seen, pick(POLARITIES, rng)
    return WORDS_PER_REMARK * seen, POLARITIES[likeliest(_counts(polarities[:seen]))]


def _counts(polarities: Sequence[str]) -> Counts:
    negative, neutral, positive = (list(polarities).count(name) for name in POLARITIES)
    return negative, neutral, positive
