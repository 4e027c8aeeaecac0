"""People's conversations as episodes: who said what is told by an expression."""

from __future__ import annotations

from pathlib import Path

from textgym.agents.bundles.comparisons import Sampling
from textgym.agents.bundles.episode_sources import PlayedResponses
from textgym.envs_registry.dialogue_desk.gold import OTHERS, DialogueGold
from textgym.envs_registry.dialogue_desk.source import DialoguePrompts
from textgym.tokenizer import load_tokenizer
from textgym.turns import episode_turns

SAMPLING = Sampling(max_prompt_tokens=400, max_new_tokens=80)


def test_each_turn_of_people_ends_and_gold_reads_them(tiny_tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    played = PlayedResponses(
        env_id="RLHF-Dialogue-v0", data_seed=0, response_start=" ", others=OTHERS
    )
    gold = DialogueGold()
    prompts = [DialoguePrompts(0, "train")[i] for i in range(30)]
    episodes = [played.human(prompt, tokenizer, SAMPLING) for prompt in prompts]
    by_text = gold(episodes).tolist()
    gold.read_ids_with(tokenizer)
    assert gold(episodes).tolist() == by_text and max(by_text) == 1.0
    for episode in episodes:
        turns = episode_turns(episode)
        assert [turn.is_action for turn in turns] == [i % 2 == 0 for i in range(len(turns))]
        for turn in turns:
            assert (turn.ids[-1] in tokenizer.eos_ids) == turn.is_action
            assert ("Customer:" in tokenizer.decode(list(turn.ids))) != turn.is_action
