"""The streams of RLHF-Monitor-v0: item i is a pure function of (data_seed, split, i)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.monitor_streams.readers import best_reading, hasty_reading, told
from textgym.envs_registry.monitor_streams.remarks import (
    NOUNS,
    NUM_REMARKS,
    POLARITIES,
    write_remark,
)
from textgym.envs_registry.monitor_streams.stopping import REMARK_RATES
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.types import Prompt


class MonitorStreams(ProceduralPrompts):
    """Procedural streams of remarks; the reference is that of the best reader.

    `facts` hold `topic`, `label` (what the stream is), `words`, `polarities` (of its remarks) and
    `hasty`: what somebody in haste does with it, which the bundled reference model imitates.
    """

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        topic, label = pick(tuple(NOUNS), rng), pick(POLARITIES, rng)
        rates = REMARK_RATES[POLARITIES.index(label)].tolist()
        polarities = [_drawn(rates, rng) for _ in range(NUM_REMARKS)]
        words = [word for said in polarities for word in write_remark(topic, said, rng)]
        return {"topic": topic, "label": label, "words": words, "polarities": polarities}

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`."""
        return " ".join(facts["words"])

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        words, polarities = facts["words"], facts["polarities"]
        return Prompt(
            prompt_id=prompt_id,
            text=f"Remarks on a {facts['topic']}:",
            references=(told(words, *best_reading(polarities)),),
            facts={**facts, "hasty": told(words, *hasty_reading(polarities, rng))},
        )


class HastyReadings(MonitorStreams):
    """The same streams; the reference is that of somebody in haste."""

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        prompt = super().write(prompt_id, facts, rng)
        return replace(prompt, references=(prompt.facts["hasty"],))


def _drawn(rates: list[float], rng: Draws) -> str:
    point = rng.random()
    for polarity, rate in zip(POLARITIES, rates, strict=True):
        if point < rate:
            return polarity
        point -= rate
    return POLARITIES[-1]
