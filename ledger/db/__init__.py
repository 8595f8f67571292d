"""The database door: where it is, who we are in it, and one transaction per command.

Nothing connects when this module is imported. A process says once how its addresses are found
(`configure`); the first command that needs the database resolves them, which starts the private
server and migrates it when that is due.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Session

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


_lock = threading.RLock()
_resolve: Callable[[], Addresses] | None = None
_addresses: Addresses | None = None


def configure(resolve: Callable[[], Addresses]) -> None:
    """Say how this process finds its database; forgets what was resolved and connected before."""
    global _resolve, _addresses
    with _lock:
        _resolve, _addresses = resolve, None
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


def driver_connection(session: Session) -> Any:
    """Give the psycopg connection under a session, for COPY in the same transaction."""
    return session.connection().connection.driver_connection


@lru_cache(maxsize=3)
def _engine(role: Role) -> Engine:
    known = addresses()
    made = create_engine(known.of(role), pool_pre_ping=True, pool_size=8, hide_parameters=True)
    if role != "owner" and known.of(role) == known.owner:
        # One address for everything (a managed database with a single login): take the
        # lesser role all the same, so that the guards by privilege hold for this process.
        event.listen(made, "connect", _take_role(role))
    return made


def _take_role(role: Role) -> Callable[[Any, Any], None]:
    def on_connect(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET ROLE hovedbok_{role}")
        connection.commit()

    return on_connect
