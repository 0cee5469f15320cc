"""How is the database of the outbox opened, read, written, and replaced where its file is damaged?"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, exc, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from tars_ops.adapters.alerts.tables import TABLES
from tars_ops.core.errors import CannotCreateError, ConfigurationError, OutboxBusyError, OutboxError, UsageError

BUSY_S = 15.0
_LOCK = 7_278_404_511  # any number that nobody else locks in a shared PostgreSQL
_BUSY = ("database is locked", "database table is locked", "lock timeout", "could not obtain lock")
_DAMAGED = ("file is not a database", "malformed", "file is encrypted", "disk image")


class Database:
    """One SQLite file or PostgreSQL database; every error is translated, and none repeats a password."""

    def __init__(self, url: str) -> None:
        self._url = _checked(url)
        self._engine = _engine(self._url)

    @property
    def name(self) -> str:
        """The address without its password."""
        return self._url.render_as_string(hide_password=True)

    def prepare(self) -> None:
        """Check the file and create the tables that are missing; several processes may do so at once.

        Raises
        ------
        OutboxError
            If the file is damaged or cannot be read.
        CannotCreateError
            If its directory cannot be made.
        """
        path = file_of(self._url)
        if path:
            _make_directory(path.parent)
        with self.reading() as connection:
            if path:
                _require_sound(connection, path)
            complete = all(self._engine.dialect.has_table(connection, one.name) for one in TABLES.sorted_tables)
        if not complete:
            with self.writing() as connection:
                TABLES.create_all(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection whose reads see one state."""
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection that alone writes; everything is kept when the block ends, nothing when it raises."""
        with (
            self._translated(),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            raise _translation(error, self.name) from None
        except exc.SQLAlchemyError as error:
            raise OutboxError(f"{self.name}: {type(error).__name__}; this outbox cannot be used") from None


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Give the INSERT of this database, which knows ON CONFLICT."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, or replace the named columns where the key exists; all rows name the same columns."""
    if not rows:
        return
    statement = insert_into(connection, table)
    key = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), rows)


def move_aside(url: str) -> Path:
    """Move a damaged file and its journals out of the way and return where it is now.

    Raises
    ------
    UsageError
        If the outbox is no file.
    """
    path = file_of(_checked(url))
    if path is None:
        raise UsageError("only the file of an SQLite outbox can be rebuilt; restore a PostgreSQL database by its means")
    number = 1
    while (target := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):  # the file itself last: a journal must never meet a new file
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(target.with_name(target.name + suffix))
    return target


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (exc.SQLAlchemyError, ImportError, ValueError):
        raise ConfigurationError(
            "TARS_OPS_OUTBOX is no file and no URL of a known database; write a path, sqlite:///path or "
            "postgresql+psycopg2://user@host/name"
        ) from None
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigurationError(f"TARS_OPS_OUTBOX: {parsed.get_backend_name()} is not known; use sqlite or postgresql")
    if parsed.get_backend_name() == "sqlite" and file_of(parsed) is None:
        raise ConfigurationError("TARS_OPS_OUTBOX: an outbox in memory would forget its alerts; name a file")
    return parsed


def file_of(url: URL) -> Path | None:
    """Return the file of an SQLite outbox."""
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    return Path(str(url.database))


def _engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "postgresql":
            return create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=2)
        engine = create_engine(url, hide_parameters=True, pool_size=2, connect_args={"timeout": BUSY_S})
    except ImportError as error:
        raise ConfigurationError(f"TARS_OPS_OUTBOX needs the Python package {error.name}; install it") from None
    event.listen(engine, "connect", _equip)
    event.listen(engine, "checkout", _refuse_replaced_file)
    event.listen(engine, "begin", _begin)
    return engine


def _equip(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    """Make a commit survive a power cut, and transactions begin where `_begin` says."""
    connection.isolation_level = None
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    entry.info["file"] = (path, _inode(path))
    connection.execute("PRAGMA synchronous = FULL")
    _journal_ahead(connection)


def _journal_ahead(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead journal; SQLite does not wait for others here, so this does."""
    end_s = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end_s:
                raise
            time.sleep(0.01)
        else:
            return


def _inode(path: str) -> int | None:
    try:
        return Path(path).stat().st_ino
    except OSError:
        return None


def _refuse_replaced_file(_connection: object, entry: ConnectionPoolEntry, _proxy: object) -> None:
    """Open the file again after it was moved aside; the old one would be written for nobody."""
    path, inode = entry.info["file"]
    if _inode(path) != inode:
        raise exc.DisconnectionError


def _begin(connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first and writes later may fail half-way."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotCreateError(f"the directory of the outbox, {directory}: {error.strerror}") from error


def _require_sound(connection: Connection, path: Path) -> None:
    found = connection.execute(text("PRAGMA integrity_check(1)")).scalar()
    if found != "ok":
        raise _damaged(str(path), str(found).splitlines()[0])


def _damaged(name: str, why: str) -> OutboxError:
    return OutboxError(
        f"the outbox {name} is damaged: {why}; `tars-ops alerts rebuild` moves it aside and begins a new one, "
        "which is filled from the store again"
    )


def _translation(error: exc.DBAPIError, name: str) -> OutboxError:
    why = " ".join(str(error.orig).split())[:300]
    if any(words in why for words in _BUSY):
        return OutboxBusyError(f"the outbox {name} was held by another process for {BUSY_S:.0f} s: {why}")
    if any(words in why for words in _DAMAGED):
        return _damaged(name, why)
    return OutboxError(f"the outbox {name}: {why}; check the disk, the permissions or the database server")
