"""The database door: where it is, who we are in it, and one transaction per command.

Nothing connects when this module is imported. A process says once how its addresses are found
(`configure`); the first command that needs the database resolves them, which starts the private
server and migrates it when that is due.
"""

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Literal

from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Session

from ledger.errors import Problem

Role = Literal["owner", "service", "auditor"]


class Base(DeclarativeBase):
    """The tables of every room; constraints are named, so that errors can say which broke."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class DatabaseSilent(Problem):
    """The database is away or refuses connections; what was not yet committed is undone.

    Raise as: "The database does not answer. Nothing was changed; try again shortly.".
    """

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Database does not answer"


class RoleNotGranted(Problem):
    """A login of the database may not act as the role that the program needs.

    Raise as: f"{login} may not act as {role}. GRANT {role} TO {login}, or set its own address.".
    """

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Database role is not granted"


@dataclass(frozen=True, slots=True)
class Addresses:
    """SQLAlchemy URLs by role. Where two are the same, the lesser role is taken by SET ROLE."""

    owner: str
    service: str
    auditor: str

    def of(self, role: Role) -> str:
        """Give the address of a role."""
        address: str = getattr(self, role)
        return address


POOLED = 16  # Connections that a process keeps for a role: one for each thread of the server.
_TRUSTED_S = 30.0  # An idle connection is asked after so long; firewalls forget after minutes.
_lock = threading.RLock()
_resolve: Callable[[], Addresses] | None = None
_revive: Callable[[], object] | None = None
_addresses: Addresses | None = None


def configure(resolve: Callable[[], Addresses], revive: Callable[[], object] | None = None) -> None:
    """Say how this process finds its database; forgets what was resolved and connected before.

    `revive` starts a server of our own that was killed under a long-running process; it is called
    when a connection fails, which is then tried once more.
    """
    global _resolve, _revive, _addresses
    with _lock:
        _resolve, _revive, _addresses = resolve, revive, None
        _engine.cache_clear()


def addresses() -> Addresses:
    """Resolve the addresses once; the first call may start and migrate the private server."""
    global _addresses  # noqa: PLW0603 - see configure
    with _lock:
        if _addresses is None:
            if _resolve is None:
                raise RuntimeError("ledger.db.configure() has not been called by the door.")
            _addresses = _resolve()
        return _addresses


def engine(role: Role = "service") -> Engine:
    """Give the pooled engine of a role."""
    with _lock:
        return _engine(role)


@contextmanager
def transaction(role: Role = "service") -> Iterator[Session]:
    """Open the one transaction of a command; commits at the end, rolls back on any exception."""
    with Session(engine(role), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def glance(role: Role = "service") -> Iterator[Session]:
    """Open a session for a single question: each statement stands alone and takes one trip."""
    with engine(role).connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        with Session(alone, expire_on_commit=False) as session:
            yield session


def find_silence(fault: BaseException | None) -> str | None:
    """Say why the database went silent, where that is what a fault comes from; else None.

    Each library wraps the driver's error in one of its own, so the chain of causes is walked. The
    driver takes a refusal of ours (class HB) and a row that is too long for an index (class 54) for
    operational errors; trying again will not help.
    """
    from psycopg import InterfaceError, OperationalError  # noqa: PLC0415 - only after a fault

    while fault is not None:
        if isinstance(fault, OperationalError | InterfaceError):
            if (fault.sqlstate or "").startswith(("HB", "54")):
                return None
            return str(fault).partition("\n")[0].strip() or type(fault).__name__
        fault = fault.__cause__ or fault.__context__
    return None


def is_unstorable(fault: BaseException | None) -> bool:
    """Tell whether a fault is that no column or index can hold a value of a request or a file."""
    from psycopg import DataError  # noqa: PLC0415 - only after a fault
    from psycopg.errors import ProgramLimitExceeded  # noqa: PLC0415

    while fault is not None:
        if isinstance(fault, DataError | ProgramLimitExceeded):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def driver_connection(session: Session) -> Any:
    """Give the psycopg connection under a session, for COPY in the same transaction."""
    return session.connection().connection.driver_connection


@lru_cache(maxsize=3)
def _engine(role: Role) -> Engine:
    known = addresses()
    # Last in, first out: a few connections stay warm, with their stage and plans.
    made = create_engine(
        known.of(role), pool_size=POOLED, max_overflow=4, pool_use_lifo=True, hide_parameters=True
    )
    event.listen(made, "checkout", _check_alive())
    if _revive is not None:
        event.listen(made, "do_connect", _connect_again(_revive))
    if role != "owner" and known.of(role) == known.owner:
        # One address for everything (a managed database with a single login): take the
        # lesser role all the same, so that the guards by privilege hold for this process.
        event.listen(made, "connect", _take_role(role))
    return made


def _check_alive() -> Callable[..., None]:
    """Make the check of a pooled connection: one whose server is gone is replaced by a new one.

    One that was idle for so long that a network may have forgotten it is asked.
    """
    from psycopg import Error  # noqa: PLC0415 - with the engine, not with the module

    def check(connection: Any, record: Any, _proxy: Any) -> None:
        now = time.monotonic()
        idle_s = now - record.info.get("looked_at_s", now)
        record.info["looked_at_s"] = now
        try:
            listen(connection, ask=idle_s > _TRUSTED_S)
        except (OSError, ValueError, Error) as fault:
            raise InvalidatePoolError(str(fault)) from fault

    return check


def listen(connection: Any, *, ask: bool = False) -> None:
    """Look whether an idle connection still has its server; raises psycopg.Error or OSError if not.

    A server that ends says so on the connection, and to look for that costs no trip. Only where
    something was said, or with `ask`, the server is asked.
    """
    spoken, _, _ = select.select([connection], [], [], 0)
    if spoken or ask:
        was = connection.autocommit
        connection.autocommit = True
        connection.execute("")
        connection.autocommit = was


def _connect_again(revive: Callable[[], object]) -> Callable[..., Any]:
    from psycopg import OperationalError  # noqa: PLC0415 - with the engine, not with the module

    def do_connect(dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        try:
            return dialect.connect(*arguments, **parameters)
        except OperationalError:
            revive()
            return dialect.connect(*arguments, **parameters)

    return do_connect


def _take_role(role: Role) -> Callable[[Any, Any], None]:
    from psycopg.errors import InsufficientPrivilege, InvalidParameterValue  # noqa: PLC0415

    def on_connect(connection: Any, _record: Any) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SET ROLE hovedbok_{role}")
            connection.commit()
        except (InsufficientPrivilege, InvalidParameterValue):
            login = connection.info.user
            variable = "DATABASE_URL" if role == "service" else "HOVEDBOK_AUDITOR_DATABASE_URL"
            raise RoleNotGranted(
                f"{login} may not act as hovedbok_{role}. GRANT hovedbok_{role} TO {login}, or "
                f"set {variable} to a login of that role (docs/operations.md).",
                login=login, role=f"hovedbok_{role}",
            ) from None  # fmt: skip

    return on_connect
