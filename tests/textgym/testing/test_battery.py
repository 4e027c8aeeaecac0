"""Every check passes what is right and fails what is wrong in the one way that it looks for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.textgym.testing import walks
from textgym.envs_registry import exact_kl
from textgym.envs_registry.exact_kl_solution import exact_solution
from textgym.envs_registry.qa_passages.gold import answer_utility
from textgym.testing import CHECKS, Case, check_env, check_gold_order, check_text_env, measure_gold
from textgym.testing.isolation import blocked_sockets
from textgym.testing.known_policies import table_sampler
from textgym.testing.run_checks import documented_keys, section_of

HERE = "tests.textgym.testing.walks"
CHECK = {check.__name__: check for checks in CHECKS.values() for check in checks}
# The check, the class that it must refuse, and what it says of it.
BROKEN = [
    ("check_offline", "ReachesOut", r"tried to reach \[.*127\.0\.0\.1"),
    ("check_libraries", "OutOfSpace", "observation|space"),
    ("check_libraries", "Warns", "expected no warning, got .*symmetric"),
    ("check_spec", "ForgetsItsSpec", "came back from JSON"),
    ("check_pickle", "LosesState", "unpickled"),
    ("check_rendering", "ShowsNothing", "'ansi' must give a text, got None"),
    ("check_seeding", "CountsResets", "the same seed and actions"),
    ("check_seeding", "SameStart", "seeds 0 to 7 all begin with"),
    ("check_spaces", "OutOfSpace", "is not in Box"),
    ("check_spaces", "ReusesItsArray", "changed after it was returned"),
    ("check_ends", "NeverEnds", "no episode ended within"),
    ("check_ends", "Truncates", "was truncated"),
    ("check_infos", "SaysMore", r"has \['secret'\], which no documentation names"),
    ("check_infos", "SaysLess", r"documented but never returned: \['gold_score'\]"),
    ("check_terms", "WrongTerms", r"sum to [01]\.0, not to the reward [01]\.5"),
    ("check_generators", "UsesGlobalDraws", "the global generator of Python was used"),
    ("check_generators", "ReadsGlobalState", "with another global seed"),
    ("check_vector_equals_single", "PaysOtherRows", "SameStep: step 0"),
    ("check_autoreset", "LosesFinalObservations", "the ended episode's observation is lost"),
    ("check_autoreset", "PaysWhileItResets", "the step that resets paid"),
    ("check_ppo_update", "PaysNothingKnown", "weights are not finite"),
]


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """Register every class of `walks`, vector ones with the right single one."""
    names = [
        name
        for name, each in inspect.getmembers(walks, inspect.isclass)
        if "Walk" in str(each.__mro__)
    ]
    for name in names:
        is_rows = issubclass(getattr(walks, name), gym.vector.VectorEnv)
        rows = name if is_rows else "WalkRows"
        has_own = is_rows or name == "Walk"
        gym.register(
            f"{name}-v0",
            entry_point=f"{HERE}:{'Walk' if is_rows else name}",
            vector_entry_point=f"{HERE}:{rows}" if has_own else None,
            kwargs={"sizes": (1, 2)} if name == "ForgetsItsSpec" else {},
        )
    yield
    for name in names:
        del gym.registry[f"{name}-v0"]


def case(name: str, family: str = "tag") -> Case:
    return Case(id=f"{name}-v0", family=family, num_steps=20)


@pytest.mark.parametrize("family", ["tag", "tabular", "control"])
def test_what_is_right_passes(family: str) -> None:
    check_env("Walk-v0", family, num_steps=20)
    check_gold_order(case("Walk", family))


@pytest.mark.parametrize(("check", "name", "message"), BROKEN)
def test_what_is_wrong_is_refused(check: str, name: str, message: str) -> None:
    CHECK[check](case("Walk"))
    # Gymnasium's and SB3's checks have their own words, PPO may stumble over NaN by itself.
    with pytest.raises((AssertionError, ValueError), match=re.compile(message, re.DOTALL)):
        CHECK[check](case(name))


def test_every_check_is_seen_to_fail() -> None:
    assert set(CHECK) == {check for check, *_ in BROKEN} | {"check_deferred"}


def test_a_world_may_be_truncated_and_a_text_may_not() -> None:
    CHECK["check_ends"](case("Truncates", "tabular"))
    with pytest.raises(AssertionError, match="was truncated"):
        CHECK["check_ends"](case("Truncates", "tag"))


class PaysLater(exact_kl.ExactKLVectorEnv):
    """Settles other rewards than it would have paid."""

    def settle_rewards(self) -> np.ndarray:
        """Add to them."""
        return super().settle_rewards() + 0.25


class LosesPrompt(exact_kl.ExactKLEnv):
    """Says nothing of the prompt."""

    def reset(self, **options: Any) -> Any:
        """Drop a key."""
        observation, info = super().reset(**options)
        del info["prompt"]
        return observation, info


@pytest.fixture
def token_case() -> Iterator[Case]:
    gym.register(
        "Broken-v0",
        entry_point=LosesPrompt,
        vector_entry_point=PaysLater,  # type: ignore[arg-type]
    )
    yield Case(id="Broken-v0", num_steps=20)
    del gym.registry["Broken-v0"]


def test_deferred_rewards_that_differ_are_refused(token_case: Case) -> None:
    for family in ("token", "tag"):
        assert CHECK["check_deferred"] in CHECKS[family]
        with pytest.raises(AssertionError, match="settled rewards differ from the steps' by 0.25"):
            CHECK["check_deferred"](replace(token_case, family=family))
        CHECK["check_deferred"](Case(id="Probe-ExactKL-v0", family=family, num_steps=20))


def test_tokens_must_be_able_to_defer_and_tags_may(token_case: Case) -> None:
    CHECK["check_deferred"](case("Walk", "tag"))
    with pytest.raises(TypeError, match="reward_timing"):
        CHECK["check_deferred"](case("Walk", "token"))


def test_a_key_that_is_missing_is_named(token_case: Case) -> None:
    with pytest.raises(AssertionError, match=r"an info lacks \['prompt'\]"):
        CHECK["check_infos"](token_case)


def test_a_policy_that_is_worse_than_chance_is_not_the_best() -> None:
    found = measure_gold(case("Walk"), 200)
    assert found.best_known is not None and found.best_known.mean == 1.0
    assert found.reference is None and 0.3 < found.random.mean < 0.7
    with pytest.raises(AssertionError, match="gold of best_known is 0.000 .*, of random"):
        check_gold_order(case("BestIsWorst"))
    with pytest.raises(AssertionError, match="has neither best_known_action"):
        check_gold_order(Case(id="CartPole-v1", family="control"), num_episodes=2)


def test_a_reference_that_is_worse_than_chance_is_refused() -> None:
    found = measure_gold(case("Guided"), 100)
    assert found.reference is not None and 0.5 < found.reference.mean < 1.0
    check_gold_order(case("Guided"), 100)
    with pytest.raises(AssertionError, match="gold of reference is .*, of random"):
        check_gold_order(case("Misguided"), 100)


def test_the_gold_order_is_one_of_the_checks_where_it_is_asked_for() -> None:
    check_env("BestIsWorst-v0", "tag", num_steps=20)
    with pytest.raises(AssertionError, match="gold of best_known is 0.000"):
        check_env("BestIsWorst-v0", "tag", num_steps=20, gold_episodes=64)
    check_text_env("Probe-Copy-v0", num_steps=20, gold_episodes=32)
    with pytest.raises(ValueError, match="gold_episodes must be at least 0, got -1"):
        check_env("Walk-v0", "tag", gold_episodes=-1)


def test_an_exact_solution_is_the_best_that_is_known() -> None:
    found = check_gold_order(Case(id="Probe-ExactKL-v0"), 400)
    assert found.best_known is not None and found.reference is None
    # The mean score of pi*, over the responses of the tables.
    env: Any = gym.make("Probe-ExactKL-v0").unwrapped
    chances, tables = {(): 1.0}, exact_kl.ExactKLTables(0, env.max_new_tokens)
    for state in tables.states:
        for token, chance in enumerate(env.solution.policy[state]):
            chances[(*state, token)] = chances[state] * float(chance)
    mean = sum(chances[response] * score for response, score in tables.scores.items())
    assert found.best_known.low <= mean <= found.best_known.high
    # With arguments that it is not known for, none is.
    assert measure_gold(Case(id="Probe-ExactKL-v0", kwargs={"kl_coef": 0.0}), 4).best_known is None


def test_a_table_is_sampled_as_often_as_it_says() -> None:
    envs = gym.make_vec("Probe-ExactKL-v0", num_envs=4000)
    table = exact_solution(envs).reference_policy
    envs.reset(seed=0)
    act = table_sampler(envs, table, seed=0)
    # The prompt and "a" (token 1); 6 in every empty cell.
    found = np.bincount(act(np.tile([0, 1, 6, 6, 6], (4000, 1))), minlength=6) / 4000
    np.testing.assert_allclose(found, table[1,], atol=0.03)


def test_what_people_wrote_is_judged_beside_a_better_policy() -> None:
    found = measure_gold(Case(id="RLHF-QA-v0", kwargs={"device": "cpu"}), 32)
    task: Any = gym.make("RLHF-QA-v0").unwrapped.task  # type: ignore[attr-defined]
    by_hand = [
        answer_utility(task.prompts[i].references[0], task.prompts[i].facts["answers"])
        for i in range(32)
    ]
    assert found.human is not None and found.human.mean == pytest.approx(np.mean(by_hand))
    assert found.best_known is not None and found.best_known.mean == 1.0 > found.human.mean
    # Where nothing better is known, they are the best that is.
    probe = measure_gold(Case(id="Probe-Copy-v0"), 8)
    assert probe.human is None and probe.best_known is not None


def test_one_call_runs_them_all() -> None:
    check_text_env("Probe-ExactKL-v0", num_steps=20)
    with pytest.raises(AssertionError, match="secret"):
        check_env("SaysMore-v0", "tag", num_steps=20)
    with pytest.raises(ValueError, match=r"family must be one of \('token', .*, got 'text'"):
        check_env("Walk-v0", "text")


def test_sockets_are_blocked_inside_only() -> None:
    with blocked_sockets() as tried:
        walks.ReachesOut().reset(seed=0)
    assert tried
    with blocked_sockets() as tried:
        walks.Walk().reset(seed=0)
    assert tried == []


def test_documented_keys_are_read_from_the_docstring() -> None:
    assert documented_keys(walks.Walk) == {"cell", "reward_terms", "gold_score"}  # not `slow`
    assert section_of("A line.\n\nInfo:\n    One `a`.\n\n    Two.\nData:\n    None.\n", "Info") == (
        "One `a`.\n\nTwo."
    )
    assert section_of("A line.", "Info") == ""
