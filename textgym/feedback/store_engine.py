"""The database below the store: tables, connections, one writer at a time, plain errors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import sqlalchemy as sa
    from sqlalchemy import event, exc
except ImportError as error:
    raise ImportError("the feedback store needs `pip install textgym[feedback]`") from error

STORE_VERSION = 1
"""Version of the tables; a store from a newer one is refused."""

# Any number that other programs in the same PostgreSQL database are unlikely to lock.
_WRITER_LOCK = 0x7E87_6F33
_RETRY_SECONDS = 0.02

_metadata = sa.MetaData()
meta_table = sa.Table(
    "textgym_feedback_meta",
    _metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
feedback_table = sa.Table(
    "textgym_feedback",
    _metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("record_id", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("annotator_id", sa.Text, index=True),
    sa.Column("annotator_kind", sa.String(16)),
    sa.Column("query_id", sa.Text, index=True),
    sa.Column("revises", sa.Text, index=True),
    sa.Column("written_at", sa.Float, nullable=False),
    sa.Column("erased_at", sa.Float),
    sa.Column("content", sa.Text),
    sqlite_autoincrement=True,
)


class StoreError(OSError):
    """The database cannot be used: locked, corrupt, not reachable, or from a newer version."""


def store_url(location: str | Path) -> sa.URL:
    """Read a path (SQLite) or a URL, `sqlite:///PATH` or `postgresql://USER@HOST/NAME`.

    Raises:
        ValueError: No URL, a database of another kind, or one in memory.
    """
    text = str(location)
    if "://" not in text:
        return sa.URL.create("sqlite", database=str(Path(text).expanduser()))
    try:
        url = sa.make_url(text)
    except exc.ArgumentError as error:
        raise ValueError(f"expected a path or a database URL, got {text!r}") from error
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ValueError(f"the database must be sqlite or postgresql, got {text!r}")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError(f"a store needs a file or a server, not a database in memory: {text!r}")
    return url


def shown(url: sa.URL) -> str:
    """Return the location as messages show it: a path, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True)


def open_engine(url: sa.URL, timeout_seconds: float) -> sa.Engine:
    """Return an engine whose connections wait at most `timeout_seconds` for a lock."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, timeout_seconds)
    try:
        return sa.create_engine(
            url,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": max(2, round(timeout_seconds)),
                "options": f"-c lock_timeout={round(timeout_seconds * 1000)}",
            },
        )
    except ImportError as error:
        raise ImportError("PostgreSQL needs `pip install textgym[postgres]`") from error


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction that is the only one to write, committed at the end.

    Positions are therefore given out in the order of commits: a reader who went on to position p
    can never miss a smaller one that was committed later.
    """
    with engine.connect().execution_options(textgym_writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))
        yield connection


@contextmanager
def plain_errors(url: sa.URL) -> Iterator[None]:
    """Turn the database's errors into a `StoreError` that says what to do."""
    try:
        yield
    except exc.DBAPIError as error:
        raise StoreError(_explained(error, shown(url))) from error


def create_tables(connection: sa.Connection) -> None:
    """Create what is missing."""
    _metadata.create_all(connection)


def has_tables(connection: sa.Connection) -> bool:
    """Whether the database holds a store."""
    return sa.inspect(connection).has_table(meta_table.name)


def scrub(engine: sa.Engine) -> bool:
    """Remove what updates left behind in the database's own files.

    Returns:
        False where another connection kept the database from it; try again later.
    """
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
        return not busy
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"VACUUM (FULL) {feedback_table.name}")
    except exc.OperationalError:
        return False
    return True


def _sqlite_engine(url: sa.URL, timeout_seconds: float) -> sa.Engine:
    # isolation_level None: the driver opens no transactions of its own, `begin` below does.
    engine = sa.create_engine(
        url, connect_args={"timeout": timeout_seconds, "isolation_level": None}
    )

    @event.listens_for(engine, "connect")
    def configure(connection, record) -> None:  # type: ignore[no-untyped-def]
        cursor = connection.cursor()
        _use_wal(cursor, timeout_seconds)
        # FULL: a committed label survives a power cut too. secure_delete: erased means zeroed.
        for setting in ("synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A reader that turned writer half-way could be refused at once, whatever the timeout.
        is_writer = connection.get_execution_options().get("textgym_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")

    return engine


def _use_wal(cursor, timeout_seconds: float) -> None:  # type: ignore[no-untyped-def]
    """Switch to WAL; two processes that open a new file at once are refused without waiting."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except Exception as error:  # sqlite3.OperationalError, whichever module the driver is
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)


def _explained(error: exc.DBAPIError, place: str) -> str:
    text = " ".join(str(error.orig).split())
    if "locked" in text or "lock timeout" in text:
        return (
            f"the feedback store {place!r} is locked: another process has been writing to it for "
            f"longer than the timeout ({text}); expected writers that finish within it"
        )
    if any(sign in text for sign in ("not a database", "malformed", "disk I/O", "corrupt")):
        return (
            f"the feedback store {place!r} is corrupt or no database ({text}); expected one that "
            f"textgym wrote: restore a copy, or import an export into a new one"
        )
    if "unable to open" in text or "connection" in text:
        return f"the feedback store {place!r} cannot be opened ({text}); is it there and reachable?"
    return f"the feedback store {place!r} failed: {text}"
