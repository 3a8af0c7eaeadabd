import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from hwnas.errors import StoreError
from hwnas.store import Store, metadata
from hwnas.store._engine import _MIGRATIONS, HEAD
from hwnas.store.schema import study, trial

NOW = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)


def add_study(connection, name):
    return connection.execute(study.insert().values(name=name, created_at=NOW, config={})).inserted_primary_key[0]


def names(store):
    with store.read() as connection:
        return sorted(connection.execute(sa.select(study.c.name)).scalars())


def sqlite_url(path):
    return f"sqlite:///{path}"


def run_python(code, *args, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_migrations_make_exactly_the_metadata(store):
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration():
    scripts = ScriptDirectory(str(_MIGRATIONS))
    assert scripts.get_heads() == [HEAD]


def test_a_newer_schema_is_refused_and_left_alone(workspace, store):
    with store.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer hwnas") as caught:
        Store.open(workspace.store_url)
    assert "update hwnas" in caught.value.hint
    with store.read() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "9999"


def test_what_was_written_is_there_after_reopening(workspace, store):
    with store.begin() as connection:
        add_study(connection, "kept")
    store.close()
    again = Store.open(workspace.store_url)
    assert names(again) == ["kept"]
    again.close()


def test_reopening_is_cheap(workspace, store):
    """No migration runs, so Alembic is not even looked at: a few milliseconds, ten at once under a second."""
    began_s = time.process_time()
    for _ in range(10):
        Store.open(workspace.store_url).close()
    assert time.process_time() - began_s < 1.0


def test_reopening_does_not_load_alembic(workspace, store):
    code = "import sys; from hwnas.store import Store; Store.open(sys.argv[1]); sys.exit('alembic' in sys.modules)"
    process = run_python(code, workspace.store_url)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr


def test_a_block_that_raises_leaves_nothing(store):
    with pytest.raises(RuntimeError, match="changed my mind"), store.begin() as connection:
        add_study(connection, "half")
        raise RuntimeError("changed my mind")
    assert names(store) == []


def test_two_studies_of_one_name_are_refused_by_the_database(store):
    with store.begin() as connection:
        add_study(connection, "one")
    with pytest.raises(sa.exc.IntegrityError), store.begin() as connection:
        add_study(connection, "one")


def test_an_architecture_enters_a_study_once(store):
    row = {"batch": 0, "origin": "sobol", "architecture_id": "a" * 16, "values": {}, "state": "proposed"}
    with store.begin() as connection:
        key = add_study(connection, "one")
        connection.execute(trial.insert().values(study_id=key, number=0, created_at=NOW, **row))
    with pytest.raises(sa.exc.IntegrityError), store.begin() as connection:
        connection.execute(trial.insert().values(study_id=key, number=1, created_at=NOW, **row))


def test_a_reading_block_sees_one_state(store):
    with store.begin() as connection:
        add_study(connection, "first")
    with store.read() as reader:
        assert reader.execute(sa.select(sa.func.count()).select_from(study)).scalar() == 1
        with store.begin() as writer:
            add_study(writer, "second")
        assert reader.execute(sa.select(sa.func.count()).select_from(study)).scalar() == 1
    assert names(store) == ["first", "second"]


def test_moments_come_back_aware_and_in_utc(store):
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))
    with store.begin() as connection:
        connection.execute(study.insert().values(name="x", created_at=elsewhere, config={}))
    with store.read() as connection:
        found = connection.execute(sa.select(study.c.created_at)).scalar()
    assert found == NOW
    assert found.tzinfo is UTC


def test_a_naive_moment_is_refused(store):
    with pytest.raises(sa.exc.StatementError, match="naive"), store.begin() as connection:
        connection.execute(study.insert().values(name="x", created_at=NOW.replace(tzinfo=None), config={}))


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "notes.sqlite"
    path.write_text("these are my notes, and no database\n" * 100)
    with pytest.raises(StoreError, match=r"notes\.sqlite: file is not a database"):
        Store.open(sqlite_url(path))
    assert path.read_text().startswith("these are my notes")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="cannot open the store") as caught:
        Store.open(sqlite_url(tmp_path / "gone" / "hwnas.sqlite"))
    assert "path" in caught.value.hint


@pytest.mark.parametrize("holding", [b"", b"study-"], ids=["seen on opening", "seen on reading"])
def test_a_damaged_file_is_an_error_of_ours(workspace, store, holding):
    with store.begin() as connection:
        for number in range(200):
            add_study(connection, f"study-{number}" + "x" * 150)
    store.close()
    path = workspace.root / "hwnas.sqlite"
    pages = [path.read_bytes()[start : start + 4096] for start in range(0, path.stat().st_size, 4096)]
    damaged = [b"\xa5" * 4096 if number and holding in page else page for number, page in enumerate(pages)]
    path.write_bytes(b"".join(damaged))
    with pytest.raises(StoreError, match="malformed"):
        names(Store.open(workspace.store_url))


def test_a_url_that_is_none():
    with pytest.raises(StoreError, match="cannot open the store"):
        Store.open("not a url")


def test_a_driver_that_is_not_installed():
    with pytest.raises(StoreError, match="cannot open the store"):
        Store.open("sqlite+nodriver:///x")


def test_a_password_is_not_shown():
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql+nodriver://me:secret@db/team")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://me:secret@host:port/db", "://me:secret@x"])
def test_a_url_that_cannot_be_read_is_one_clear_error(url):
    with pytest.raises(StoreError, match="cannot open the store") as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_file_that_may_not_be_written(workspace, store):
    store.close()
    for path in workspace.root.glob("hwnas.sqlite*"):
        path.chmod(0o400)
    workspace.root.chmod(0o500)
    try:
        with pytest.raises(StoreError), Store.open(workspace.store_url).begin() as connection:
            add_study(connection, "x")
    finally:
        workspace.root.chmod(0o700)


def test_a_file_on_which_writing_is_refused(workspace, store):
    """`query_only` makes SQLite refuse as it does on a read-only disk, for the superuser too."""
    with store.read() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 1")
    with pytest.raises(StoreError, match="refused to write"), store.begin() as connection:
        add_study(connection, "x")


def test_a_full_disk_is_an_error_of_ours_and_harms_nothing(workspace, store):
    with store.begin() as connection:
        add_study(connection, "before")
    store.close()
    code = """
        import resource
        import sys
        from datetime import UTC, datetime
        from hwnas.errors import StoreError
        from hwnas.store import Store
        from hwnas.store.schema import study
        limit = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        store = Store.open(sys.argv[1])
        try:
            with store.begin() as connection:
                connection.execute(
                    study.insert().values(name="big", created_at=datetime.now(UTC), config={"x": "y" * 4_000_000})
                )
        except StoreError as error:
            sys.exit(error.message + "|" + error.hint)
    """
    limit = 1_000_000  # bytes that any file may hold
    process = run_python(code, workspace.store_url, limit)
    _, stderr = process.communicate(timeout=60)
    assert "the store refused to write" in stderr
    assert "free space" in stderr
    again = Store.open(workspace.store_url)
    assert names(again) == ["before"]
    again.close()


def test_a_store_held_too_long_by_another_is_an_error_of_ours(workspace, store, monkeypatch):
    monkeypatch.setattr("hwnas.store._engine._BUSY_TIMEOUT_S", 0.05)
    impatient = Store.open(workspace.store_url)
    holder = sqlite3.connect(workspace.root / "hwnas.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked") as caught, impatient.begin() as connection:
        add_study(connection, "x")
    assert "another process" in caught.value.hint
    holder.close()
    impatient.close()


OPEN_AND_WRITE = """
    import sys
    from datetime import UTC, datetime
    from hwnas.store import Store
    from hwnas.store.schema import study
    store = Store.open(sys.argv[1])
    for number in range(int(sys.argv[3])):
        with store.begin() as connection:
            name = f"{sys.argv[2]}-{number}"
            connection.execute(study.insert().values(name=name, created_at=datetime.now(UTC), config={}))
"""


def test_two_processes_make_and_write_one_store_at_once(tmp_path):
    url = sqlite_url(tmp_path / "shared.sqlite")
    processes = [run_python(OPEN_AND_WRITE, url, f"p{index}", 40) for index in range(2)]
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    opened = Store.open(url)
    assert names(opened) == sorted(f"p{index}-{number}" for index in range(2) for number in range(40))
    opened.close()


def test_what_was_committed_survives_a_kill(tmp_path):
    url = sqlite_url(tmp_path / "killed.sqlite")
    code = OPEN_AND_WRITE + "\n            if number == 5: import os; os.kill(os.getpid(), 9)"
    process = run_python(code, url, "p", 10)
    process.communicate(timeout=60)
    assert process.returncode == -9
    opened = Store.open(url)
    assert names(opened) == [f"p-{number}" for number in range(5)]
    opened.close()
