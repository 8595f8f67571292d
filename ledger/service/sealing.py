"""Seal batches into signed, chained blocks, and say what holds sealing back.

Writers never wait for a sealer. A batch is sealed once every transaction that began before it has
ended, so no batch can appear later among those already in order. That horizon is of the whole
database cluster: a forgotten transaction elsewhere holds it back, which `sealing_lag` names.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import driver_connection, transaction
from ledger.seals import (
    NO_BLOCK,
    SealedBlock,
    block_hash,
    block_payload,
    member_leaf,
    merkle_root,
    value_text,
)
from ledger.service.batch_roots import BATCH_ROWS, batch_roots, present_columns
from ledger.service.blocks import last_block
from ledger.service.histories import MasterRow, histories, new_rows
from ledger.service.refused import translated
from ledger.service.signing import Signer, signer

_BLOCKERS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Blocker:
    """A transaction that holds the horizon back. None where the login may not see it."""

    pid: int | None  # None: a prepared transaction, which outlives its connection
    database: str
    since: datetime | None
    state: str | None
    query: str | None


@dataclass(frozen=True, slots=True)
class SealingLag:
    """What is not sealed yet: how many batches, for how long, and who holds them back."""

    unsealed_batches: int
    held_batches: int  # those above the horizon; the rest is sealed by the next run
    seconds: int  # the age of the oldest
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True)
class SealReport:
    """What a run sealed: a block, or None where nothing was new, and what is left."""

    block: SealedBlock | None
    hash: bytes | None
    lag: SealingLag


def seal(session: Session, key: Signer) -> SealReport:
    """Seal every batch that is certain to be complete, in order of batch id, and new master data.

    One sealer works at a time: another waits for its transaction to end. Nothing new, no block.

    Raises `SealOutOfStep` or `BatchNotSealable` where the database sees it otherwise; seal again.

    Source: docs/decisions.md, "Seals"; the tree, RFC 6962.
    """
    session.execute(text("SELECT ledger_lock_seals()"))
    with translated():
        session.execute(
            text("SELECT ledger_register_key(:key_id, :public_key)"),
            {"key_id": key.key_id, "public_key": key.public_key},
        )
    horizon, batches = _certain(session)
    newest = last_block(session)
    head = newest.block if newest else None
    columns = present_columns(session, [*BATCH_ROWS, *histories()])
    masters = new_rows(session, columns, head.sealed_columns if head else {})
    if not batches and not masters:
        return SealReport(None, None, sealing_lag(session))
    roots = list(batch_roots(session, [row.batch_id for row in batches], columns))
    first = 1 + (head.last_position if head else 0)
    members = [member_leaf(first + place, *root) for place, root in enumerate(roots)]
    debits: dict[str, int] = {}
    for row in batches:
        for currency, minor in row.debit_totals.items():
            debits[currency] = debits.get(currency, 0) + int(minor)
    block = SealedBlock(
        block_no=1 + (head.block_no if head else 0),
        prev_hash=block_hash(head) if head else NO_BLOCK,
        member_root=merkle_root(members),
        first_position=first,
        last_position=first + len(roots) - 1,
        batch_count=len(roots),
        entry_count=sum(row.entry_count for row in batches),
        line_count=sum(row.line_count for row in batches),
        debit_totals=debits,
        master_root=merkle_root(master.leaf for master in masters),
        master_count=len(masters),
        sealed_columns=columns,
        horizon=horizon,
        signed_at=session.scalar(text("SELECT clock_timestamp()")),
        key_id=key.key_id,
    )
    _insert(session, block, key.sign(block_payload(block)), roots, masters)
    return SealReport(block, block_hash(block), sealing_lag(session))


def seal_job() -> None:
    """Seal what can be sealed; the worker does it every minute."""
    with transaction() as session:
        seal(session, signer())


def sealing_lag(session: Session) -> SealingLag:
    """Count what is not sealed, and name the transactions that hold the horizon back."""
    unsealed, held, seconds = session.execute(text(_LAG)).one()
    found = session.execute(text(_BLOCKERS)) if held else ()
    return SealingLag(unsealed, held, seconds, tuple(Blocker(*row) for row in found))


def _certain(session: Session) -> tuple[str, list[Any]]:
    """Read the horizon and every batch below it that has no position, from one snapshot."""
    rows = session.execute(
        text(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon, u.*"
            " FROM (VALUES (1)) always LEFT JOIN (ledger_unsealed_batches() u"
            " JOIN batch_closed USING (batch_id)) ON ledger_is_certain(u.xid) ORDER BY u.batch_id"
        )
    ).all()
    return rows[0].horizon, [row for row in rows if row.batch_id is not None]


def _insert(
    session: Session,
    block: SealedBlock,
    signature: bytes,
    roots: list[tuple[int, bytes]],
    masters: list[MasterRow],
) -> None:
    row = asdict(block) | {"block_hash": block_hash(block), "signature": signature}
    for name, value in row.items():
        if isinstance(value, bytes):
            row[name] = f"\\x{value.hex()}"
        elif isinstance(value, datetime):
            row[name] = value_text(value)
    held = [{"history": m.history, "row_key": m.row_key, "content": m.content} for m in masters]
    with translated():
        driver_connection(session).execute(
            "SELECT ledger_seal_block(%s, %s, %s, %s)",
            (
                json.dumps(row), [batch_id for batch_id, _ in roots], [root for _, root in roots],
                json.dumps(held),
            ),
        )  # fmt: skip


_LAG = """
    SELECT count(*), count(*) FILTER (WHERE NOT ledger_is_certain(xid)),
        coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::integer
    FROM ledger_unsealed_batches()"""
# Only a transaction with an id of its own holds the horizon: whoever only reads does not.
_BLOCKERS = f"""
    SELECT pid, datname, xact_start, state, left(query, 200) FROM (
        SELECT pid, datname::text, xact_start, state, query, age(backend_xid) AS age
        FROM pg_stat_activity
        WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        UNION ALL
        SELECT NULL, database::text, prepared, 'prepared transaction', gid, age(transaction)
        FROM pg_prepared_xacts) t
    ORDER BY age DESC LIMIT {_BLOCKERS_SHOWN}"""
