"""What a reward model with a tokenizer of its own gets to read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from textgym.agents.supervised.preference_data import load_preferences
from textgym.file_prompts import FilePrompts
from textgym.prompt_choice import PromptChooser, PromptEncoder
from textgym.prompts import PromptList, TemplatePrompts
from textgym.rewards.foreign_prompts import ForeignPrompts
from textgym.rewards.learned import RewardModel
from textgym.tokenizer import TextTokenizer, load_tokenizer
from textgym.types import Episode, Prompt

CHAT = [
    {"role": "user", "content": "my dog\nwas rude"},
    {"role": "assistant", "content": "go home"},
    {"role": "user", "content": "why"},
]
POLICY_FORM = "<|im_start|>{role}\n{content}<|im_end|>\n"
OWN_FORM = "[{role}] {content}\n"


def template(form: str, opening: str) -> str:
    turn = form.replace("{role}", "{{ m.role }}").replace("{content}", "{{ m.content }}")
    return (
        f"{{% for m in messages %}}{turn}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{opening}{{% endif %}}"
    )


def with_template(source: Path, folder: Path, form: str, opening: str, special: list[str]) -> Path:
    """Copy a tokenizer and give the copy a chat template and its special tokens."""
    shutil.copytree(source, folder)
    hf = load_tokenizer(folder).hf
    hf.add_special_tokens({"additional_special_tokens": special})
    hf.chat_template = template(form, opening)
    hf.save_pretrained(folder)
    (folder / "tokenizer.model").unlink()  # has no such tokens
    return folder


@pytest.fixture
def policy(tiny_tokenizer_folder: Path, tmp_path: Path) -> TextTokenizer:
    """A tokenizer with the template and the special tokens of a published chat model."""
    special = ["<|im_start|>", "<|im_end|>"]
    folder = with_template(
        tiny_tokenizer_folder,
        tmp_path / "policy",
        POLICY_FORM,
        "<|im_start|>assistant\n",
        special,
    )
    tokenizer = load_tokenizer(folder)
    assert isinstance(tokenizer, TextTokenizer)
    return tokenizer


@pytest.fixture
def judge(tiny_tokenizer_folder: Path, tmp_path: Path) -> TextTokenizer:
    """Another tokenizer with a template of its own."""
    folder = with_template(tiny_tokenizer_folder, tmp_path / "judge", OWN_FORM, "[assistant] ", [])
    tokenizer = load_tokenizer(folder)
    assert isinstance(tokenizer, TextTokenizer)
    return tokenizer


def played(prompt: Prompt, tokenizer: TextTokenizer, response: str, limit: int = 500) -> Episode:
    return Episode(
        prompt=prompt,
        prompt_ids=tuple(PromptEncoder(tokenizer, limit, "truncate").encode(prompt)),
        response_ids=tuple(tokenizer.encode(response)),
        response=response,
        finish_reason="length",
    )


def conversation(tokenizer: TextTokenizer) -> Prompt:
    (prompt,) = PromptChooser(PromptList(["a"]), tokenizer).chosen({"prompt": CHAT}, 1)
    assert prompt is not None
    return prompt


def test_a_conversation_is_read_in_the_judges_own_template(policy, judge) -> None:
    prompt = conversation(policy)
    assert prompt.text.startswith("<|im_start|>user\nmy dog\nwas rude<|im_end|>\n")
    seen = ForeignPrompts(policy, judge).texts(played(prompt, policy, " because \n"))
    assert seen == (
        "[user] my dog\nwas rude\n[assistant] go home\n[user] why\n[assistant] ",
        "because",
    )


def test_a_judge_without_a_template_reads_the_plain_form(policy, tiny_tokenizer_folder) -> None:
    plain = load_tokenizer(tiny_tokenizer_folder)
    seen = ForeignPrompts(policy, plain).texts(played(conversation(policy), policy, "because"))
    assert seen == (
        "\n\nHuman: my dog\nwas rude\n\nAssistant: go home\n\nHuman: why\n\nAssistant:",
        " because",
    )


def test_what_the_judge_reads_is_what_it_was_trained_on(policy, judge, tmp_path: Path) -> None:
    """A dialogue of a file, through a policy with a template or without, and through training."""
    dialogue = "\n\nHuman: the dog\n\nAssistant: nice\n\nHuman: why\n\nAssistant:"
    file = tmp_path / "dialogues.jsonl"
    rows = [{"chosen": f"{dialogue} go home", "rejected": f"{dialogue} rude"}]
    file.write_text(json.dumps(rows[0]) + "\n", encoding="utf-8")
    (pair,) = load_preferences(file, render_chat=judge.render_chat).pairs
    plain = load_tokenizer(tmp_path / "policy")
    plain_policy = TextTokenizer(plain.path)
    plain_policy.hf.chat_template = None
    for tokenizer, render_chat, response in (
        (policy, policy.render_chat, "go home"),
        (plain_policy, None, " go home"),
    ):
        (prompt,) = FilePrompts(file, render_chat=render_chat)
        seen = ForeignPrompts(tokenizer, judge).texts(played(prompt, tokenizer, response))
        assert seen == (pair.prompt, pair.chosen)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ("was rude<|im_end|>\n", "[user] was rude\n[assistant] go home\n[user] why\n[assistant] "),
        ("<|im_start|>assistant\n", "[user] why\n[assistant] "),
    ],
)
def test_of_a_cut_conversation_the_rest_is_rendered(policy, judge, left, expected) -> None:
    prompt = conversation(policy)
    shown = prompt.text[prompt.text.index(left) :]
    episode = played(prompt, policy, "because", limit=len(policy.encode(shown)))
    assert policy.decode(episode.prompt_ids, skip_special_tokens=False).endswith(shown)
    assert ForeignPrompts(policy, judge).texts(episode)[0] == expected


def test_rendered_text_keeps_the_special_tokens_that_both_have(policy, judge) -> None:
    judge.hf.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    prompt = Prompt(prompt_id=0, text="<|im_start|>user\nwhy<|im_end|>\n")
    seen = ForeignPrompts(policy, judge).texts(played(prompt, policy, " x"))
    assert seen == ("user\nwhy<|im_end|>\n", " x")


def test_a_template_around_a_conversation_makes_it_text(policy, judge) -> None:
    source = TemplatePrompts(PromptList([conversation(policy)]), "Reply kindly.\n{prompt}")
    prompt, _ = ForeignPrompts(policy, judge).texts(played(source[0], policy, "x"))
    assert prompt.startswith("Reply kindly.\nuser\nmy dog")


def test_the_reward_model_scores_these_ids(policy, judge, tiny_reward_folder: Path) -> None:
    reward = RewardModel(tiny_reward_folder, policy, "cpu", reward_tokenizer=judge)
    assert not reward.shares_tokenizer
    episode = played(conversation(policy), policy, "because")
    prompt, response = ForeignPrompts(policy, judge).texts(episode)
    ids = [*judge.encode(prompt), *judge.encode(response)]
    assert reward.ids_of(episode) == ids
    assert reward([episode]) == pytest.approx(reward.scorer.score_ids([ids]))
