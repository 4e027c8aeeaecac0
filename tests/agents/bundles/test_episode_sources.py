"""Episodes of models and of people: written on end, and played where the environment answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import textgym  # noqa: F401
from textgym.agents.bundles.bundle import build_bundle
from textgym.agents.bundles.bundle_recipe import BundleRecipe
from textgym.agents.bundles.comparisons import Sampling, load_comparisons
from textgym.agents.bundles.episode_sources import PlayedResponses, SampledResponses
from textgym.envs_registry.monitor import BUNDLE
from textgym.envs_registry.monitor_streams.gold import EarlyAndRight
from textgym.envs_registry.monitor_streams.streams import MonitorStreams
from textgym.envs_registry.recipes import bundle_parts
from textgym.rewards.base import score_episodes
from textgym.tokenizer import load_tokenizer
from textgym.types import Prompt

SAMPLING = Sampling(max_prompt_tokens=16, max_new_tokens=25, batch_size=4)
ID = "RLHF-Monitor-v0"
PLAYED = PlayedResponses(env_id=ID, data_seed=0)


def test_played_responses_hold_what_the_environment_says() -> None:
    model = Path(BUNDLE.path_of("reference_model"))
    prompts = [MonitorStreams(0, "validation")[i] for i in (3, 3, 1, 0, 2, 9)]
    found = PLAYED.sampled(model, prompts, SAMPLING, "validation", "")
    tokenizer = load_tokenizer(model)
    for episode, prompt in zip(found, prompts, strict=True):
        assert episode.prompt == prompt
        said = [
            token
            for token, own in zip(episode.response_ids, episode.response_is_action, strict=True)
            if not own
        ]
        words = tokenizer.decode(said).split()
        assert words == prompt.facts["words"][: len(words)]


def test_people_are_scored_as_the_environment_scores_them() -> None:
    tokenizer = load_tokenizer(BUNDLE.path_of("reference_model"))
    prompts = [MonitorStreams(0, "validation")[i] for i in range(40)]
    human = [PLAYED.human(prompt, tokenizer, SAMPLING) for prompt in prompts]
    actions = [sum(episode.response_is_action) for episode in human]
    assert actions == [prompt.references[0].count("<") for prompt in prompts]
    golds = score_episodes(EarlyAndRight(), human).scores
    assert 0.5 < np.mean(golds) <= 1.0


def test_responses_on_end(tiny_model_folder: Path) -> None:
    source = SampledResponses()
    prompts = [Prompt(prompt_id=i, text="the dog", references=("said no",)) for i in range(3)]
    found = source.sampled(tiny_model_folder, prompts, SAMPLING, "train", "")
    assert [episode.prompt.prompt_id for episode in found] == [0, 1, 2]
    assert all(episode.response_is_action == () for episode in found)
    tokenizer = load_tokenizer(tiny_model_folder)
    human = source.human(prompts[0], tokenizer, SAMPLING)
    assert human.response == " said no" and human.finish_reason == "eos"
    assert human.response_ids[-1] in tokenizer.eos_ids


def test_people_are_compared_where_the_environment_answers(tmp_path: Path) -> None:
    parts = bundle_parts(ID)
    small = {"n_tokenizer_posts": 1_000, "n_sft_posts": 40, "n_comparison_prompts": 20}
    small |= {"n_normalisation": 8, "n_held_out_prompts": 8, "n_evaluation": 8}
    recipe = BundleRecipe(**{**parts.recipe, **small, "compare_people": True})
    build_bundle(recipe, parts.prompts(0), parts.gold(), tmp_path / "tiny")
    pairs = load_comparisons(tmp_path / "tiny.work" / "comparisons").pairs
    careful = parts.prompts(0)["careful"]
    best = {careful[i].references[0] for i in range(40, 60)}
    said = [pair for pair in pairs if {pair.chosen, pair.rejected} & best]
    assert len(said) > 10
