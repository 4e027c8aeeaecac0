"""Type-check the built wheel from outside the repository.

From the repository root a type checker sees only `textgym/` (the two other packages stand beside
it) and passes vacuously, so the wheel is unpacked elsewhere and the number of files is asserted.

Run as `python -m tests.typecheck WORKDIR`, where WORKDIR/wheel holds the wheel.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGES = ("textgym", "agents", "envs_registry")


def main(work: Path) -> int:
    """Unpack the wheel under `work`, run mypy on it, and compare its file count with ours."""
    root = Path(__file__).resolve().parent.parent
    expected = sum(len(list((root / name).rglob("*.py"))) for name in PACKAGES)
    target = work / "unpacked"
    (wheel,) = (work / "wheel").glob("textgym-*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(root / "pyproject.toml"),
        "textgym",
    ]
    result = subprocess.run(command, cwd=target, capture_output=True, text=True, check=False)
    print(result.stdout + result.stderr)
    found = re.search(r"(?:in|checked) (\d+) source files?", result.stdout)
    if result.returncode == 0 and (found is None or int(found.group(1)) != expected):
        print(f"expected mypy to check {expected} files")
        return 1
    return result.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
