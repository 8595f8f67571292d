"""The settlement of content: what was collected for others, named by holder, and the own fee of it.

Charges for the content of others are accrued to 2992 (charity to 2993) like other usage to revenue.
A settlement says of a month whose that is: each charge is split as the tariff says, each part of
it by the terms of its days, the parts are booked under their holders, and the own fee is taken out
with its VAT. What is booked already is
read from the journal; a second settlement of the same charges posts nothing. Why each part is what
it is stays in the vault, and must come to what is posted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.errors import Invalid
from ledger.journal import Line, canonical_dimensions
from ledger.vault import Vault
from mediation.charging import Month
from mediation.records import Int64
from mediation.service import explaining
from mediation.service.dated_charges import DatedCharges
from mediation.service.month_entries import MonthEntries
from rating import service as rating
from rating.dated_shares import (
    Stretch,
    cut_by_hand,
    cut_by_stretch,
    parts_of_sales,
    stretches_of,
)
from rating.revenue_shares import Accounts, Sharing, booking, check_sharing
from rating.service import Charge
from rating.settled_codes import SettledCode, sharing_codes

SOURCE_SYSTEM = "settlement"


@dataclass(frozen=True, slots=True)
class Settled:
    """One line of a settlement, as it stands, and what of it this run posted. [øre]"""

    component: str
    account: str
    holder: str  # "" for what is nobody's in particular
    minor: int
    posted_minor: int


@dataclass(frozen=True, slots=True)
class SettlementOutcome:
    """What a settlement says, line by line. No batch: there was nothing new."""

    lines: tuple[Settled, ...]
    batch_id: int | None


def settle_content(
    session: Session, store: Vault, month: Month, *, dry_run: bool = False,
    actor: str = "system:settlement",
) -> SettlementOutcome:  # fmt: skip
    """Settle a month's charges for the content of others.

    Raises
    ------
    DoesNotTie : explanations, amounts and postings differ; nothing may be committed.
    Invalid : a component that is shared is booked as revenue of our own, or its fee has the VAT of
        another country's provider.
    """
    versions = rating.month_versions(session, month.period)
    shared = stretches_of(versions)
    prefix = f"{month.book_code}/{month.period}/"
    if not shared and not ledger.batch_count(session, SOURCE_SYSTEM, prefix):
        return SettlementOutcome((), None)
    run = MonthEntries.begin(session, month, SOURCE_SYSTEM, "content_settled", vat=True)
    charged: dict[str, list[Charge]] = {}
    for charge in rating.charges_of_usage(session, month.book_code, month.period):
        if charge.key.component in shared:
            charged.setdefault(charge.key.component, []).append(charge)
    dated = DatedCharges(session, store, month, versions)
    codes: list[SettledCode] = []
    wanted: dict[str, list[Line]] = {}  # by document
    vat = ledger.vat_codes_by_document(session, month.book_code, SOURCE_SYSTEM, prefix)
    fees = {document: code for (document, _), code in vat.items()}
    for component, charges in sorted(charged.items()):
        for part in _parts(dated, component, charges, shared[component]):
            document = _document(month, component, part.sharing.fee_vat, fees)
            accounts, rates = _places(session, month, component, part.sharing, charges)
            lines = booking(part.amounts, part.sharing, accounts, rates, parts=part.parts)
            wanted.setdefault(document, []).extend(lines)
            codes += sharing_codes(
                part.label, document, component, part.by_hand, part.sharing, accounts, rates,
                days=part.days, sales=part.sales,
            )  # fmt: skip
    told: list[Settled] = []
    # What is booked and nobody's any more is taken back.
    for document in sorted(wanted.keys() | {name for name, *_ in run.booked}):
        component = document.removeprefix(f"{month.period}/")
        component = component.removesuffix(f"/{fees.get(document, '')}")
        lines, stands = _difference(document, wanted.get(document, ()), run.booked, vat)
        told += [replace(each, component=component) for each in stands]
        run.add(document, f"Settlement of {component}, {month.period}", lines)
    why = explaining.Told(versions[-1].book, codes)
    explaining.prove(run, why)
    batch_id = None if dry_run else explaining.post(session, store, run, why, actor)
    return SettlementOutcome(tuple(told), batch_id)


def _document(month: Month, component: str, fee_vat: str, fees: dict[str, str]) -> str:
    """Name where a component's charges are settled; each VAT code of the fee has its own place.

    So what is taken back later has the code that it was booked with. `fees` is what each document
    has, and learns of a new one.
    """
    document = f"{month.period}/{component}"
    if not fee_vat or fees.setdefault(document, fee_vat) == fee_vat:
        return document
    return f"{document}/{fee_vat}"


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What of a component's charges is shared by one set of terms. [øre]"""

    label: str
    sharing: Sharing
    amounts: Int64
    by_hand: list[int]  # the same, cut with Python's integers
    days: tuple[int, ...]  # the first and the last, where the month has other terms too
    parts: list[int] | None = None  # of the holders, where they have something each time
    sales: list[Sequence[int]] | None = None  # of each charge, what it sums. [millionths]


def _parts(
    dated: DatedCharges, component: str, charges: Sequence[Charge], stretches: Sequence[Stretch]
) -> list[_Part]:
    """Cut charges where terms change; whole charges where they do not. Nobody's days are left."""
    each_time = any(
        share.fixed_micro for one in stretches if one.sharing for share in one.sharing.shares
    )
    if len(stretches) == 1 and not each_time:
        (only,) = stretches
        amounts = [charge.amount_minor for charge in charges]
        assert only.sharing is not None, "a component without shares is in no list"
        return [_Part(only.label, only.sharing, np.array(amounts, np.int64), amounts, ())]
    begun = [each.from_day for each in stretches[1:]]
    whole = dated.until(component, begun, charges, by_sale=each_time)
    until = np.array([one.until_micro for one in whole], np.int64).reshape(-1, len(begun))
    cut = cut_by_stretch(np.array([one.amount_minor for one in whole], np.int64), until)
    by_hand = [cut_by_hand(one.amount_minor, one.until_micro) for one in whole]
    found = []
    for place, each in enumerate(stretches):
        if each.sharing is None:
            continue
        # What has no part in the days is no charge of them.
        mine = [
            n for n, one in enumerate(whole)
            if cut[n, place] or by_hand[n][place] or (one.sales and len(one.sales[place]))
        ]  # fmt: skip
        if not mine:
            continue
        part = _Part(
            each.label, each.sharing, cut[mine, place], [by_hand[n][place] for n in mine],
            (each.from_day, each.to_day - 1) if begun else (),
        )  # fmt: skip
        if each_time and not each.sharing.charity:
            sales = [whole[n].sales[place] for n in mine]
            shares = [
                parts_of_sales(int(minor), np.array(sold, np.int64), each.sharing)
                for minor, sold in zip(part.amounts, sales, strict=True)
            ]
            part = replace(part, parts=np.sum(shares, axis=0).tolist(), sales=sales)
        found.append(part)
    return found


def _places(
    session: Session, month: Month, component: str, sharing: Sharing, charges: Sequence[Charge]
) -> tuple[Accounts, dict[str, int]]:
    """Give accounts and VAT rates of a component's charges, by the rules of the month's end."""
    last = month.after - timedelta(days=1)

    def account(leg: str, selector: str = "*") -> str:
        return ledger.posting_account(
            session, month.book_code, "content_for_others", leg, selector, on=last
        )

    rates: dict[str, int] = {}
    if sharing.fee_vat:
        rates[sharing.fee_vat] = ledger.vat_rate_bp(
            session, month.book_code, sharing.fee_vat, on=last
        )
    check_sharing(sharing, rates)
    collected = account("charity" if sharing.charity else "provider")
    for charge in charges:
        if charge.key.revenue_account != collected:
            others = "charity" if sharing.charity else "content_others"
            raise Invalid(
                f"{component} is shared with {sharing.provider}, but booked on "
                f"{charge.key.revenue_account}. Give the component revenue = {others!r}.",
                component=component,
            )
    accounts = Accounts(
        collected=collected, provider=account("provider"), charity=account("charity"),
        fee=account("fee"), vat={code: account("vat", code) for code, bp in rates.items() if bp},
    )  # fmt: skip
    return accounts, rates


def _difference(
    document: str, wanted: Sequence[Line], booked: Mapping[tuple[str, str, str, str], int],
    vat: Mapping[tuple[str, str], str],
) -> tuple[tuple[Line, ...], list[Settled]]:  # fmt: skip
    """Give the lines that are not booked yet, and how each place stands afterwards."""
    places: dict[tuple[str, str], Line] = {}
    sums: dict[tuple[str, str], int] = {}
    for line in wanted:
        place = (line.account, canonical_dimensions(line.dimensions or {}))
        places.setdefault(place, line)
        sums[place] = sums.get(place, 0) + line.amount_minor
    before = {
        (account, dimensions): minor
        for (name, account, _, dimensions), minor in booked.items()
        if name == document
    }
    lines, stands = [], []
    for place in sorted(sums.keys() | before.keys()):
        minor, added = sums.get(place, 0), sums.get(place, 0) - before.get(place, 0)
        holder = place[1].removeprefix("provider=")
        stands.append(Settled("", place[0], holder, minor, added))
        if added:
            like = places.get(place) or Line(
                account=place[0], amount_minor=0, vat_code=vat.get((document, place[0])),
                dimensions={"provider": holder} if holder else None,
            )  # fmt: skip
            lines.append(replace(like, amount_minor=added))
    return tuple(lines), stands
