"""Open a store, bring its tables up to date, and run transactions on it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from hwnas.errors import StoreError
from hwnas.store.schema import about

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIGRATIONS = Path(__file__).parent / "migrations"
#: The newest migration; a test holds it to the folder.
HEAD = "0004"
_BUSY_TIMEOUT_S = 60.0


class Store:
    """The tables of one workspace.

    Threads and processes may share a store: each transaction takes a connection of its own. On SQLite a writing
    transaction locks the file from its start, so that two of them never see the same state and both act on it.
    """

    def __init__(self, engine: sa.Engine, url: str) -> None:
        """Wrap an engine whose tables are up to date; use `Store.open`."""
        self._engine = engine
        self.url = url

    @classmethod
    def open(cls, url: str) -> Store:
        """Return the store at a SQLAlchemy URL, made or migrated where that is needed.

        Raises:
            StoreError: it cannot be opened, or was written by a newer hwnas.
        """
        try:
            engine = _create_engine(url)
            _migrate(engine, url)
        except (sa_exc.SQLAlchemyError, OSError, ImportError, ValueError) as exc:
            reason = str(getattr(exc, "orig", None) or exc)
            raise StoreError(
                f"cannot open the store {_shown(url)}: {reason}",
                "check the path, its permissions and the free space",
            ) from exc
        return cls(engine, url)

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Run one writing transaction; it is committed at the end of the block, or undone if the block raises.

        Raises:
            StoreError: the database refused (a full disk, a lock that did not come free).
        """
        with (
            _translated("write", "check the free space, and whether another process holds it"),
            self._engine.connect().execution_options(hwnas_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Run one reading transaction: everything in the block sees the same state.

        Raises:
            StoreError: the database refused (a damaged file, a server that went away).
        """
        with (
            _translated("read", "check the file or the server; a copy of the store may help"),
            self._engine.connect() as connection,
            connection.begin(),
        ):
            yield connection

    @cached_property
    def id(self) -> str:
        """A random name, as 32 hex digits, that no other store has: what it measured is known by it elsewhere."""
        with self.read() as connection:
            found: str = connection.execute(sa.select(about.c.value).where(about.c.key == "id")).scalar_one()
        return found

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


@contextmanager
def _translated(doing: str, hint: str) -> Iterator[None]:
    """Turn what the database's state caused into a `StoreError`; what the caller's rows caused goes through."""
    try:
        yield
    except (sa_exc.IntegrityError, sa_exc.ProgrammingError, sa_exc.DataError):
        raise
    except sa_exc.DatabaseError as exc:
        raise StoreError(f"the store refused to {doing}: {exc.orig}", hint) from exc


def _create_engine(url: str) -> sa.Engine:
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True)
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("hwnas_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _shown(url: str) -> str:
    """Return a URL without its password, for messages."""
    try:
        return sa.engine.make_url(url).render_as_string() if "://" in url else url
    except (sa_exc.ArgumentError, ValueError):  # it may hold a password still
        return f"{url.partition('://')[0]}://..."


def _version(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        return version


def _migrate(engine: sa.Engine, url: str) -> None:
    version = _version(engine)
    if version == HEAD:
        return
    if version is not None and version > HEAD:
        raise StoreError(
            f"the store {_shown(url)} is of a newer hwnas (schema {version}, known {HEAD})", "update hwnas"
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.connect() as connection:
        connection = connection.execution_options(hwnas_writes=True)
        with connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
