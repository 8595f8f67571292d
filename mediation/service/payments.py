"""Book the payments of a bank file, and list the money that no claim has taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, insert, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ledger import service as ledger
from ledger.journal import Posted
from ledger.models import OpenItemRow
from mediation.formats.ocr_giro import Assignment, Payment, Transmission
from mediation.matching import NOT_BOOKED, REASONS, Claim, Match, match, refused
from mediation.models import BankPayment
from mediation.receipts import Accounts, Drafted, Receipt, draft
from party import service as party
from party.identifiers import KID_LENGTH, account_of_kid, is_valid_kid

CURRENCY = "NOK"

_EVENT = "payment"
_CLEARING = "ocr"

_Key = tuple[object, ...]
_Content = tuple[str | None, int]  # KID and amount


@dataclass(frozen=True, slots=True)
class PaymentException:
    """A payment that needs a person. [øre]"""

    line_no: int
    reason: str
    kid: str | None
    amount_minor: int
    party_id: int | None

    @property
    def sentence(self) -> str:
        """Say what is wrong and what to do."""
        return REASONS[self.reason]


@dataclass(frozen=True, slots=True)
class PaymentOutcome:
    """What became of a file's payments: what is booked is allocated or unallocated. [øre]

    What came before, in this file or another, and was booked then, is repeated.
    """

    booked: int
    amount_minor: int
    allocated_minor: int
    unallocated_minor: int
    exceptions: list[PaymentException]
    batch_id: int | None = None
    replayed: bool = False
    repeated: int = 0
    repeated_minor: int = 0


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Money on the unallocated account, positive where we owe it. [øre]"""

    open_item_id: int
    received_on: date
    kid: str | None  # as written
    reason: str | None  # None where the money did not come by a bank file
    party_id: int | None
    document_ref: str
    amount_minor: int
    outstanding_minor: int
    file_id: int | None
    line_no: int | None


def book_payments(
    session: Session,
    file_id: int,
    transmission: Transmission,
    book: str,
    actor: str,
) -> PaymentOutcome:
    """Book the payments of a file in one batch, match them to claims by KID, record each.

    A file that was booked before gives the same answer again. A payment that another file brought
    before, by the bank's key, is the exception `already_booked`.

    Parameters
    ----------
    file_id : of the registered file.
    transmission : read from it; its totals tie.

    Raises
    ------
    UnknownBook
    Problem : the books refuse, for instance `PeriodClosed`; roll back. Nothing is half-booked.

    Source: OCR giro, system specification (Mastercard Payment Services); docs/decisions.md.
    """
    ledger.require_book(session, book)
    # Claims are used up in turn, so one file at a time looks at them.
    ledger.take_turn(session, f"mediation/payments/{book}")
    earlier = _recorded(session, file_id)
    if earlier:
        return _outcome(earlier, replayed=True)
    receipts = _match_all(session, book, transmission)
    source_ref = f"{book}/{transmission.number}/{_fingerprint(transmission)}"
    drafted = draft(receipts, source_ref, lambda day: _accounts(session, book, day))
    posted = None
    if drafted.entries:
        posted = ledger.post_batch(session, drafted.batch(book, source_ref, actor))
    rows = [
        _row(file_id, book, transmission, receipt)
        | _booking(receipt.match, drafted, posted, receipt.payment.line_no)
        for receipt in receipts
    ]
    if rows:
        session.execute(insert(BankPayment), rows)
    return _outcome(rows)


def unmatched(session: Session, book: str, as_of: date | None = None) -> list[Unmatched]:
    """List what waits on the unallocated account at the end of a day, oldest first.

    Every item of the account is listed, so the outstanding amounts sum to its balance (with the
    sign turned: what we owe is positive here).
    """
    account = ledger.posting_account(
        session, book, _EVENT, "unallocated", "*", on=as_of or date.max
    )
    items = ledger.open_items(session, book, effective_as_of=as_of, accounts=[account])
    ids = [item.open_item_id for item in items]
    told = {
        row.unallocated_item_id: row
        for row in session.execute(
            select(
                BankPayment.unallocated_item_id, BankPayment.reason, BankPayment.file_id,
                BankPayment.line_no,
            ).where(_among(BankPayment.unallocated_item_id, ids))
        )
    }  # fmt: skip
    listed = []
    for item in sorted(items, key=lambda item: (item.document_date, item.open_item_id)):
        row = told.get(item.open_item_id)
        listed.append(
            Unmatched(
                open_item_id=item.open_item_id,
                received_on=item.document_date,
                kid=item.kid,
                reason=row.reason if row else None,
                party_id=item.party_id,
                document_ref=item.document_ref,
                amount_minor=-item.original_minor,
                outstanding_minor=-item.outstanding_minor,
                file_id=row.file_id if row else None,
                line_no=row.line_no if row else None,
            )
        )
    return listed


def _match_all(session: Session, book: str, transmission: Transmission) -> list[Receipt]:
    """Match every payment that is not booked yet; give all of them in the order of the file."""
    all_paid = [
        (assignment, payment)
        for assignment in transmission.assignments
        for payment in assignment.payments
    ]
    booked = _booked_keys(session, book, all_paid)
    told: set[tuple[_Key, _Content]] = set()
    verdicts: dict[int, Match] = {}
    fresh: list[Payment] = []
    for assignment, payment in all_paid:
        key, content = _key(assignment, payment), (payment.kid, payment.amount_minor)
        earlier = booked.get(key, set())
        repeated = content in earlier or (key, content) in told
        if payment.amount_minor and (repeated or earlier):
            verdicts[payment.line_no] = refused("already_booked" if repeated else "key_conflict")
        else:
            # In one file a key may come again with other content: each assignment numbers its
            # transactions anew, electronic ones have no form number, and the bank's sums hold both.
            told.add((key, content))
            fresh.append(payment)
    claims = _claims(session, book, sorted({p.kid for p in fresh if p.kid}))
    matches = _name_payers(session, fresh, match(fresh, claims, _check_digit_holds))
    verdicts |= {payment.line_no: found for payment, found in zip(fresh, matches, strict=True)}
    return [
        Receipt(assignment, payment, verdicts[payment.line_no]) for assignment, payment in all_paid
    ]


def _name_payers(
    session: Session, payments: Sequence[Payment], matches: Sequence[Match]
) -> list[Match]:
    """Name the customer where no claim has the KID, but an account of ours stands in it."""
    accounts = [
        account_of_kid(payment.kid) if payment.kid and found.reason == "unknown_kid" else None
        for payment, found in zip(payments, matches, strict=True)
    ]
    named = sorted({number for number in accounts if number})
    payers = {of.number: of.party_id for of in party.billing_accounts(session, numbers=named)}
    return [
        replace(found, party_id=payers[number]) if number in payers else found
        for found, number in zip(matches, accounts, strict=True)
    ]


def _check_digit_holds(kid: str) -> bool:
    """Check a KID; the length decides the method, and older agreements may have had MOD11."""
    return is_valid_kid(kid) or (len(kid) != KID_LENGTH and is_valid_kid(kid, "mod11"))


def _claims(session: Session, book: str, kids: Sequence[str]) -> list[Claim]:
    """Read the claims that carry these KIDs, with those already paid."""
    items = [
        item
        for item in ledger.open_items(session, book, kids=kids, settled=True)
        # Payments carry the KID too; those are credits, or have no customer to claim from.
        if item.original_minor > 0 and item.kind != "payment" and item.currency == CURRENCY
    ]
    rows = session.execute(
        select(OpenItemRow.open_item_id, OpenItemRow.effective_date).where(
            _among(OpenItemRow.open_item_id, [item.open_item_id for item in items])
        )
    )
    dated = {row.open_item_id: row.effective_date for row in rows}
    return [
        Claim(
            open_item_id=item.open_item_id,
            kid=item.kid,
            account=item.account,
            party_id=item.party_id,
            kind=item.kind,
            due_date=item.due_date,
            effective_date=dated[item.open_item_id],
            outstanding_minor=item.outstanding_minor,
        )
        for item in items
        if item.kid is not None and item.party_id is not None
    ]


def _among(column: InstrumentedAttribute[Any], ids: Sequence[int]) -> ColumnElement[bool]:
    """Ask for ids as one array: a statement has room for 65 535 parameters, a file for more."""
    return column == any_(literal(ids, ARRAY(BigInteger)))


def _booked_keys(
    session: Session, book: str, all_paid: Sequence[tuple[Assignment, Payment]]
) -> dict[_Key, set[_Content]]:
    """Find what is booked on these days: the bank's key, and each KID and amount under it."""
    row = BankPayment
    rows = session.execute(
        select(
            row.account, row.settlement_date, row.centre, row.day_code, row.part, row.serial,
            row.tx_no, row.form_no, row.kid, row.amount_minor,
        ).where(
            row.book == book,
            row.entry_id.is_not(None),
            row.settlement_date.in_({payment.settled for _, payment in all_paid}),
            row.account.in_({assignment.account for assignment, _ in all_paid}),
        )
    )  # fmt: skip
    booked: dict[_Key, set[_Content]] = {}
    for found in rows:
        booked.setdefault(tuple(found[:8]), set()).add((found.kid, found.amount_minor))
    return booked


def _key(assignment: Assignment, payment: Payment) -> _Key:
    """Give the bank's key of a payment: of its two records, with the account it is of."""
    return (
        assignment.account, payment.settled, payment.centre, payment.day_code, payment.part,
        payment.serial, payment.tx_no, payment.form_no,
    )  # fmt: skip


def _fingerprint(transmission: Transmission) -> str:
    """Name the content of a transmission, whatever its line ends and its file's number."""
    digest = sha256()
    for assignment in transmission.assignments:
        for payment in assignment.payments:
            key = (*_key(assignment, payment), payment.kid, payment.amount_minor)
            digest.update("|".join(map(str, key)).encode() + b"\n")
    return digest.hexdigest()[:16]


def _accounts(session: Session, book: str, day: date) -> Accounts:
    return Accounts(
        clearing=ledger.posting_account(session, book, _EVENT, "clearing", _CLEARING, on=day),
        unallocated=ledger.posting_account(session, book, _EVENT, "unallocated", "*", on=day),
    )


def _row(
    file_id: int, book: str, transmission: Transmission, receipt: Receipt
) -> dict[str, object]:
    """Write down a payment as the bank told it."""
    assignment, payment = receipt.assignment, receipt.payment
    return {
        "file_id": file_id,
        "line_no": payment.line_no,
        "book": book,
        "transmission_no": transmission.number,
        "assignment_line_no": assignment.line_no,
        "assignment_no": assignment.number,
        "agreement": assignment.agreement,
        "account": assignment.account,
        "kind": payment.kind,
        "tx_no": payment.tx_no,
        "settlement_date": payment.settled,
        "centre": payment.centre,
        "day_code": payment.day_code,
        "part": payment.part,
        "serial": payment.serial,
        "form_no": payment.form_no,
        "archive_ref": payment.reference,
        "kid": payment.kid,
        "amount_minor": payment.amount_minor,
        "bank_date": payment.bank_date,
        "debit_account": payment.debit_account,
        "card_issuer": payment.card_issuer,
        "text": payment.text,
    }


def _booking(
    found: Match, drafted: Drafted, posted: Posted | None, line_no: int
) -> dict[str, object]:
    """Write down what became of a payment."""
    place = drafted.places.get(line_no)
    told: dict[str, object] = {
        "outcome": found.outcome,
        "reason": found.reason,
        "party_id": found.party_id,
        "allocated_minor": found.allocated_minor,
        "unallocated_minor": found.rest_minor,
        "claim_item_ids": [use.claim.open_item_id for use in found.uses],
        "payment_item_ids": [],
        "unallocated_item_id": None,
        "batch_id": None,
        "entry_id": None,
    }
    if place is not None and posted is not None:
        items, index = posted.open_item_ids, place.entry_index
        told |= {
            "payment_item_ids": [items[index, line] for line in place.use_lines],
            "unallocated_item_id": items[index, place.rest_line] if place.rest_line else None,
            "batch_id": posted.batch_id,
            "entry_id": posted.entry_ids[index],
        }
    return told


def _recorded(session: Session, file_id: int) -> Sequence[Mapping[str, Any]]:
    columns = (
        BankPayment.line_no, BankPayment.outcome, BankPayment.reason, BankPayment.kid,
        BankPayment.amount_minor, BankPayment.party_id, BankPayment.allocated_minor,
        BankPayment.unallocated_minor, BankPayment.batch_id,
    )  # fmt: skip
    found = session.execute(
        select(*columns).where(BankPayment.file_id == file_id).order_by(BankPayment.line_no)
    )
    return [dict(row) for row in found.mappings()]


def _outcome(rows: Sequence[Mapping[str, Any]], *, replayed: bool = False) -> PaymentOutcome:
    """Sum up the rows of a file."""
    booked = [row for row in rows if row["outcome"] != NOT_BOOKED]
    repeated = [row for row in rows if row["reason"] == "already_booked"]
    return PaymentOutcome(
        booked=len(booked),
        amount_minor=sum(row["amount_minor"] for row in booked),
        allocated_minor=sum(row["allocated_minor"] for row in booked),
        unallocated_minor=sum(row["unallocated_minor"] for row in booked),
        exceptions=[
            PaymentException(
                row["line_no"], row["reason"], row["kid"], row["amount_minor"], row["party_id"]
            )
            for row in rows
            if row["reason"] is not None
        ],
        batch_id=booked[0]["batch_id"] if booked else None,
        replayed=replayed,
        repeated=len(repeated),
        repeated_minor=sum(row["amount_minor"] for row in repeated),
    )
