"""Frame agreements: which billing accounts are under which, and what stands above them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from party.orders import AgreementRecord, Outcome, State
from party.service.loading import lock

UNKNOWN_ACCOUNT, CONFLICT = "UNKNOWN_ACCOUNT", "AGREEMENT_CONFLICT"

_ACCOUNT = """
SELECT billing_account_id FROM billing_account WHERE external_ref = :ref OR number = :ref
ORDER BY external_ref <> :ref LIMIT 1
"""
_AGREEMENT = """
SELECT a.agreement_id, p.name AS parent FROM agreement a
LEFT JOIN agreement p ON p.agreement_id = a.parent_id WHERE a.name = :name
"""
_ADD = "INSERT INTO agreement (name, parent_id) VALUES (:name, :parent_id) RETURNING agreement_id"
_STANDS = """
SELECT agreement_id FROM account_agreement
WHERE billing_account_id = :account AND valid_from = :day
"""
_JOIN = """
INSERT INTO account_agreement (billing_account_id, agreement_id, valid_from)
VALUES (:account, :agreement, :day)
"""
_ON = """
SELECT billing_account_id, agreement_id FROM (
    SELECT DISTINCT ON (billing_account_id) billing_account_id, agreement_id
    FROM account_agreement WHERE valid_from <= :day
    ORDER BY billing_account_id, valid_from DESC
) held WHERE agreement_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class AgreementsOn:
    """The frame agreements of a day."""

    of_account: Mapping[int, int]  # billing account to agreement; those under none are left out
    chain: Mapping[int, tuple[int, ...]]  # of an agreement: itself, then those above it
    names: Mapping[int, str]


def register_agreements(session: Session, rows: Sequence[AgreementRecord]) -> list[Outcome]:
    """Put accounts under agreements, row by row; what is said again is `already`.

    A row that contradicts what is recorded is suspended and leaves no trace; the others go on.

    Returns
    -------
    One outcome per row, in the same order.
    """
    lock(session)
    return [_register(session, row) for row in rows]


def agreements_on(session: Session, day: date) -> AgreementsOn:
    """Give which accounts are under which agreement on a local day."""
    held = {row[0]: row[1] for row in session.execute(text(_ON), {"day": day})}
    listed = session.execute(text("SELECT agreement_id, name, parent_id FROM agreement")).all()
    above = {row[0]: row[2] for row in listed}
    chain: dict[int, tuple[int, ...]] = {}
    for agreement_id in sorted(above):  # Those above are older.
        chain[agreement_id] = (agreement_id, *chain.get(above[agreement_id], ()))
    return AgreementsOn(held, chain, {row[0]: row[1] for row in listed})


def _register(session: Session, row: AgreementRecord) -> Outcome:
    account = session.scalar(text(_ACCOUNT), {"ref": row.account_ref})
    if account is None:
        why = f"There is no billing account {row.account_ref}. Check its order."
        return _told(row, "suspended", UNKNOWN_ACCOUNT, why)
    known = session.execute(text(_AGREEMENT), {"name": row.agreement}).one_or_none()
    if known is not None and row.parent and row.parent != known.parent:
        under = known.parent or "no other"
        return _told(row, "suspended", CONFLICT,
                     f"{row.agreement} stands under {under}, not under {row.parent}. An agreement "
                     "does not move; give a new one a name of its own.")  # fmt: skip
    place = {"account": account, "day": row.valid_from}
    stands = session.execute(text(_STANDS), place).one_or_none()
    if stands is not None:
        if stands.agreement_id == (known.agreement_id if known else None) and (
            known is not None or not row.agreement
        ):
            return _told(row, "already")
        return _told(row, "suspended", CONFLICT,
                     f"Account {row.account_ref} has another agreement from {row.valid_from} on. "
                     "Say from which later day this one holds.")  # fmt: skip
    agreement = known.agreement_id if known else _added(session, row)
    session.execute(text(_JOIN), place | {"agreement": agreement})
    return _told(row, "applied")


def _added(session: Session, row: AgreementRecord) -> int | None:
    """Add an agreement, and the one above it where that is new as well."""
    if not row.agreement:
        return None
    parent_id = None
    if row.parent:
        above = session.execute(text(_AGREEMENT), {"name": row.parent}).one_or_none()
        parent_id = above.agreement_id if above else _add(session, row.parent, None)
    return _add(session, row.agreement, parent_id)


def _add(session: Session, name: str, parent_id: int | None) -> int:
    made: int = session.execute(text(_ADD), {"name": name, "parent_id": parent_id}).scalar_one()
    return made


def _told(row: AgreementRecord, state: State, reason: str = "", detail: str = "") -> Outcome:
    return Outcome(row.line_no, state, reason, detail)
