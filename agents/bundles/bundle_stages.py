"""The stages of a bundle's building, each of which fills its part of a work folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from textgym.agents.bundles.bundle_card import folder_bytes
from textgym.agents.bundles.bundle_measures import Measured, measure_bundle
from textgym.agents.bundles.bundle_recipe import BundleRecipe
from textgym.agents.bundles.comparisons import (
    Comparisons,
    judged_comparisons,
    load_comparisons,
    save_comparisons,
)
from textgym.agents.bundles.episode_sources import (
    EpisodeSource,
    PlayedResponses,
    SampledResponses,
)
from textgym.agents.storage.checkpoint import load_json, open_folder, save_folder, save_json
from textgym.agents.supervised.model_files import save_language_model
from textgym.agents.supervised.reward_training import RewardTrainingConfig, train_reward_model
from textgym.agents.supervised.sft import SFTConfig, train_sft
from textgym.agents.supervised.text_data import TextPair, pairs_from_prompts, symbol_pair
from textgym.models.loading import resolve_device
from textgym.models.reward_model import ScoreScale, write_score_scale
from textgym.prompts import PromptSource
from textgym.rewards.base import RewardFn, score_episodes
from textgym.tokenizer import load_tokenizer, train_sentencepiece
from textgym.types import Episode, Prompt

MAX_BYTES = 6_000_000
REFERENCE_MODEL, REWARD_MODEL = "reference_model", "reward_model"


class BundleStages:
    """The stages of one build; each reads what those before it left in the work folder."""

    def __init__(
        self,
        recipe: BundleRecipe,
        prompts_by_split: Mapping[str, PromptSource],
        gold: RewardFn,
        work: Path,
        progress: bool,
    ) -> None:
        """Check that there are prompts enough; the arguments are those of `build_bundle`."""
        self.recipe, self.gold, self.work = recipe, gold, work
        self.train, self.validation = prompts_by_split["train"], prompts_by_split["validation"]
        self.evaluation = prompts_by_split.get("evaluation", self.validation)
        self.progress = progress
        self.source: EpisodeSource = SampledResponses(progress=progress)
        if recipe.max_reply_tokens:
            self.source = PlayedResponses(
                env_id=recipe.env_id,
                data_seed=recipe.data_seed,
                response_start=" " if recipe.others else "",
                others=recipe.others,
            )
        if recipe.compare_people and "careful" not in prompts_by_split:
            raise ValueError(
                'compare_people needs a source "careful" beside "train", got only '
                f"{sorted(prompts_by_split)}"
            )
        self.careful = prompts_by_split.get("careful", self.train)
        needed = recipe.n_sft_posts + recipe.n_comparison_prompts + recipe.n_normalisation
        if len(self.train) < needed:
            raise ValueError(f"expected at least {needed} training prompts, got {len(self.train)}")
        self.n_held_out_pairs = min(500, max(20, recipe.n_sft_posts // 50))
        needed = recipe.n_evaluation + recipe.n_held_out_prompts + self.n_held_out_pairs
        if len(self.validation) < needed:
            raise ValueError(
                f"expected at least {needed} validation prompts, got {len(self.validation)}"
            )

    def make_tokenizer(self) -> None:
        """Train the SentencePiece model on prompts with their references."""
        prompts = [
            self.train[i] for i in range(min(len(self.train), self.recipe.n_tokenizer_posts))
        ]
        texts = [f"{p.text} {reference}" for p in prompts for reference in p.references]
        size, symbols = self.recipe.vocab_size, self.recipe.symbols.split()
        save_folder(self.work / "tokenizer", lambda f: train_sentencepiece(texts, f, size, symbols))

    def fine_tune(self) -> None:
        """Teach a fresh model what people wrote: the reference model."""
        recipe = self.recipe
        config = SFTConfig(
            model=recipe.model,
            tokenizer=str(self.work / "tokenizer"),
            max_prompt_tokens=recipe.max_prompt_tokens,
            max_response_tokens=recipe.max_response_tokens,
            loss_on=recipe.sft_loss_on,
            optimizer=recipe.sft_optimizer,
            epochs=recipe.sft_epochs,
            batch_tokens=recipe.sft_batch_tokens,
            learning_rate=recipe.sft_learning_rate,
            eval_every=500,
            seed=recipe.seed,
        )
        last = recipe.n_evaluation + recipe.n_held_out_prompts
        train_sft(
            config,
            self._pairs(self.train, range(recipe.n_sft_posts)),
            self._pairs(self.validation, range(last, last + self.n_held_out_pairs)),
            output=self.work / "sft",
            progress=self.progress,
        )

    def _pairs(self, source: PromptSource, ids: range) -> list[TextPair]:
        if self.source.response_start:
            return pairs_from_prompts(source, ids, others=self.recipe.others)
        symbols = self.recipe.symbols.split()
        prompts = [source[i] for i in ids]
        return [symbol_pair(p.text, told, symbols) for p in prompts for told in p.references]

    def compare(self) -> None:
        """Let the teacher compare sampled responses, those to train on and those held out."""
        recipe = self.recipe
        first = recipe.n_sft_posts
        ids = range(first, first + recipe.n_comparison_prompts)
        prompts = [self.train[i] for i in ids]
        people = [self.train, self.careful] if recipe.compare_people else []
        written = [person[i] for person in people for i in ids]
        held = [self.validation[recipe.n_evaluation + i] for i in range(recipe.n_held_out_prompts)]
        found = self._comparisons(prompts, "train", recipe.seed + 1, None, written)
        save_folder(self.work / "comparisons", lambda f: save_comparisons(f, found))
        # The unit of the teacher's temperature is the same for both sets.
        held_out = self._comparisons(held, "validation", recipe.seed + 2, found.gold_std)
        save_folder(self.work / "held_out", lambda f: save_comparisons(f, held_out))

    def _comparisons(
        self,
        prompts: Sequence[Prompt],
        split: str,
        seed: int,
        gold_std: float | None,
        written: Sequence[Prompt] = (),
    ) -> Comparisons:
        """Compare a prompt's sampled responses with each other and with what people wrote."""
        recipe, tokenizer = self.recipe, load_tokenizer(self._reference)
        episodes = self.source.sampled(
            self._reference,
            [prompt for prompt in prompts for _ in range(recipe.responses_per_prompt)],
            replace(recipe.sampling, seed=seed),
            split,
            "responses to compare",
        )
        if gold_std is None:  # the unit is the samples', whoever they are compared with
            gold_std = float(score_episodes(self.gold, episodes).scores.astype(np.float64).std())
        episodes += [self.source.human(p, tokenizer, recipe.sampling) for p in written]
        return judged_comparisons(episodes, self.gold, recipe.teacher, gold_std=gold_std, seed=seed)

    @property
    def _reference(self) -> Path:
        return self.work / "sft" / "model"

    def learn_reward(self) -> None:
        """Train the reward model on the comparisons."""
        recipe = self.recipe
        config = RewardTrainingConfig(
            model=str(self.work / "sft" / "model"),
            max_prompt_tokens=recipe.max_prompt_tokens,
            max_response_tokens=recipe.max_response_tokens,
            epochs=recipe.reward_epochs,
            batch_tokens=recipe.reward_batch_tokens,
            learning_rate=recipe.reward_learning_rate,
            optimizer=recipe.reward_optimizer,
            token_aggregate=recipe.reward_token_aggregate,
            reference_model=str(self.work / "sft" / "model"),
            n_normalisation=recipe.n_normalisation,
            eval_every=500,
            seed=recipe.seed,
        )
        is_played = bool(recipe.max_reply_tokens)
        fresh = self._fresh_samples() if is_played or not recipe.reward_token_aggregate else []
        train_reward_model(
            config,
            load_comparisons(self.work / "comparisons").pairs,
            load_comparisons(self.work / "held_out").pairs,
            output=self.work / "reward",
            normalise_on=[e.prompt_ids + e.response_ids for e in fresh] or None,
            response_starts=[len(e.prompt_ids) for e in fresh],
            progress=self.progress,
        )

    def _fresh_samples(self) -> list[Episode]:
        """Episodes to normalise on, from prompts that nothing was trained on."""
        recipe = self.recipe
        first = recipe.n_sft_posts + recipe.n_comparison_prompts
        return self.source.sampled(
            self._reference,
            [self.train[first + i] for i in range(recipe.n_normalisation)],
            replace(recipe.sampling, seed=recipe.seed + 3),
            "train",
            "samples to normalise on",
        )

    def export(self) -> None:
        """Round both models to float16."""
        tokenizer = load_tokenizer(self.work / "tokenizer")
        numbers = load_json(self.work / "reward" / "results.json")
        kinds = {
            REFERENCE_MODEL: ("sft", AutoModelForCausalLM),
            REWARD_MODEL: ("reward", AutoModelForSequenceClassification),
        }

        def write(folder: Path) -> None:
            for name, (stage, kind) in kinds.items():
                source = open_folder(self.work / stage / "model")
                model = kind.from_pretrained(
                    source, dtype=torch.float32, local_files_only=True, use_safetensors=True
                )
                (folder / name).mkdir()
                save_language_model(model, tokenizer, folder / name, torch.float16)
            scale = ScoreScale(
                gain=numbers["gain"],
                bias=numbers["bias"],
                token_aggregate=self.recipe.reward_token_aggregate,
            )
            write_score_scale(folder / REWARD_MODEL, scale)

        save_folder(self.work / "export", write)
        size = folder_bytes(self.work / "export")
        if size > MAX_BYTES:
            raise ValueError(
                f"a bundle may have {MAX_BYTES} bytes, got {size}; choose a smaller model"
            )

    def measure(self) -> None:
        """Measure what was exported, weights rounded, on prompts that nothing was trained on."""
        exported = open_folder(self.work / "export")
        prompts = [self.evaluation[i] for i in range(self.recipe.n_evaluation)]
        measured: Measured = measure_bundle(
            exported / REFERENCE_MODEL,
            exported / REWARD_MODEL,
            prompts,
            load_comparisons(self.work / "held_out"),
            self.gold,
            replace(self.recipe.sampling, seed=self.recipe.seed + 4),
            self.source,
            device=resolve_device("auto"),
        )
        save_json(self.work / "measures.json", measured)
