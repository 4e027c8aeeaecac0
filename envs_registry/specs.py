"""The table of environments: strings only, so that importing it costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import gymnasium as gym

FAMILIES = ("token", "tag", "control", "tabular")
SUITES = ("RLHF", "PROBES", "TEACHING")


@dataclass(frozen=True, kw_only=True)
class EnvRow:
    """One environment.

    Attributes:
        id: What `gym.make` is given.
        entry_point: "module:class" of the single environment.
        vector_entry_point: "module:class" of the vector environment.
        family: What is checked of it: "token" (an action is a token), "tag" (a few actions over
            text), "control" (no text, paid by feedback alone) or "tabular" (states and actions
            that can be counted).
        suite: What it is for: "RLHF" (tasks), "PROBES" (tiny, the optimum known, each isolates one
            fault of an algorithm) or "TEACHING" (small worlds to learn the field with).
        summary: One line.
        kwargs: Strings, numbers and None.
        needs: Arguments without a default: the environment cannot be made without them.
        reward_threshold: Mean gold, where it has one, else mean return, from which on it counts as
            solved; None where the environment's documentation says it otherwise ("Solved:"), and
            of tasks where it is to earn more gold than the reference.
    """

    id: str
    entry_point: str
    vector_entry_point: str
    family: str
    suite: str
    summary: str
    kwargs: Mapping[str, str | int | float | None] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    reward_threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse a family or a suite that does not exist."""
        for name, known in (("family", FAMILIES), ("suite", SUITES)):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} of {self.id} must be one of {known}, got {value!r}")


ENVIRONMENTS: tuple[EnvRow, ...] = (
    EnvRow(
        id="RLHF-Summarize-v0",
        entry_point="textgym.envs_registry.summarize:SummarizeEnv",
        vector_entry_point="textgym.envs_registry.summarize:SummarizeVectorEnv",
        family="token",
        suite="RLHF",
        summary="TL;DR of procedural posts: a learned reward model beside the gold utility",
    ),
    EnvRow(
        id="RLHF-Hackable-v0",
        entry_point="textgym.envs_registry.hackable:HackableEnv",
        vector_entry_point="textgym.envs_registry.hackable:HackableVectorEnv",
        family="token",
        suite="RLHF",
        summary="RLHF-Summarize-v0 with a planted flaw in the reward model: reward hacking, shown",
    ),
    EnvRow(
        id="RLHF-Helpful-v0",
        entry_point="textgym.envs_registry.helpful:HelpfulEnv",
        vector_entry_point="textgym.envs_registry.helpful:HelpfulVectorEnv",
        family="token",
        suite="RLHF",
        summary="Replies in real dialogues: needs dataset, reference_model and reward_model",
        needs=("dataset", "reference_model", "reward_model"),
    ),
    EnvRow(
        id="Probe-ExactKL-v0",
        entry_point="textgym.envs_registry.exact_kl:ExactKLEnv",
        vector_entry_point="textgym.envs_registry.exact_kl:ExactKLVectorEnv",
        family="token",
        suite="PROBES",
        summary="Six tokens, four steps: the optimum of reward minus KL is known exactly",
    ),
    EnvRow(
        id="RLHF-CartPole-v0",
        entry_point="textgym.envs_registry.cartpole:CartPoleEnv",
        vector_entry_point="textgym.envs_registry.cartpole:CartPoleVectorEnv",
        family="control",
        suite="RLHF",
        summary="CartPole without text, paid by what was learned from feedback on segments",
        reward_threshold=475.0,
    ),
    EnvRow(
        id="RLHF-LunarLander-v0",
        entry_point="textgym.envs_registry.lunar_lander:LunarLanderEnv",
        vector_entry_point="textgym.envs_registry.lunar_lander:LunarLanderVectorEnv",
        family="control",
        suite="RLHF",
        summary="LunarLander without text, paid by feedback on segments (extra box2d)",
        reward_threshold=200.0,
    ),
    EnvRow(
        id="Probe-Constant-v0",
        entry_point="textgym.envs_registry.probe_constant:ConstantEnv",
        vector_entry_point="textgym.envs_registry.probe_constant:ConstantVectorEnv",
        family="token",
        suite="PROBES",
        summary="One right token for ever: does the policy follow the reward at all?",
        reward_threshold=0.95,
    ),
    EnvRow(
        id="Probe-Copy-v0",
        entry_point="textgym.envs_registry.probe_copy:CopyEnv",
        vector_entry_point="textgym.envs_registry.probe_copy:CopyVectorEnv",
        family="token",
        suite="PROBES",
        summary="Say the prompt's letters again: do actions depend on the observation?",
        reward_threshold=0.95,
    ),
    EnvRow(
        id="Probe-Parity-v0",
        entry_point="textgym.envs_registry.probe_parity:ParityEnv",
        vector_entry_point="textgym.envs_registry.probe_parity:ParityVectorEnv",
        family="token",
        suite="PROBES",
        summary="Is the number of ones odd? Are inputs combined?",
        reward_threshold=0.95,
    ),
    EnvRow(
        id="Probe-DelayedCredit-v0",
        entry_point="textgym.envs_registry.probe_delayed_credit:DelayedCreditEnv",
        vector_entry_point="textgym.envs_registry.probe_delayed_credit:DelayedCreditVectorEnv",
        family="token",
        suite="PROBES",
        summary="The first of eleven tokens decides: does credit reach back?",
        reward_threshold=0.95,
    ),
    EnvRow(
        id="Probe-IncreasingNumbers-v0",
        entry_point="textgym.envs_registry.probe_increasing_numbers:IncreasingEnv",
        vector_entry_point="textgym.envs_registry.probe_increasing_numbers:IncreasingVectorEnv",
        family="token",
        suite="PROBES",
        summary="Climb and leave room to climb: is there looking ahead?",
        reward_threshold=0.95,
    ),
    EnvRow(
        id="Probe-ValueOnly-v0",
        entry_point="textgym.envs_registry.probe_value_only:ValueOnlyEnv",
        vector_entry_point="textgym.envs_registry.probe_value_only:ValueOnlyVectorEnv",
        family="token",
        suite="PROBES",
        summary="Nothing to decide, all to predict: does the critic learn?",
    ),
    EnvRow(
        id="TwoState-v0",
        entry_point="textgym.envs_registry.two_state:TwoStateEnv",
        vector_entry_point="textgym.envs_registry.two_state:TwoStateVectorEnv",
        family="tabular",
        suite="TEACHING",
        summary="Two states, two actions: V* and Q* are known as fractions",
    ),
    EnvRow(
        id="TextMaze-v0",
        entry_point="textgym.envs_registry.text_maze:TextMazeEnv",
        vector_entry_point="textgym.envs_registry.text_maze:TextMazeVectorEnv",
        family="tabular",
        suite="TEACHING",
        summary="A maze that forks, its walls in words, and a teacher who punishes dead ends",
    ),
    EnvRow(
        id="TextMaze-Corridor-v0",
        entry_point="textgym.envs_registry.text_maze_corridor:CorridorEnv",
        vector_entry_point="textgym.envs_registry.text_maze_corridor:CorridorVectorEnv",
        family="tabular",
        suite="TEACHING",
        summary="Rooms in a row with the exit at one end, in words",
    ),
    EnvRow(
        id="TextMaze-TMaze-v0",
        entry_point="textgym.envs_registry.text_maze_tmaze:TMazeEnv",
        vector_entry_point="textgym.envs_registry.text_maze_tmaze:TMazeVectorEnv",
        family="tabular",
        suite="TEACHING",
        summary="A sign at the entrance, a turn at the end: with or without memory",
    ),
    EnvRow(
        id="PromptBandit-v0",
        entry_point="textgym.envs_registry.prompt_bandit:PromptBanditEnv",
        vector_entry_point="textgym.envs_registry.prompt_bandit:PromptBanditVectorEnv",
        family="token",
        suite="TEACHING",
        summary="One of several ready replies to a customer, rated in [0, 1]",
        reward_threshold=0.77,
    ),
    EnvRow(
        id="RLHF-MultiObjective-v0",
        entry_point="textgym.envs_registry.multi_objective:MultiObjectiveEnv",
        vector_entry_point="textgym.envs_registry.multi_objective:MultiObjectiveVectorEnv",
        family="token",
        suite="RLHF",
        summary="Helpful and brief: two rewards, weighed by an argument or paid as a vector",
    ),
    EnvRow(
        id="RLHF-Sentiment-v0",
        entry_point="textgym.envs_registry.sentiment:SentimentEnv",
        vector_entry_point="textgym.envs_registry.sentiment:SentimentVectorEnv",
        family="token",
        suite="RLHF",
        summary="Continue a review positively: the generator's lexicon and grammar are the gold",
    ),
    EnvRow(
        id="RLHF-DataToText-v0",
        entry_point="textgym.envs_registry.data_to_text:DataToTextEnv",
        vector_entry_point="textgym.envs_registry.data_to_text:DataToTextVectorEnv",
        family="token",
        suite="RLHF",
        summary="A record in sentences: every field told, nothing invented",
    ),
    EnvRow(
        id="RLHF-Story-v0",
        entry_point="textgym.envs_registry.story:StoryEnv",
        vector_entry_point="textgym.envs_registry.story:StoryVectorEnv",
        family="token",
        suite="RLHF",
        summary="A story from an opening: constraints met, the end as asked, no repetition",
    ),
    EnvRow(
        id="RLHF-NER-v0",
        entry_point="textgym.envs_registry.ner:NEREnv",
        vector_entry_point="textgym.envs_registry.ner:NERVectorEnv",
        family="tag",
        suite="RLHF",
        summary="Tag the named entities of a sentence, word by word",
    ),
    EnvRow(
        id="RLHF-Recommend-v0",
        entry_point="textgym.envs_registry.recommend:RecommendEnv",
        vector_entry_point="textgym.envs_registry.recommend:RecommendVectorEnv",
        family="tag",
        suite="RLHF",
        summary="Show films one by one to a user whose taste drifts with what is shown",
    ),
    EnvRow(
        id="RLHF-Translate-v0",
        entry_point="textgym.envs_registry.translate:TranslateEnv",
        vector_entry_point="textgym.envs_registry.translate:TranslateVectorEnv",
        family="token",
        suite="RLHF",
        summary="English to Spanish by a synchronous grammar: agreement, numbers, dates",
    ),
    EnvRow(
        id="RLHF-Monitor-v0",
        entry_point="textgym.envs_registry.monitor:MonitorEnv",
        vector_entry_point="textgym.envs_registry.monitor:MonitorVectorEnv",
        family="tag",
        suite="RLHF",
        summary="Read a stream of words and decide what it says: early and right pays most",
    ),
    EnvRow(
        id="RLHF-Dialogue-v0",
        entry_point="textgym.envs_registry.dialogue:DialogueEnv",
        vector_entry_point="textgym.envs_registry.dialogue:DialogueVectorEnv",
        family="token",
        suite="RLHF",
        summary="A service desk over several turns: the customer answers, is served or leaves",
    ),
    EnvRow(
        id="RLHF-QA-v0",
        entry_point="textgym.envs_registry.qa:QAEnv",
        vector_entry_point="textgym.envs_registry.qa:QAVectorEnv",
        family="token",
        suite="RLHF",
        summary="Answer a question from a passage, briefly, or say that it isn't there",
    ),
)


def register_all() -> None:
    """Register every row with Gymnasium; a row that is registered already is left alone."""
    for row in ENVIRONMENTS:
        if row.id not in gym.registry:
            gym.register(
                row.id,
                entry_point=row.entry_point,
                vector_entry_point=row.vector_entry_point,
                kwargs=dict(row.kwargs),
                reward_threshold=row.reward_threshold,
            )
