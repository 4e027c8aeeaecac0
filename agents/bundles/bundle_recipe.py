"""Everything that decides what a bundle of models is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textgym.agents.bundles.comparisons import Sampling
from textgym.agents.bundles.teacher import FallibleTeacher

STAGES = ("tokenizer", "sft", "comparisons", "reward", "export", "measures")

# The first stage that a field decides; a field that is not listed decides the first of all.
_FIRST_STAGE = {
    "model": "sft",
    "sft_epochs": "sft",
    "sft_batch_tokens": "sft",
    "sft_learning_rate": "sft",
    "sft_loss_on": "sft",
    "sft_optimizer": "sft",
    "max_prompt_tokens": "sft",
    "max_new_tokens": "sft",
    "max_reply_tokens": "sft",
    "others": "sft",
    "n_sft_posts": "sft",
    "n_comparison_prompts": "comparisons",
    "responses_per_prompt": "comparisons",
    "compare_people": "comparisons",
    "teacher_temperature": "comparisons",
    "teacher_mistake_rate": "comparisons",
    "n_held_out_prompts": "sft",
    "n_evaluation": "sft",
    "reward_epochs": "reward",
    "reward_batch_tokens": "reward",
    "reward_learning_rate": "reward",
    "reward_optimizer": "reward",
    "reward_token_aggregate": "reward",
    "n_normalisation": "reward",
}


def stages_after_change(fields: Iterable[str]) -> tuple[str, ...]:
    """Stages that must be built again after some fields of a recipe changed, in their order."""
    first = [STAGES.index(_FIRST_STAGE.get(name, STAGES[0])) for name in fields]
    return STAGES[min(first) :] if first else ()


@dataclass(frozen=True, kw_only=True)
class BundleRecipe:
    """Everything that decides what a bundle is.

    Attributes:
        env_id: The environment that the bundle belongs to.
        data_seed: Seed of the prompts.
        seed: Seed of weights, samples and judgements.
        vocab_size: Ids of the tokenizer.
        symbols: Texts that are one token each, separated by spaces, possibly none.
        model: A fresh model, as in `SFTConfig.model`.
        max_prompt_tokens: Longer prompts lose their beginning.
        max_new_tokens: Longest response; where the environment answers, most actions.
        max_reply_tokens: Most tokens that the environment answers in an episode. Above 0, responses
            are played in it instead of being sampled on end.
        others: A regular expression of what the environment says inside human references, "" where
            they hold none of it: context, never learned; see `TextPair.others`.
        n_tokenizer_posts: Prompts that the tokenizer is trained on.
        n_sft_posts: Prompts, with their human references, for supervised fine-tuning.
        sft_epochs: Passes over them.
        sft_batch_tokens: Padded tokens per optimiser step.
        sft_learning_rate: Highest rate.
        sft_loss_on: "response" or "all".
        sft_optimizer: "adamw", or "muon", by which small models learn to copy from prompts out of
            fewer items; see `OptimizerConfig`.
        n_comparison_prompts: Prompts whose sampled responses are compared.
        responses_per_prompt: Samples for each, all compared with each other; at least 2.
        compare_people: Compare each prompt's samples also with what two people wrote: the one whom
            the reference model imitates, and the careful one whom it is measured against (the
            sources "train" and "careful" of `build_bundle`).
        teacher_temperature: See `FallibleTeacher`.
        teacher_mistake_rate: See `FallibleTeacher`.
        reward_epochs: Passes over the comparisons.
        reward_batch_tokens: Padded tokens per optimiser step.
        reward_learning_rate: Highest rate.
        reward_optimizer: See `sft_optimizer`.
        reward_token_aggregate: "sum" or "mean": every response token is judged and the score is
            their sum or mean, which small models learn from far fewer comparisons; None reads the
            last token.
        n_normalisation: Fresh reference samples for the reward model's mean and deviation.
        n_held_out_prompts: Validation prompts for held-out comparisons.
        n_evaluation: Validation prompts on which the reference model is measured.
    """

    env_id: str
    data_seed: int = 0
    seed: int = 0
    vocab_size: int = 1000
    symbols: str = ""
    model: str = "scratch:llama,layers=5,width=128,heads=4,mlp=352,positions=512"
    max_prompt_tokens: int = 192
    max_new_tokens: int = 48
    max_reply_tokens: int = 0
    others: str = ""
    n_tokenizer_posts: int = 20_000
    n_sft_posts: int = 60_000
    sft_epochs: float = 1.0
    sft_batch_tokens: int = 4096
    sft_learning_rate: float = 2e-3
    sft_loss_on: str = "response"
    sft_optimizer: str = "adamw"
    n_comparison_prompts: int = 12_000
    responses_per_prompt: int = 2
    compare_people: bool = False
    teacher_temperature: float = 0.25
    teacher_mistake_rate: float = 0.02
    reward_epochs: float = 1.0
    reward_batch_tokens: int = 4096
    reward_learning_rate: float = 5e-4
    reward_optimizer: str = "adamw"
    reward_token_aggregate: str | None = None
    n_normalisation: int = 2048
    n_held_out_prompts: int = 1500
    n_evaluation: int = 1024

    def __post_init__(self) -> None:
        """Reject counts below 1 and fewer than two responses to compare."""
        counts = [n for n, v in vars(self).items() if n.startswith("n_") and v < 1]
        if counts:
            raise ValueError(f"{counts[0]} must be at least 1, got {vars(self)[counts[0]]!r}")
        if self.responses_per_prompt < 2:
            raise ValueError(
                f"responses_per_prompt must be at least 2, got {self.responses_per_prompt!r}"
            )

    @property
    def max_response_tokens(self) -> int:
        """Longest text behind a prompt, the environment's answers included."""
        return self.max_new_tokens + self.max_reply_tokens

    @property
    def sampling(self) -> Sampling:
        """How responses are drawn from the reference model."""
        return Sampling(
            max_prompt_tokens=self.max_prompt_tokens,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
        )

    @property
    def teacher(self) -> FallibleTeacher:
        """The simulated labeller."""
        return FallibleTeacher(
            temperature=self.teacher_temperature, mistake_rate=self.teacher_mistake_rate
        )
