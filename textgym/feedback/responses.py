"""What feedback is about (prompts, responses, stretches of trajectories) and who gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textgym.feedback.checks import (
    check_choice,
    check_finite,
    check_integer,
    check_json,
    check_text,
    plain_ids,
)
from textgym.types import Episode, TokenIds

ANNOTATOR_KINDS = ("human", "simulated", "model")
SPAN_UNITS = ("token", "character")

Action = int | tuple[float, ...]
"""A discrete action (a token's number), or the numbers of a Box action."""


@dataclass(frozen=True, kw_only=True)
class Annotator:
    """Who gave the feedback.

    Attributes:
        id: A pseudonym, never a person's name; erasure goes by it.
        kind: One of `ANNOTATOR_KINDS`.
    """

    id: str
    kind: str

    def __post_init__(self) -> None:
        """Reject an unknown kind and an empty id."""
        check_text("annotator id", self.id)
        check_choice("annotator kind", self.kind, ANNOTATOR_KINDS)


@dataclass(frozen=True, kw_only=True)
class PromptText:
    """What was answered, as it was shown.

    Attributes:
        text: The rendered prompt; empty for trajectories of environments without text.
        token_ids: Its token ids as the policy read them; empty where not known.
        prompt_id: Index in the environment's source, None where it has none.
        messages: (role, content) pairs where the prompt is a chat, else empty.
    """

    text: str
    token_ids: TokenIds = ()
    prompt_id: int | None = None
    messages: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Reject what is no text, and ids that are none."""
        check_text("prompt", self.text, may_be_empty=True)
        object.__setattr__(self, "token_ids", plain_ids("token_ids", self.token_ids))
        check_integer("prompt_id", self.prompt_id)

    def is_same(self, other: PromptText) -> bool:
        """Whether both show the same; ids count only where both know them."""
        is_same_ids = not (self.token_ids and other.token_ids) or self.token_ids == other.token_ids
        return self.text == other.text and is_same_ids


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of a trajectory of K steps in an environment without text.

    Attributes:
        observations: K observations, each flattened to a tuple of floats: what was seen before
            each action.
        actions: K actions.
        true_rewards: K rewards of the environment itself, or empty; gold, never shown.
        terminated: Whether the episode terminated at the last of the steps.
    """

    observations: tuple[tuple[float, ...], ...]
    actions: tuple[Action, ...]
    true_rewards: tuple[float, ...] = ()
    terminated: bool = False

    def __post_init__(self) -> None:
        """Reject parts of different lengths, and no step at all."""
        steps = len(self.actions)
        if not steps or len(self.observations) != steps:
            raise ValueError(
                f"a segment needs as many observations as actions and at least one, got "
                f"{len(self.observations)} observations and {steps} actions"
            )
        if len(self.true_rewards) not in (0, steps):
            raise ValueError(
                f"true_rewards must be empty or one for each of {steps} actions, "
                f"got {len(self.true_rewards)}"
            )


@dataclass(frozen=True, kw_only=True)
class Response:
    """One response to one prompt: what a teacher judges.

    Attributes:
        prompt: What it answers.
        text: The response as it was shown.
        token_ids: The ids that the policy sampled; empty where not known (imported text). Text is
            never encoded again to get them.
        segment: The trajectory, in environments without text; then `text` is usually empty.
        finish_reason: As in `textgym.types.Episode`; empty where not known.
        policy_fingerprint: Which policy wrote it (a hash of its weights); empty where not known.
        sampling: Parameters that it was sampled with (temperature, …); JSON values.
        gold_score: Hidden true utility where the asker knows it. Only simulated teachers and
            evaluation read it; nobody is shown it.
    """

    prompt: PromptText
    text: str
    token_ids: TokenIds = ()
    segment: Segment | None = None
    finish_reason: str = ""
    policy_fingerprint: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    gold_score: float | None = None

    def __post_init__(self) -> None:
        """Reject what is no text, ids that are none, and sampling that JSON cannot hold."""
        check_text("response", self.text, may_be_empty=True)
        object.__setattr__(self, "token_ids", plain_ids("token_ids", self.token_ids))
        check_json("sampling", self.sampling)
        check_finite("gold_score", self.gold_score)

    @property
    def num_actions(self) -> int | None:
        """Actions it is made of: tokens, or steps of its segment; None where not known."""
        if self.segment is not None:
            return len(self.segment.actions)
        return len(self.token_ids) or None

    @classmethod
    def of_episode(
        cls,
        episode: Episode,
        *,
        policy_fingerprint: str = "",
        sampling: Mapping[str, Any] | None = None,
    ) -> Response:
        """Make the response that a text environment's finished episode holds."""
        prompt = PromptText(
            text=episode.prompt.text,
            token_ids=episode.prompt_ids,
            # A prompt of the caller's own has no index in the source.
            prompt_id=episode.prompt.prompt_id if episode.prompt.prompt_id >= 0 else None,
        )
        return cls(
            prompt=prompt,
            text=episode.response,
            token_ids=episode.response_ids,
            finish_reason=episode.finish_reason,
            policy_fingerprint=policy_fingerprint,
            sampling=dict(sampling or {}),
            gold_score=episode.gold_score,
        )


@dataclass(frozen=True, kw_only=True)
class Span:
    """A part of a response, [start, end).

    Attributes:
        start: First token (action) or character, at least 0.
        end: One past the last, above `start`.
        unit: One of `SPAN_UNITS`: indices into `token_ids` (or the segment's actions), or into
            the text.
    """

    start: int
    end: int
    unit: str = "token"

    def __post_init__(self) -> None:
        """Reject an empty or reversed part."""
        check_choice("span unit", self.unit, SPAN_UNITS)
        check_integer("span start", self.start)
        check_integer("span end", self.end, least=self.start + 1)

    def check_inside(self, response: Response) -> None:
        """Reject a part that reaches beyond the response, where its length is known."""
        length = len(response.text) if self.unit == "character" else response.num_actions
        if length is not None and self.end > length:
            raise ValueError(
                f"span must end within the response's {length} {self.unit}s, got end {self.end}"
            )
