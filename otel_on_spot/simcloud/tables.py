"""Small tables beside moto, on disk: one SQLite file, one row a thing."""

import json
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Tables:
    """Rows of JSON by (table, key). Every write is on disk when it returns; threads may share one."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.RLock()
        self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.execute(
            "create table if not exists rows (kind text, key text, body text, primary key (kind, key))"
        )

    @contextmanager
    def changing(self) -> Generator[None]:
        """Read and write with nobody else in between."""
        with self._lock:
            yield

    def put(self, table: str, key: str, row: Row) -> None:
        """Write a row, over an older one of the same key."""
        with self._lock:
            self._database.execute("insert or replace into rows values (?, ?, ?)", (table, key, json.dumps(row)))

    def get(self, table: str, key: str) -> Row | None:
        """The row of this key, or None."""
        with self._lock:
            found = self._database.execute("select body from rows where kind = ? and key = ?", (table, key)).fetchone()
        return None if found is None else json.loads(found[0])

    def all(self, table: str, prefix: str = "") -> dict[str, Row]:
        """Every row of a table whose key starts with the prefix, by key."""
        with self._lock:
            found = self._database.execute(
                "select key, body from rows where kind = ? order by key", (table,)
            ).fetchall()
        return {key: json.loads(body) for key, body in found if key.startswith(prefix)}

    def remove(self, table: str, key: str) -> Row | None:
        """Remove a row and return it; None where there was none."""
        with self._lock:
            row = self.get(table, key)
            self._database.execute("delete from rows where kind = ? and key = ?", (table, key))
        return row

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
