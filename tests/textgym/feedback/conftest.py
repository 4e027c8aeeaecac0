"""Databases to test the store on: SQLite in a file, and a PostgreSQL server of the tests' own."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.textgym.feedback.postgres_server import running_server


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
    with running_server() as address:
        yield lambda: _create_database(address)


def _create_database(address: str) -> str:
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(f"{address}postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return address + name
