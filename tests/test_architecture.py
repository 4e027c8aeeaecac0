"""The structure that docs/architecture.md promises: layers, sizes, and a light `import textgym`."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "textgym": "textgym",
    "textgym.agents": "agents",
    "textgym.envs_registry": "envs_registry",
}

# Lower never imports higher; within one line a module may import its neighbours, without cycles.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("textgym.types", "textgym.episode_html", "textgym.callables", "textgym.process_guard"),
    ("textgym.env_ids",),
    ("textgym.intervals",),
    ("textgym.feedback",),
    ("textgym.config", "textgym.prompts", "textgym.masks", "textgym.reference", "textgym.turns"),
    ("textgym.tokenizer", "textgym.symbol_tokenizer", "textgym.models"),
    ("textgym.dataset_files", "textgym.dialogues", "textgym.comparison_rows"),
    ("textgym.file_prompts", "textgym.rewards", "textgym.dataset_form"),
    ("textgym.feedback.trl_formats", "textgym.feedback.quality_checks"),
    ("textgym.feedback.row_paths", "textgym.feedback.column_mapping"),
    ("textgym.feedback.store_engine", "textgym.feedback.store_results"),
    ("textgym.feedback.store_rows", "textgym.feedback.store", "textgym.feedback.broker"),
    ("textgym.feedback.episode_judge", "textgym.feedback.teacher_reward"),
    ("textgym.task", "textgym.task_parts", "textgym.task_models"),
    ("textgym.mdp_rows", "textgym.masked_reference", "textgym.prompt_choice"),
    ("textgym.action_checks", "textgym.scoring"),
    ("textgym.response_end", "textgym.turn_taking", "textgym.turn_preview"),
    ("textgym.token_mdp", "textgym.paid_rows", "textgym.pending_rewards", "textgym.token_payments"),
    ("textgym.vector_info", "textgym.row_info"),
    ("textgym.row_groups", "textgym.row_generators", "textgym.rendering"),
    ("textgym.env_parts", "textgym.token_env", "textgym.vector_env"),
    ("textgym.episode_list",),
    ("textgym.info_keys", "textgym.registration", "textgym.rollout", "textgym.wrappers"),
    ("textgym.testing",),
    ("textgym.envs_registry",),
    ("textgym.suites",),
    ("textgym",),
    ("textgym.agents.presets", "textgym.agents.learning_rate", "textgym.agents.run_defaults"),
    ("textgym.agents.advantages", "textgym.agents.kl_control", "textgym.agents.kl_shaping"),
    ("textgym.agents.storage.checkpoint", "textgym.agents.storage.optimizer_files"),
    ("textgym.agents.reward_learning.losses", "textgym.agents.reward_learning.ensembles"),
    ("textgym.agents.supervised", "textgym.agents.policies"),
    ("textgym.agents.reward_learning",),
    ("textgym.agents.rollouts", "textgym.agents.callbacks"),
    ("textgym.agents.storage", "textgym.agents.ppo", "textgym.agents.a2c"),
    ("textgym.agents.runs", "textgym.agents.evaluation", "textgym.agents.bundles"),
    ("textgym.agents.benchmark",),
    ("textgym.agents.cards",),
    ("textgym.agents.feedback_loop", "textgym.agents.overoptimization"),
    ("textgym.agents.dependence",),
    ("textgym.agents",),
    ("textgym.cli",),
)
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def module_files() -> dict[str, Path]:
    """Every module of the three packages, by its import name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((package, *parts))] = path
    return found


MODULES = module_files()


def rank(module: str) -> int:
    """Index of the module's layer, by the longest matching prefix."""
    best, found = "", -1
    for index, layer in enumerate(LAYERS):
        for prefix in layer:
            is_inside = module == prefix or (
                prefix != "textgym" and module.startswith(prefix + ".")
            )
            if is_inside and len(prefix) > len(best):
                best, found = prefix, index
    return found


def own_imports(tree: ast.AST) -> Iterator[str]:
    """Names of this project's modules that the tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "textgym")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "textgym":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_lower_layers(module: str) -> None:
    own = rank(module)
    assert own >= 0, f"{module} stands in no layer of the table"
    for imported in own_imports(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        assert rank(imported) <= own, f"{module} imports {imported} from a higher layer"


def test_no_import_cycles() -> None:
    graph = {
        name: set(own_imports(ast.parse(path.read_text(encoding="utf-8")))) - {name}
        for name, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"import cycle: {' -> '.join((*trail, name))}"
        if name not in done:
            for imported in graph.get(name, ()):
                visit(imported, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("module", MODULES)
def test_no_hidden_own_imports(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            hidden = list(own_imports(node))
            assert not hidden, f"{module}.{node.name} hides the import of {hidden}"
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            hidden = list(own_imports(node))
            assert not hidden, f"{module} imports {hidden} under TYPE_CHECKING"


@pytest.mark.parametrize("module", MODULES)
def test_file_and_function_sizes(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES, f"{module} has {len(text.splitlines())} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{module}.{node.name} has {lines} lines"


def test_no_vague_module_names() -> None:
    vague = {"utils", "util", "helpers", "common", "misc"}
    assert not [name for name in MODULES if name.rsplit(".", 1)[-1] in vague]


def test_every_package_is_listed_for_the_wheel() -> None:
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    listed = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert not [name for name in packages if f'"{name}"' not in listed]


def test_import_textgym_is_light() -> None:
    # Seconds of the process, so that other jobs on the machine do not count.
    code = (
        "import sys, time; start = time.process_time(); import textgym; "
        "heavy = [m for m in ('torch', 'transformers') if m in sys.modules]; "
        "print(time.process_time() - start, bool(heavy))"
    )

    def run() -> tuple[float, str]:
        time.sleep(0.1)
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        seconds, loaded = out.stdout.split()
        return float(seconds), loaded

    runs = [run() for _ in range(5)]
    assert {loaded for _, loaded in runs} == {"False"}, (
        "import textgym loaded torch or transformers"
    )
    assert min(seconds for seconds, _ in runs) < 0.6
