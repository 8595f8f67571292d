"""The life of this process, as its database sees it: a lock that ends with the process, however.

Who works on something for longer than a transaction writes down the number of its life. Whether the
process is still there is then asked of the database, which drops the lock with the connection: at
once, also where nobody could say goodbye. No pid is compared, so it holds across machines.
"""

import os
import secrets
import threading
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event

from ledger.db import engine, listen

# Where `number` is an SQL expression, tells that no process of this life is connected. Locks are
# seen by every role, and those of another database are not ours.
GONE = (
    "NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND ((l.classid::bigint << 32) | l.objid::bigint) = {number})"
)


@dataclass(slots=True)
class _Life:
    """A number, and the connection outside the pool whose lock shows that it is alive."""

    pid: int
    number: int
    of: Engine
    connection: Any


_lock = threading.Lock()
_life: _Life | None = None


def life() -> int:
    """Give the number of this process's life; the first call takes its lock.

    A child of fork has a life of its own. Where the connection was lost the same lock is taken
    again, so that what this process still works on stays its own.
    """
    global _life  # noqa: PLW0603 - a process has one life
    with _lock:
        own = engine()
        if _life is None or _life.pid != os.getpid() or _life.of is not own:
            if _life is not None and _life.pid == os.getpid():  # Else it is our parent's.
                _life.connection.close()
            number = secrets.randbelow(2**62) + 1
            _life = _Life(os.getpid(), number, own, _hold(own, number))
            event.listen(own, "engine_disposed", _end, once=True)
        elif not _is_open(_life.connection):
            _life.connection = _hold(own, _life.number)
        return _life.number


def _hold(own: Engine, number: int) -> Any:
    """Take the lock on a connection of its own; shared, as an earlier one may not be gone yet."""
    taken = own.raw_connection()
    connection: Any = taken.driver_connection
    taken.detach()  # The pool keeps its places for those that work.
    connection.autocommit = True
    connection.execute("SELECT pg_advisory_lock_shared(%s::bigint)", (number,))
    return connection


def _is_open(connection: Any) -> bool:
    from psycopg import Error  # noqa: PLC0415 - with the engine, not with the module

    try:
        listen(connection)
    except (OSError, ValueError, Error):
        return False
    return not connection.closed


def _end(own: Engine) -> None:
    """Close the connection with its engine: nobody may be left in a database that is to go."""
    global _life  # noqa: PLW0603 - see life
    with _lock:
        if _life is not None and _life.of is own and _life.pid == os.getpid():
            _life.connection.close()
            _life = None
