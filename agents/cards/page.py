"""A card and the gallery as Markdown, from facts and figures alone."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

from textgym.agents.benchmark.plan import OBJECTIVE
from textgym.agents.benchmark.results import COLUMNS, is_solved
from textgym.agents.benchmark.thresholds import threshold_of
from textgym.agents.cards.facts import CardFacts
from textgym.agents.cards.figures import Figures
from textgym.envs_registry.specs import SUITES
from textgym.intervals import Estimate, mean_interval

NOTE = "<!-- Written by `textgym cards`; what is changed here is lost. -->"
SUITE_TITLES = {
    "RLHF": "Tasks",
    "PROBES": "Probes: tiny, the optimum known, each isolates one fault of an algorithm",
    "TEACHING": "Small worlds to learn the field with",
}
POLICIES = {
    "random": "Random",
    "reference": "Reference",
    "human": "Human reference",
    "best_known": "Best known",
    "trained": "Trained",
}
EXACT_HEAD = f"{OBJECTIVE}, the mean score less `kl_coef` times the KL from the reference, exactly"
LONGEST = 600  # characters of a text that is shown
MOST_ACTIONS = 40
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def card(facts: CardFacts, figures: Figures | None) -> str:
    """Return the page of one environment."""
    end = "" if facts.row.summary[-1] in "?!." else "."
    parts = [f"# {facts.row.id}", NOTE, f"{facts.row.summary}{end}", _made_by(facts)]
    parts += [f"## {name}\n\n{text}" for name, text in facts.sections.items() if text]
    parts.append(f"Licence of the data: {facts.licence}.")
    if facts.samples:
        title = "Prompts" if facts.row.family == "token" else "How it begins"
        parts.append(f"## {title}\n\n" + "\n\n".join(_fenced(text) for text in facts.samples))
    parts.append("## Scores\n\n" + _scores(facts, figures))
    if figures is not None:
        parts.append(_rollouts(figures))
    return "\n\n".join(parts) + "\n"


def gallery(cards: Sequence[tuple[CardFacts, Figures | None]]) -> str:
    """Return the page that lists the cards, a table for each suite."""
    parts = ["# Environments", NOTE]
    for suite in SUITES:
        found = [pair for pair in cards if pair[0].row.suite == suite]
        if not found:
            continue
        numbers = [_estimates(figures) for _, figures in found]
        # People write of tasks only: elsewhere their column would be empty.
        shown = [name for name in POLICIES if name != "human" or any(n[name] for n in numbers)]
        head = ["environment", "what", *(POLICIES[name].lower() for name in shown)]
        rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for (facts, _), estimates in zip(found, numbers, strict=True):
            cells = " | ".join(_short(estimates[name]) for name in shown)
            name = facts.row.id
            rows.append(f"| [{name}]({name}.md) | {facts.row.summary} | {cells} |")
        parts.append(f"## {SUITE_TITLES[suite]}\n\n" + "\n".join(rows))
    parts.append(
        "Means of gold (of worlds: of the return) with 95 % intervals, on held-out prompts; each "
        "card has the commands. Of Probe-ExactKL-v0 it is J, the mean score less the KL term, "
        "exactly: what was trained is judged by how little of J* - J_ref it lacks."
    )
    return "\n\n".join(parts) + "\n"


def _made_by(facts: CardFacts) -> str:
    row = facts.row
    lines = [f'gym.make("{row.id}")', f'gym.make_vec("{row.id}", num_envs=64)']
    if row.needs:
        arguments = ", ".join(f"{name}=..." for name in row.needs)
        lines = [f'gym.make("{row.id}", {arguments})']
    facts_of_it = [f"family: {row.family}", f"suite: {row.suite}"]
    for name, space in zip(("observations", "actions"), facts.spaces, strict=False):
        facts_of_it.append(f"{name}: `{space}`")
    return "```python\n" + "\n".join(lines) + "\n```\n\n" + "; ".join(facts_of_it) + "."


def _scores(facts: CardFacts, figures: Figures | None) -> str:
    solved = _solved(facts)
    if figures is None:
        return f"{solved} Not measured yet."
    is_exact = figures["metric"] == OBJECTIVE
    head = EXACT_HEAD if is_exact else f"mean {figures['metric']} [95 % interval]"
    rows = [f"| policy | {head} |", "|---|---|"]
    for name, estimate in _estimates(figures).items():
        if estimate is not None:
            count = "" if is_exact else f" ({estimate.count} episodes)"
            count = _counted(len(figures["runs"])) if name == "trained" else count
            shown = f"{estimate.mean:.4f}" if is_exact else str(estimate)
            rows.append(f"| {POLICIES[name].lower()}{count} | {shown} |")
    text = f"{solved}\n\n" + "\n".join(rows)
    if figures["runs"]:
        runs = [_run(facts.row.id, run, figures) for run in figures["runs"]]
        text += "\n\n" + "\n".join(runs)
    count = figures["random"]["count"]
    command = f"textgym benchmark --envs {facts.row.id} --seeds 0"
    command += "" if is_exact else f" --eval-prompts {count}"
    return (
        f"{text}\n\nWhat is known without training: `{command}`. Measured with version "
        f"{figures['version']}."
    )


def _counted(num_runs: int) -> str:
    return " (1 run)" if num_runs == 1 else f" ({num_runs} runs)"


def _solved(facts: CardFacts) -> str:
    """Say what counts as solved, as `is_solved` has it."""
    row = facts.row
    if row.needs:
        return "What counts as solved is up to the data and the models that the arguments name."
    if row.reward_threshold is not None:
        return f"Solved: a mean of at least {row.reward_threshold:g} (`reward_threshold`)."
    if "Solved:" in facts.sections["Description"]:
        threshold = threshold_of(row.id)
        mean = "" if threshold is None else f": here a mean of at least {threshold:.3f}"
        return f"What counts as solved stands in the description{mean}."
    return "Solved: more gold than the reference, by 95 % intervals that do not touch."


def _run(env_id: str, run: dict[str, Any], figures: Figures) -> str:
    estimate, exact = Estimate(**run["trained"]), run.get("exact")
    found = str(estimate)
    if figures["metric"] == OBJECTIVE:
        regret = figures["best_known"]["mean"] - estimate.mean
        found = f"{OBJECTIVE} {estimate.mean:.4f}, regret {regret:.4f}"
    mark = f", {exact['measure']} {exact['found']:.3f}" if exact else ""
    reference = figures["reference"]
    solved = is_solved(env_id, run, None if reference is None else Estimate(**reference))
    if solved is not None:
        mark += ", solved" if solved else ", not solved"
    labels = f"{run['labels']:,} labels, " if "labels" in run else ""
    return (
        f"- `{run['command']}`: {found}{mark}, {labels}{run['steps']:,} steps in "
        f"{run['minutes']:.1f} minutes"
    )


def _estimates(figures: Figures | None) -> dict[str, Estimate | None]:
    """Return the estimate of each of `POLICIES`; of several runs, over the runs."""
    if figures is None:
        return dict.fromkeys(POLICIES)
    found: dict[str, Estimate | None] = {
        name: None if figures.get(name) is None else Estimate(**figures[name]) for name in COLUMNS
    }
    runs = [Estimate(**run["trained"]) for run in figures["runs"]]
    trained = runs[0] if len(runs) == 1 else None
    if len(runs) > 1:
        trained = mean_interval([run.mean for run in runs])
    return {**found, "trained": trained}


def _short(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.mean:.2f} ± {estimate.half_width:.2f}"


def _rollouts(figures: Figures) -> str:
    parts = ["## Rollouts"]
    for name, title in POLICIES.items():
        episodes = figures["rollouts"].get(name)
        if episodes:
            shown = "\n\n".join(_fenced(_episode(episode)) for episode in episodes)
            parts.append(f"### {title}\n\n{shown}")
    return "\n\n".join(parts)


def _episode(episode: dict[str, Any]) -> str:
    names = ("gold_score", "score", "return")
    numbers = [f"{n} {episode[n]:.3f}" for n in names if episode.get(n) is not None]
    if "response" in episode:
        return "\n".join([episode["response"].strip() or "(nothing)", f"-- {', '.join(numbers)}"])
    actions = " ".join(map(str, episode["actions"][:MOST_ACTIONS]))
    more = " …" if len(episode["actions"]) > MOST_ACTIONS else ""
    return "\n".join(
        [episode["last"].strip(), f"actions: {actions}{more}", f"-- {', '.join(numbers)}"]
    )


def _fenced(text: str) -> str:
    cut = textwrap.shorten(text, LONGEST) if len(text) > LONGEST and "\n" not in text else text
    return "````text\n" + _visible(cut).rstrip() + "\n````"


def _visible(text: str) -> str:
    """Drop colour codes and whatever else cannot be shown."""
    lines = text.replace("\r", "").split("\n")
    shown = [_printable(line).rstrip() for line in lines]
    return "\n".join(shown)


def _printable(line: str) -> str:
    return "".join(c for c in _ANSI.sub("", line) if c.isprintable() or c == "\t")
