r"""RLHF-Dialogue-v0: serve a customer over several turns; the environment answers in between.

Description:
    A customer writes to a service desk: a table, a train ticket, a room or a repair. Each order has
    three slots (how many people, which day, ...), of which the first message tells none to two. The
    agent asks for the others and books the order; the simulated customer answers each turn of the
    agent, in words that vary, and loses patience where they are asked what they have told, where a
    booking is wrong, or where they cannot make sense of what they read. A reward model learned from
    comparisons of whole conversations gives the score; the gold utility, which the agent never
    sees, says whether the order was booked as it was wanted, and how much patience was left.

Observation:
    `Box(0, V, (L,), int64)`: the customer's first message ("Customer: ...\nAgent:"), then both
    sides' tokens, then V in every empty cell; L = `max_prompt_tokens + max_new_tokens +
    max_reply_tokens`. What the customer says enters the state in the step that ends a turn and is
    no action.

Action:
    `Discrete(A)`: the next token; A = V unless `action_tokens` says otherwise. An end token or
    `max_turn_tokens` ends the agent's turn.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step, and the score at the end. The agent pays the other
    half of the KL penalty, `-kl_coef * log pi(a|s)`. The customer's words cost and earn nothing.

Episode end:
    "solved" when the order was booked as wanted, "given_up" when the customer's patience is at its
    end, "length" after `max_turns` turns or `max_new_tokens` tokens of the agent, "overflow" where
    the customer's answer no longer fits into `max_reply_tokens`; all terminate. With a `dataset`,
    "over" when the customer has no more to say, as after one turn of a prompt given by option.

Info:
    As in every text environment (docs/environment.md), `response_is_action` at the end included;
    `gold_score` at the end.

Arguments:
    Those of `TextEnvConfig`, and `max_turns` (6), `max_turn_tokens` (24), `max_reply_tokens` (80).
    `reference_model`, `reward_model` and `tokenizer` name other models; `dataset` other dialogues,
    with a column `turns` (utterances of the user and the agent in alternation): the customer then
    says the user's turns one by one whatever the agent answers, and there is no gold utility.

Data:
    `dialogue_desk`: customer i of a split is a pure function of (`data_seed`, `split`, i); splits
    share no order. A million customers in "train", ten thousand each in "validation" and "test".
    References are whole conversations of people.

Version history:
    v0: first version.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textgym.config import TextEnvConfig, check_int
from textgym.dataset_form import DatasetForm
from textgym.envs_registry.dialogue_desk.customer import Customer
from textgym.envs_registry.dialogue_desk.gold import DialogueGold
from textgym.envs_registry.dialogue_desk.humans import careful_turn
from textgym.envs_registry.dialogue_desk.needs import Need
from textgym.envs_registry.dialogue_desk.reading import read_case
from textgym.envs_registry.dialogue_desk.scripts import ScriptedCustomer, scripted_prompt
from textgym.envs_registry.dialogue_desk.source import DialoguePrompts
from textgym.envs_registry.dialogue_recipe import ENV_ID, RECIPE
from textgym.task import TextTask
from textgym.task_models import Bundle, text_task
from textgym.token_env import TokenEnv
from textgym.tokenizer import end_token
from textgym.turns import split_turns
from textgym.vector_env import TokenVectorEnv

BUNDLE = Bundle(env_id=ENV_ID, folder=Path(__file__).parent / "assets" / "dialogue-v0")
# The models were trained at these lengths.
DEFAULTS = {name: RECIPE[name] for name in ("max_prompt_tokens", "max_new_tokens")}
# Mean and standard deviation of the bundled reference's gold, sampled (the bundle's card.json).
GOLD_SCALE = (0.51, 0.36)

DATASET = DatasetForm(
    env_id=ENV_ID,
    to_prompt=scripted_prompt,
    needs={"turns": "whole dialogues, the user's and the agent's turns"},
    columns="prompt=turns.0.utterance,turns=turns.*.utterance",
    names=("turns",),
)


@dataclass(frozen=True, kw_only=True)
class DialogueConfig(TextEnvConfig):
    """Arguments of RLHF-Dialogue-v0.

    Attributes:
        max_turns: Most turns of the agent, at least 1.
        max_turn_tokens: Longest turn of the agent in tokens, at least 1; at most `max_new_tokens`
            of all turns together.
        max_reply_tokens: Most tokens that the customer says behind the first message, at least 1.
    """

    max_turns: int = 6
    max_turn_tokens: int = 24
    max_reply_tokens: int = RECIPE["max_reply_tokens"]

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        super().__post_init__()
        for name in ("max_turns", "max_turn_tokens", "max_reply_tokens"):
            check_int(name, getattr(self, name), at_least=1)


def build_task(config: DialogueConfig) -> TextTask:
    """Return the task: procedural customers and bundled models, unless arguments name others."""
    prompts = None
    if config.dataset is None:
        prompts = DialoguePrompts(config.data_seed, config.split, config.num_prompts)
    gold = DialogueGold()
    task = text_task(
        config,
        prompts=prompts,
        gold=gold,
        gold_scale=GOLD_SCALE,
        bundle=BUNDLE,
        dataset_form=DATASET,
    )
    gold.read_ids_with(task.tokenizer)
    if task.responder is not None:
        return task
    customer: type[Customer] | type[ScriptedCustomer] = Customer
    if config.dataset is not None:
        customer = ScriptedCustomer
    responder = customer(
        tokenizer=task.tokenizer,
        max_turns=config.max_turns,
        max_turn_tokens=config.max_turn_tokens,
        max_reply_tokens=config.max_reply_tokens,
    )
    return replace(task, responder=responder)


class DialogueEnv(TokenEnv):
    """One row of RLHF-Dialogue-v0; see the module's docstring."""

    config_class = DialogueConfig
    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS

    def best_known_action(self) -> int:
        """Return the next token of somebody who asks for what is missing and then books.

        Raises:
            ValueError: A prompt without a need: of a data set, or given by option.
        """
        state = self.get_state()
        start, turn_start = int(state.prompt_lengths[0]), int(state.turn_starts[0])
        prompt = state.prompts[0]
        if prompt is None or "order" not in prompt.facts:
            raise ValueError(f"expected a customer with a need, got the prompt {prompt!r}")
        ids = state.ids[0]
        turns = split_turns(
            ids[start:turn_start].tolist(), state.is_action[0, start:turn_start].tolist()
        )
        spoken = [(turn.is_action, self.tokenizer.decode(list(turn.ids))) for turn in turns]
        text = careful_turn(read_case(Need.of(prompt.facts), spoken))
        tokens = [*self.tokenizer.encode(f" {text}"), *end_token(self.tokenizer)]
        token = tokens[int(state.lengths[0]) - turn_start]
        return int(np.flatnonzero(self.action_tokens == token)[0])


class DialogueVectorEnv(TokenVectorEnv):
    """N rows of RLHF-Dialogue-v0; see the module's docstring."""

    config_class = DialogueConfig
    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
