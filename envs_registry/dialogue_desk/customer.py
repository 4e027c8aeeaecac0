"""The simulated customer: answers, grows impatient, thanks or leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textgym.envs_registry.dialogue_desk import wording
from textgym.envs_registry.dialogue_desk.needs import Need
from textgym.envs_registry.dialogue_desk.reading import Act, Case, Spoken, read_case
from textgym.envs_registry.draws import Draws, FastDraws, pick
from textgym.tokenizer import Tokenizer
from textgym.turns import OpenEpisode, Reply

# How often an answer tells a slot more than was asked for.
VOLUNTEERS = 0.2


@dataclass(frozen=True, kw_only=True)
class Customer:
    """The other side of the desk; a `Responder`.

    A customer answers what is asked, tells slots again with a sigh, corrects wrong bookings, and
    asks back where nothing makes sense; each of the last three costs patience. The episode ends
    "solved" with thanks, "given_up" when patience is at its end, "length" after `max_turns`
    turns of the agent, and "over" at once where the prompt was given by option.

    Attributes:
        tokenizer: The environment's.
        max_turns: Most turns of the agent.
        max_turn_tokens: See `Responder`.
        max_reply_tokens: See `Responder`.
    """

    tokenizer: Tokenizer
    max_turns: int
    max_turn_tokens: int
    max_reply_tokens: int

    def replies(self, episodes: Sequence[OpenEpisode]) -> list[Reply]:
        """See `Responder`."""
        return [self._reply(episode) for episode in episodes]

    def _reply(self, episode: OpenEpisode) -> Reply:
        if not episode.prompt.facts:  # a prompt of the caller's own: nobody knows the need
            return Reply(finish_reason="over")
        spoken = [(t.is_action, self.tokenizer.decode(list(t.ids))) for t in episode.turns]
        seed = np.random.SeedSequence((episode.seed, episode.num_turns))
        text, reason = answer(Need.of(episode.prompt.facts), spoken, FastDraws(seed))
        if reason is None and episode.num_turns >= self.max_turns:
            return Reply(finish_reason="length")
        return Reply(
            ids=tuple(self.tokenizer.encode(said(text, is_last=reason is not None))),
            finish_reason=reason,
        )


def said(text: str, *, is_last: bool) -> str:
    """A customer's message as it stands in the state; the agent's next turn follows, if any."""
    line = f"\n{wording.CUSTOMER} {text}"
    return line if is_last else f"{line}\n{wording.AGENT}"


def answer(need: Need, spoken: Spoken, rng: Draws) -> tuple[str, str | None]:
    """What a customer says to the agent's last turn, and why they go, None where they stay.

    Args:
        need: What they want.
        spoken: What was said behind the first message; the agent's turn is the last.
        rng: Chooses the words.
    """
    case = read_case(need, spoken)
    act = case.acts[-1]
    if act.kind == "solved":
        return pick(wording.THANKS, rng), "solved"
    if case.is_given_up:
        return pick(wording.LEAVING, rng), "given_up"
    return wording.capitalised(_words_for(act, case, rng)), None


def _words_for(act: Act, case: Case, rng: Draws) -> str:
    values = case.need.values
    if act.kind == "unclear":
        return pick(wording.PUZZLED, rng)
    if act.kind == "wrong":
        frame, slots = pick(wording.CORRECTIONS, rng), act.slots[:1]
    elif act.kind == "repeated":
        frame, slots = pick(wording.REPEATS, rng), act.slots
    else:
        frame, slots = pick(wording.ANSWERS, rng), _answered(act, case, rng)
    return frame.format(phrase=wording.phrases(values, slots))


def _answered(act: Act, case: Case, rng: Draws) -> tuple[str, ...]:
    """The slots asked for, and now and then one more that is not known yet."""
    others = [s for s in case.need.values if s not in case.known and s not in act.slots]
    if others and rng.random() < VOLUNTEERS:
        return (*act.slots, pick(others, rng))
    return act.slots
