"""Simulated people: who writes the reference stories, and what a perfect one would say.

People in a hurry forget what was asked, mistake the end, repeat themselves and write of the weather
that was to be avoided; a model that imitates them perfectly stays far from the best story. The
careful ones do so seldom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.story_plots.lexicon import ASIDES, ENDINGS, EVENTS, HEROES, WEATHERS

# What somebody in a hurry of 1 does; the careful have less.
FORGET = 0.25
WRONG_MOOD = 0.3
NO_ENDING = 0.15
WEATHER = 0.35
FORBIDDEN = 0.5
ASIDE = 0.25
REPEAT = 0.15
WRONG_HERO = 0.1

Scene = tuple[str, dict[str, str]]


def ideal_story(facts: Mapping[str, Any]) -> str:
    """The plainest story that meets every constraint; its gold utility is 1."""
    scenes: list[Scene] = [("find", {"thing": thing}) for thing in facts["things"]]
    scenes += [("meet", {"friend": facts["friend"]})] if "friend" in facts else []
    scenes += [("go", {"place": facts["place"]})] if "place" in facts else []
    return _told([*scenes, (facts["mood"], {})], [facts["name"]], None)


def reference_story(facts: Mapping[str, Any], rng: Draws, hurry: float) -> str:
    """What one person in a hurry, 0 to 1, wrote; no leading space, one to eight sentences."""
    scenes = _merged(_scenes(facts, rng, hurry), rng)
    if rng.random() < WEATHER:
        is_forbidden = "avoid" in facts and rng.random() < FORBIDDEN * hurry
        weather = facts["avoid"] if is_forbidden else pick(WEATHERS, rng)
        scenes.insert(int(rng.integers(len(scenes) + 1)), ("weather", {"weather": weather}))
    if rng.random() < ASIDE:
        scenes.insert(int(rng.integers(len(scenes) + 1)), (pick(ASIDES, rng), {}))
    if scenes and rng.random() < REPEAT * hurry:
        scenes.append(pick(scenes, rng))
    if not scenes or rng.random() >= NO_ENDING * hurry:
        moods = tuple(ENDINGS) if rng.random() < WRONG_MOOD * hurry else (facts["mood"],)
        scenes.append((pick(moods, rng), {}))
    name = pick(tuple(HEROES), rng) if rng.random() < WRONG_HERO * hurry else facts["name"]
    return _told(scenes, [name, HEROES[name]], rng)


def _scenes(facts: Mapping[str, Any], rng: Draws, hurry: float) -> list[Scene]:
    """One scene for each constraint that was not forgotten, in random order."""
    wanted: list[Scene] = [("find", {"thing": thing}) for thing in facts["things"]]
    wanted += [("meet", {"friend": facts["friend"]})] if "friend" in facts else []
    wanted += [("go", {"place": facts["place"]})] if "place" in facts else []
    kept = [scene for scene in wanted if rng.random() >= FORGET * hurry]
    return [kept.pop(int(rng.integers(len(kept)))) for _ in range(len(kept))]


_PAIRS = {("find", "go"): "find_at", ("meet", "go"): "meet_at", ("find", "meet"): "give"}


def _merged(scenes: list[Scene], rng: Draws) -> list[Scene]:
    """Tell two neighbouring scenes in one sentence, at random, where there is a wording for it."""
    if len(scenes) > 1 and rng.random() < 0.5:
        (first, words), (second, others) = scenes[:2]
        kind = _PAIRS.get((first, second)) or _PAIRS.get((second, first))
        if kind is not None:
            return [(kind, {**words, **others}), *scenes[2:]]
    return scenes


def _told(scenes: Sequence[Scene], heroes: Sequence[str], rng: Draws | None) -> str:
    """The scenes as sentences; the first wording and the name where there is no `rng`."""
    wordings = {**EVENTS, **ENDINGS}
    sentences: list[str] = []
    for kind, words in scenes:
        template = wordings[kind][0] if rng is None else pick(wordings[kind], rng)
        hero = heroes[0] if rng is None or not sentences else pick(heroes, rng)
        text = template.format(who=hero, **words)
        sentences.append(text[:1].upper() + text[1:] + ".")
    return " ".join(sentences)
