"""`reward="teacher"`: a simulated teacher scores episodes, through the broker and the store.

Shape letter: N episodes.
"""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from textgym.config import TextEnvConfig
from textgym.feedback.broker import BrokerConfig, FeedbackBroker
from textgym.feedback.episode_judge import EpisodeJudge
from textgym.feedback.prices import Prices
from textgym.feedback.queries import Query
from textgym.feedback.records import FeedbackRecord, LanguageFeedback, Score, new_id
from textgym.feedback.responses import Response
from textgym.feedback.store import FeedbackStore
from textgym.feedback.teachers import TeacherConfig, build_teacher
from textgym.feedback.teachers.critic import Critic, rubric_critic
from textgym.types import Episode


class TeacherReward:
    """An `AskedReward`: a question for each episode that ends, and what was answered by now.

    A round of asking is a step of the environment. Answers that come after their episode was
    settled are in the store like all others, and pay nothing.

    Attributes:
        name: "teacher".
        asked_terms: Its one term.
        answers_at_once: Whether the teacher answers everything in the round of asking, and no
            budget can keep it from being asked.
        needs_facts: Whether the gold utility does that the teacher goes by, see `needs_facts`.
        broker: Asks; its `store` holds the answers.
    """

    name = "teacher"
    asked_terms = frozenset({"teacher"})

    def __init__(
        self,
        broker: FeedbackBroker,
        judge: EpisodeJudge,
        *,
        kind: str = "score",
        answers_at_once: bool = True,
        longest_delay: int = 0,
        critic: Critic | None = None,
        temporary_folder: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        """Ask by `broker`.

        Args:
            broker: With a teacher that reads the responses' gold.
            judge: Knows the gold of an episode.
            kind: "score" or "language".
            answers_at_once: What the teacher and the budget promise.
            longest_delay: Rounds after which what is not answered never will be: such questions
                are given up, so that a long run does not pile them up.
            critic: Turns words into numbers; needed for "language".
            temporary_folder: Where the broker's store lies, if it is to go with this reward.
        """
        self.broker, self.answers_at_once = broker, answers_at_once
        self.needs_facts = judge.needs_facts
        self._judge, self._kind, self._critic = judge, kind, critic
        self._longest_delay = longest_delay
        self._is_temporary = temporary_folder is not None
        self._closing = weakref.finalize(self, _close, broker.store, temporary_folder)
        self._has_begun = False
        self._run_id, self._num_asked = new_id(), 0
        self._policy: tuple[str, Mapping[str, Any]] = ("", {})
        self._values: dict[str, list[float]] = {}
        self._collected: set[str] = set()

    def ask(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Ask about the episodes that a step ended; see `AskedReward`."""
        for query_id in self._collected:
            self._values.pop(query_id, None)
        self._collected.clear()
        if self._has_begun:
            self.broker.next_round()
        self._has_begun = True
        return self._asked(episodes)

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return what has been answered, (N,) float32, NaN for what has not.

        Episodes without a `query_id` are asked about now.
        """
        asked = iter(self._asked([e for e in episodes if not e.query_id]))
        ids = [e.query_id or next(asked).query_id for e in episodes]
        received = self.broker.poll()
        received.raise_rejected()
        self.broker.give_up(self.broker.round_index - self._longest_delay + 1)
        for record in received.records:
            if record.query_id in self._values:
                self._values[record.query_id].append(self._value(record))
        self._collected.update(ids)
        means = [np.mean(self._values[i]) if self._values.get(i) else np.nan for i in ids]
        return np.array(means, dtype=np.float32)

    def keep_answers(self, location: str | Path) -> None:
        """Keep the answers in a store that stays, where they were to go with this reward.

        A store that `teacher_store` named stays the one.

        Args:
            location: See `FeedbackStore`.

        Raises:
            ValueError: Something has been asked already.
        """
        if not self._is_temporary:
            return
        if self._has_begun or self.broker.counts["asked"]:
            raise ValueError(
                f"expected a store before the first question, got {str(location)!r} after "
                f"{self.broker.counts['asked']}"
            )
        self._closing()
        self._is_temporary = False
        self.broker.store = FeedbackStore(location)
        self._closing = weakref.finalize(self, _close, self.broker.store, None)

    def note_policy(self, fingerprint: str, sampling: Mapping[str, Any]) -> None:
        """Write into the records from now on which policy acts, and how it samples."""
        self._policy = (fingerprint, dict(sampling))

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed run needs, the broker's and the teacher's state included.

        JSON values; episodes that have not been settled are not part of it, as they are not part
        of the environment's.
        """
        return {
            "has_begun": self._has_begun,
            "run_id": self._run_id,
            "num_asked": self._num_asked,
            "is_temporary": self._is_temporary,
            "broker": self.broker.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned, with the same store.

        Answers that lay in a temporary store went with it; the run goes on in a new one.

        Raises:
            ValueError: As `FeedbackBroker.load_state_dict`.
        """
        broker = dict(state["broker"])
        if state["is_temporary"] and self._is_temporary:
            broker["store_id"] = self.broker.store.store_id
        self.broker.load_state_dict(broker)
        self._has_begun = bool(state["has_begun"])
        self._run_id, self._num_asked = str(state["run_id"]), int(state["num_asked"])
        self._values, self._collected = {}, set()

    def _asked(self, episodes: Sequence[Episode]) -> list[Episode]:
        if not episodes:
            return []
        golds = self._judge.gold_scores(episodes)
        queries = []
        for episode, gold in zip(episodes, golds, strict=True):
            fingerprint, sampling = self._policy
            response = Response.of_episode(
                replace(episode, gold_score=gold), policy_fingerprint=fingerprint, sampling=sampling
            )
            queries.append(
                Query(
                    kind=self._kind,
                    prompt=response.prompt,
                    responses=(response,),
                    query_id=self._new_id(episode),
                )
            )
        self.broker.submit(queries)
        self._values.update((query.query_id, []) for query in queries)
        return [replace(e, query_id=q.query_id) for e, q in zip(episodes, queries, strict=True)]

    def _new_id(self, episode: Episode) -> str:
        """Return an id that a run which goes on from a saved state gives the same question again.

        The store takes the answer once then, and what was stored first holds. The content is in it
        so that another question never passes for this one.
        """
        self._num_asked += 1
        content = repr((episode.prompt_ids, episode.response_ids)).encode()
        digest = hashlib.sha256(content).hexdigest()[:12]
        return f"{self._run_id}-{self._num_asked}-{digest}"

    def _value(self, record: FeedbackRecord) -> float:
        if isinstance(record, Score):
            return record.value
        assert isinstance(record, LanguageFeedback) and self._critic is not None
        return self._critic.score(record.words)


def open_teacher_reward(
    config: TextEnvConfig, judge: EpisodeJudge, gold_scale: tuple[float, float]
) -> TeacherReward:
    """Return the reward that an environment's `teacher` arguments describe.

    Args:
        config: The environment's arguments.
        judge: Knows the gold.
        gold_scale: Mean and standard deviation of gold, unless `config.teacher` names its own.

    Raises:
        ValueError: A knob or a price that does not exist, or a budget that cannot buy one label.
    """
    person = TeacherConfig.parse(
        config.teacher or "", gold_mean=gold_scale[0], gold_std=gold_scale[1]
    )
    folder = None
    if config.teacher_store is None:
        folder = tempfile.TemporaryDirectory(prefix="textgym-", ignore_cleanup_errors=True)
    location = config.teacher_store or Path(str(folder and folder.name)) / "feedback.db"
    broker = FeedbackBroker(
        build_teacher(person, judge),
        FeedbackStore(location),
        BrokerConfig(budget=config.teacher_budget, answers_per_query=person.answers_per_query),
        prices=Prices.parse(config.teacher_prices or ""),
    )
    return TeacherReward(
        broker,
        judge,
        kind=config.teacher_feedback,
        answers_at_once=person.answers_at_once and config.teacher_budget is None,
        longest_delay=person.delay + person.delay_spread,
        critic=rubric_critic() if config.teacher_feedback == "language" else None,
        temporary_folder=folder,
    )


def _close(store: FeedbackStore, folder: tempfile.TemporaryDirectory[str] | None) -> None:
    store.close()
    if folder is not None:
        folder.cleanup()
