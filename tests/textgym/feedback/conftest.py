"""Databases to test the store on: SQLite in a file, and a PostgreSQL server of the tests' own."""

from __future__ import annotations

import getpass
import glob
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store can be made: a path, and the URL of an empty database."""
    if request.param == "sqlite":
        return str(tmp_path / "feedback.db")
    return request.getfixturevalue("new_database")()


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[[], str]]:
    """A function that makes one more database on a local server and returns its URL."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed (`pip install textgym[postgres]`)")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are neither on PATH nor in their usual places")
    folder = Path(tempfile.mkdtemp(prefix="textgym-pg-"))
    port = _free_port()
    try:
        address = _start(programs, folder, port)
        yield lambda: _create_database(address)
    finally:
        _run(programs / "pg_ctl", "stop", "-D", folder / "data", "-m", "immediate", check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    """Folder of the newest server that is installed."""
    places = glob.glob("/usr/lib/postgresql/*/bin") + glob.glob("/opt/homebrew/opt/postgresql*/bin")
    on_path = shutil.which("pg_ctl")
    if on_path:
        places.append(str(Path(on_path).resolve().parent))
    good = [p for p in map(Path, sorted(places)) if shutil.which("initdb", path=str(p))]
    return good[-1] if good else None


def _start(programs: Path, folder: Path, port: int) -> str:
    owner = _unprivileged_user()
    if owner:
        shutil.chown(folder, owner)
    name, data = owner or getpass.getuser(), folder / "data"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    try:
        _run(programs / "initdb", "-D", data, "-A", "trust", "-U", name, "-E", "UTF8", "--no-sync")
        _run(programs / "pg_ctl", "start", "-w", "-D", data, "-o", options, "-l", folder / "log")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"PostgreSQL does not start here: {error.stderr or error.stdout}")
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


def _create_database(address: str) -> str:
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{address}postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return address + name
