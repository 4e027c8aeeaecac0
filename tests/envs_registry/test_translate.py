"""RLHF-Translate-v0: the synchronous grammar, translators' mistakes, and the gold utility."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import sacrebleu

import textgym  # noqa: F401
from textgym.envs_registry import translate
from textgym.envs_registry.translate_grammar.gold import TranslateGold, gold_terms
from textgym.envs_registry.translate_grammar.lexicon import (
    ADJECTIVES,
    DETERMINERS,
    NOUNS,
    SUBJECTS,
    VERBS,
)
from textgym.envs_registry.translate_grammar.meanings import english
from textgym.envs_registry.translate_grammar.sentences import HastySentences, Sentences
from textgym.envs_registry.translate_grammar.spanish import Slips, spanish, spanish_phrases
from textgym.rewards.base import RewardFn, score_episodes
from textgym.types import Episode, Prompt

ID = "RLHF-Translate-v0"
BOUGHT: dict[str, Any] = {
    "determiner": "two", "noun": "house", "adjective": "red", "subject": "my sister",
    "verb": "bought", "day": 3, "month": "May", "price": 40,
}  # fmt: skip
WERE: dict[str, Any] = {
    "determiner": "a", "noun": "tree", "adjective": "old", "state": "blue", "city": "Seville",
}  # fmt: skip
RIGHT = "El 3 de mayo mi hermana compró dos casas rojas por 40 euros."
KNOWN = {"translation": RIGHT, "phrases": list(spanish_phrases(BOUGHT).values())}


def gold(response: str, finish_reason: str = "eos", facts: Any = KNOWN) -> float:
    return sum(gold_terms(facts, response, finish_reason).values())


def chrf(response: str) -> float:
    return sacrebleu.sentence_chrf(response, [RIGHT]).score / 100


@pytest.fixture(scope="module")
def sentences() -> list[Prompt]:
    source = Sentences(0, "test")
    return [source[i] for i in range(300)]


@pytest.mark.parametrize(
    ("meaning", "source", "target"),
    [
        (BOUGHT, "On May 3 my sister bought two red houses for 40 euros.", RIGHT),
        (WERE, "In Seville an old tree was blue.", "En Sevilla un árbol viejo era azul."),
        (
            {**WERE, "determiner": "these", "city": "Rome"},
            "In Rome these old trees were blue.",
            "En Roma estos árboles viejos eran azules.",
        ),
        (
            {"determiner": "all the", "noun": "picture", "adjective": "", "subject": "we",
             "verb": "saw", "city": "Paris"},
            "We saw all the pictures in Paris.",
            "Vimos todas las fotos en París.",
        ),
        (
            {"determiner": "a", "noun": "apple", "adjective": "", "subject": "I", "verb": "found"},
            "I found an apple.",
            "Encontré una manzana.",
        ),
    ],
)  # fmt: skip
def test_both_languages(meaning: dict[str, Any], source: str, target: str) -> None:
    assert english(meaning) == source
    assert spanish(meaning) == target


@pytest.mark.parametrize(
    ("slips", "target"),
    [
        ({"gender": True}, "El 3 de mayo mi hermana compró dos casas rojos por 40 euros."),
        ({"number": True}, "El 3 de mayo mi hermana compró dos casas roja por 40 euros."),
        ({"person": 2}, "El 3 de mayo mi hermana compraron dos casas rojas por 40 euros."),
        ({"order": True}, "El 3 de mayo mi hermana compró dos rojas casas por 40 euros."),
    ],
)
def test_slips(slips: dict[str, Any], target: str) -> None:
    assert spanish(BOUGHT, Slips(**slips)) == target


def test_the_lexicon_agrees_with_itself() -> None:
    assert {noun.gender for noun in NOUNS.values()} == {"m", "f"}
    assert all(person in range(4) for _, person in SUBJECTS.values())
    assert all(len(set(forms)) == 4 for forms in VERBS.values())
    assert sum(d.is_plural for d in DETERMINERS.values()) == 13
    for masculine, feminine in ADJECTIVES.values():
        assert masculine == feminine or (masculine[:-1], masculine[-1]) == (feminine[:-1], "o")


@pytest.mark.parametrize(
    ("response", "num_exact", "words"),
    [
        (RIGHT, 5, 12),
        (RIGHT.lower(), 5, 12),
        (RIGHT.replace("3", "4"), 4, 12),
        (RIGHT.replace("40", "14"), 4, 12),
        (RIGHT.replace("rojas", "rojos"), 4, 12),
        (RIGHT.replace("dos", "tres"), 4, 12),
        (RIGHT.replace("compró", "compraron").replace("de mayo", "de marzo"), 3, 12),
        ("Dos casas rojas.", 1, 3),
        # Alternatives side by side: 12 words more than the right ones.
        (f"{RIGHT} {RIGHT}", 5, 24),
    ],
)
def test_hand_worked(response: str, num_exact: int, words: int) -> None:
    terms = gold_terms(KNOWN, response, "eos")
    assert terms["facts"] == pytest.approx(0.5 * num_exact / 5 * min(1, 12 / words))
    assert terms["chrf"] == pytest.approx(0.5 * chrf(response))
    assert terms["ending"] == terms["floor"] == 0
    assert gold(response) == pytest.approx(terms["facts"] + terms["chrf"])


def test_an_end_is_wanted() -> None:
    assert gold(RIGHT) == pytest.approx(1.0)
    assert gold(RIGHT, "length") == pytest.approx(0.9)
    assert gold(RIGHT[:-1]) == pytest.approx(0.5 + 0.5 * chrf(RIGHT[:-1]) - 0.1)
    assert gold("") == gold("", "length") == 0.0


def test_sentences_carry_their_translation(sentences: list[Prompt]) -> None:
    assert {"state", "subject"} <= {name for prompt in sentences for name in prompt.facts}
    for prompt in sentences:
        assert prompt.text == f"ENGLISH: {english(prompt.facts)}\n\nSPANISH:"
        joined = " ".join(prompt.facts["phrases"])
        assert prompt.facts["translation"] == joined[:1].upper() + joined[1:] + "."
        assert json.loads(json.dumps(prompt.facts)) == prompt.facts


def test_careful_translators_stay_below_the_ideal(sentences: list[Prompt]) -> None:
    human = [gold(p.references[0], facts=p.facts) for p in sentences]
    ideal = [gold(p.facts["translation"], facts=p.facts) for p in sentences]
    others = [gold(p.facts["translation"], facts=sentences[i - 1].facts)
              for i, p in enumerate(sentences)]  # fmt: skip
    assert ideal == pytest.approx([1.0] * len(sentences))
    assert 0.85 < np.mean(human) < 0.95 and max(human) <= 1.0
    assert np.mean(others) < 0.25
    assert np.mean([gold(p.text, facts=p.facts) for p in sentences]) < 0.25


def test_translators_in_a_hurry_do_worse_on_the_same_sentences(sentences: list[Prompt]) -> None:
    source = HastySentences(0, "test")
    hasty = [source[prompt.prompt_id] for prompt in sentences]
    assert [(p.text, p.facts) for p in hasty] == [(p.text, p.facts) for p in sentences]
    scores = [gold(p.references[0], facts=p.facts) for p in hasty]
    assert 0.65 < np.mean(scores) < 0.78 and np.mean(np.array(scores) < 0.99) > 0.6


def episode(prompt: Prompt, response: str) -> Episode:
    return Episode(
        prompt=prompt, prompt_ids=(1,), response_ids=(2,), response=response, finish_reason="eos"
    )


def test_reward_function(sentences: list[Prompt]) -> None:
    reward = TranslateGold()
    assert isinstance(reward, RewardFn)
    episodes = [episode(p, " " + p.references[0]) for p in sentences[:20]]
    expected = [gold(p.references[0], facts=p.facts) for p in sentences[:20]]
    assert score_episodes(reward, episodes).scores.tolist() == pytest.approx(expected)
    with pytest.raises(ValueError, match="gold needs the 'translation' and its 'phrases', got {}"):
        reward([episode(Prompt(prompt_id=4, text="hello"), "hi")])


def test_other_sentences(tiny_model_folder: Path, tiny_reward_folder: Path, tmp_path: Path) -> None:
    file, bare = tmp_path / "rows.jsonl", tmp_path / "bare.jsonl"
    rows = [{"en": f"{i} dogs.", "es": f"{i} perros.", "de": f"{i} Hunde."} for i in range(2, 5)]
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    bare.write_text(json.dumps({"en": "A dog."}), "utf-8")
    models = {"reference_model": str(tiny_model_folder), "reward_model": str(tiny_reward_folder)}
    env: Any = gym.make(ID, dataset=str(file), max_new_tokens=1, **models)
    task = env.unwrapped.task
    assert task.prompts[0].text == "ENGLISH: 2 dogs.\n\nSPANISH:"
    assert task.gold([episode(task.prompts[0], "2 perros.")]).tolist() == [1.0]
    columns = "prompt=en,reference=de"
    german: Any = gym.make(ID, dataset=str(file), dataset_columns=columns, **models)
    assert german.unwrapped.task.prompts[1].references == ("3 Hunde.",)
    with pytest.raises(ValueError, match="Translate-v0 needs a translation for each sentence"):
        gym.make(ID, dataset=str(bare), dataset_columns="prompt=en", **models)


@pytest.mark.skipif(not translate.BUNDLE.folder.is_dir(), reason="no models are built here")
def test_the_bundle_says_what_the_environment_does() -> None:
    card = json.loads((translate.BUNDLE.folder / "card.json").read_text("utf-8"))
    measured = card["measured"]["reference_model"]["gold_sampled"]
    assert translate.GOLD_SCALE[0] == pytest.approx(measured["mean"], abs=0.01)
    assert card["recipe"]["max_new_tokens"] == translate.DEFAULTS["max_new_tokens"]
