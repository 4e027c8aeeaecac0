"""The builder on a tiny task: every stage, the card, resuming, sizes, errors."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from textgym.agents.bundles.bundle import build_bundle
from textgym.agents.bundles.bundle_card import folder_bytes
from textgym.agents.bundles.bundle_recipe import STAGES, BundleRecipe, stages_after_change
from textgym.agents.bundles.comparisons import load_comparisons
from textgym.agents.storage.checkpoint import load_json, open_folder
from textgym.models.reward_model import read_score_scale
from textgym.tokenizer import load_tokenizer
from textgym.types import Prompt

WORDS = ["friend", "dog", "house", "trip", "money", "sister", "brother", "home"]
RECIPE = BundleRecipe(
    env_id="Toy-v0",
    vocab_size=300,
    model="scratch:llama,layers=1,width=32,heads=2,positions=64",
    max_prompt_tokens=24,
    max_new_tokens=8,
    n_tokenizer_posts=200,
    n_sft_posts=100,
    sft_batch_tokens=512,
    n_comparison_prompts=40,
    responses_per_prompt=3,
    reward_batch_tokens=512,
    n_normalisation=32,
    n_held_out_prompts=20,
    n_evaluation=16,
)


class ToyPosts:
    """Posts that name a word; the human reference repeats it."""

    def __init__(self, offset):
        """Number the posts from `offset`."""
        self.offset = offset

    def __len__(self):
        """All there are."""
        return 400

    def __getitem__(self, prompt_id):
        """One post."""
        word = WORDS[(self.offset + prompt_id) % len(WORDS)]
        return Prompt(
            prompt_id=prompt_id,
            text=f"my {word} {prompt_id}.\n\nTL;DR:",
            references=(f"my {word}",),
        )


class VowelCount:
    """Utility: share of vowels."""

    name = "gold"

    def __call__(self, episodes):
        texts = [e.response for e in episodes]
        shares = [sum(c in "aeiou" for c in t) / max(1, len(t)) for t in texts]
        return np.array(shares, dtype=np.float32)


SPLITS = {"train": ToyPosts(0), "validation": ToyPosts(3)}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "toy"
    lines = []
    card = build_bundle(
        RECIPE, SPLITS, VowelCount(), folder, command="textgym build Toy-v0", report=lines.append
    )
    return folder, card, lines


def test_folder_has_both_models_and_a_whole_manifest(built):
    folder, _, _ = built
    open_folder(folder)
    policy = AutoModelForCausalLM.from_pretrained(folder / "reference_model", dtype="auto")
    reward = AutoModelForSequenceClassification.from_pretrained(
        folder / "reward_model", dtype="auto"
    )
    assert {str(policy.dtype), str(reward.dtype)} == {"torch.float16"}
    assert reward.config.num_labels == 1
    for name in ("reference_model", "reward_model"):
        assert load_tokenizer(folder / name).vocab_size == 300
        assert (folder / name / "model.safetensors").stat().st_mode & 0o444 == 0o444
    assert read_score_scale(folder / "reward_model").gain > 0


def test_card_says_how_it_was_built_and_what_was_measured(built):
    folder, card, lines = built
    assert load_json(folder / "card.json") == card
    assert card["command"] == "textgym build Toy-v0"
    assert card["recipe"]["n_sft_posts"] == 100
    assert 0 < card["bytes"] < 6_000_000
    assert (
        card["bytes"]
        == folder_bytes(folder / "reference_model")
        + folder_bytes(folder / "reward_model")
        + (folder.with_name("toy.work") / "export" / "manifest.json").stat().st_size
    )
    assert card["comparisons"]["n_train"] + card["comparisons"]["n_train_ties_left_out"] == 120
    measured = card["measured"]
    assert measured["reference_model"]["gold_human"]["count"] == 16
    for name in ("accuracy", "gold_accuracy", "longer_gold_accuracy", "label_accuracy"):
        found = measured["reward_model"][name]
        assert 0 <= found["low"] <= found["mean"] <= found["high"] <= 1
    assert measured["reward_model"]["score_std"] == pytest.approx(1, abs=0.7)
    assert len(measured["examples"]) == 4
    assert [line.split("]")[0] for line in lines] == [f"[{n}/6" for n in range(1, 7)]


def test_complete_stages_are_skipped(built):
    folder, card, _ = built
    before = (folder.with_name("toy.work") / "sft" / "results.json").stat().st_mtime_ns
    lines = []
    again = build_bundle(
        RECIPE, SPLITS, VowelCount(), folder, command=card["command"], report=lines.append
    )
    assert all("skipped" in line for line in lines)
    assert again == card
    after = (folder.with_name("toy.work") / "sft" / "results.json").stat().st_mtime_ns
    assert before == after


def test_a_changed_recipe_builds_again_from_the_first_stage_it_touches(built, tmp_path):
    folder, card, _ = built
    work = tmp_path / "toy.work"
    shutil.copytree(folder.with_name("toy.work"), work)
    changed, lines = replace(RECIPE, reward_learning_rate=1e-4), []
    new = build_bundle(changed, SPLITS, VowelCount(), tmp_path / "toy", report=lines.append)
    assert "the recipe changed (reward_learning_rate)" in lines[0]
    assert ["skipped" in line for line in lines[1:]] == [True, True, True, False, False, False]
    assert new["supervised"] == card["supervised"]
    assert new["normalisation"] != card["normalisation"]


def test_a_reward_model_may_judge_every_token(built, tmp_path):
    folder, card, _ = built
    shutil.copytree(folder.with_name("toy.work"), tmp_path / "toy.work")
    summed = replace(RECIPE, reward_token_aggregate="sum")
    new = build_bundle(summed, SPLITS, VowelCount(), tmp_path / "toy")
    scale = read_score_scale(tmp_path / "toy" / "reward_model")
    assert (scale.token_aggregate, scale.bias) == ("sum", 0.0) and scale.gain > 0
    assert read_score_scale(folder / "reward_model").token_aggregate is None
    # What the card says of the exported model is what its own aggregate scores.
    trained = load_json(tmp_path / "toy.work" / "reward" / "results.json")
    accuracy = new["measured"]["reward_model"]["accuracy"]["mean"]
    assert accuracy == pytest.approx(trained["held_out"]["accuracy"]["mean"], abs=0.05)
    assert new["normalisation"]["bias"] == 0 and card["normalisation"]["bias"] != 0


def test_human_references_of_the_evaluation_are_measured(built, tmp_path):
    class Shouted(ToyPosts):
        def __getitem__(self, prompt_id):
            return replace(super().__getitem__(prompt_id), references=("aaaa",))

    folder, card, _ = built
    work = tmp_path / "toy.work"
    shutil.copytree(folder.with_name("toy.work"), work)
    (work / "seconds.json").write_text(
        '{"tokenizer":0,"sft":0,"comparisons":0,"reward":0,"export":0}'
    )
    sources = {**SPLITS, "evaluation": Shouted(3)}
    new = build_bundle(RECIPE, sources, VowelCount(), tmp_path / "toy")
    measured, before = (c["measured"]["reference_model"] for c in (new, card))
    assert measured["gold_human"]["mean"] == pytest.approx(0.8)  # " aaaa"
    assert before["gold_human"]["mean"] < 0.6
    assert measured["gold_sampled"] == before["gold_sampled"]


def test_two_people_are_compared_too(built, tmp_path):
    class Silent(ToyPosts):
        def __getitem__(self, prompt_id):
            return replace(super().__getitem__(prompt_id), references=("hmm",))

    folder, card, _ = built
    shutil.copytree(folder.with_name("toy.work"), tmp_path / "toy.work")
    recipe = replace(RECIPE, compare_people=True, teacher_temperature=1e-3, reward_epochs=0.1)
    recipe = replace(recipe, teacher_mistake_rate=0.0)
    new = build_bundle(recipe, {**SPLITS, "careful": Silent(0)}, VowelCount(), tmp_path / "toy")
    found = load_comparisons(tmp_path / "toy.work" / "comparisons")
    # Three samples and two people: ten pairs for each of 40 prompts, ties left out.
    assert len(found.pairs) + found.n_ties == 40 * 10
    people = [pair for pair in found.pairs if {pair.chosen, pair.rejected} & {" hmm"}]
    assert len(people) > 40
    both = [p for p in people if p.chosen.startswith(" my ")]
    assert len(both) >= 40 and all(p.rejected == " hmm" for p in both)
    # Held out are samples alone, and the unit is theirs.
    held = load_comparisons(tmp_path / "toy.work" / "held_out").pairs
    assert not any({pair.chosen, pair.rejected} & {" hmm"} for pair in held)
    assert new["comparisons"]["gold_std"] == card["comparisons"]["gold_std"]
    with pytest.raises(ValueError, match='needs a source "careful"'):
        build_bundle(recipe, SPLITS, VowelCount(), tmp_path / "none")


def test_stages_after_change():
    assert stages_after_change([]) == ()
    assert stages_after_change(["reward_epochs"]) == ("reward", "export", "measures")
    assert stages_after_change(["reward_epochs", "teacher_temperature"])[0] == "comparisons"
    assert stages_after_change(["reward_epochs", "seed"]) == STAGES


def test_too_few_prompts_are_refused(tmp_path):
    many = replace(RECIPE, n_sft_posts=400)
    with pytest.raises(ValueError, match="at least 472 training prompts, got 400"):
        build_bundle(many, SPLITS, VowelCount(), tmp_path / "x")
    many = replace(RECIPE, n_evaluation=390)
    with pytest.raises(ValueError, match="validation prompts, got 400"):
        build_bundle(many, SPLITS, VowelCount(), tmp_path / "x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_sft_posts", 0),
        ("n_evaluation", -1),
        ("responses_per_prompt", 1),
    ],
)
def test_recipe_names_the_bad_value(name, value):
    with pytest.raises(
        ValueError, match=f"{name} must be at least . got {value}|{name} .* {value}"
    ):
        replace(RECIPE, **{name: value})
