"""The settlement of content: what was collected for others, named by holder, and the own fee of it.

Charges for the content of others are accrued to 2992 (charity to 2993) like other usage to revenue.
A settlement says of a month whose that is: each charge is split as the tariff says, the parts are
booked under their holders, and the own fee is taken out with its VAT. What is booked already is
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
from mediation.service import explaining
from mediation.service.month_entries import MonthEntries
from rating import service as rating
from rating.carried import sharing_by_component
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
    book = rating.tariff_book(session, month.first_day)
    shared = sharing_by_component(book.tariff.carried, month.first_day)
    if not shared:
        return SettlementOutcome((), None)
    run = MonthEntries.begin(session, month, SOURCE_SYSTEM, "content_settled", vat=True)
    charged: dict[str, list[Charge]] = {}
    for charge in rating.charges_of_usage(session, month.book_code, month.period):
        if charge.key.component in shared:
            charged.setdefault(charge.key.component, []).append(charge)
    told: list[Settled] = []
    codes: list[SettledCode] = []
    for component, charges in sorted(charged.items()):
        document, sharing = f"{month.period}/{component}", shared[component]
        accounts, rates = _places(session, month, component, sharing, charges)
        amounts = [charge.amount_minor for charge in charges]
        wanted = booking(np.array(amounts, np.int64), sharing, accounts, rates)
        codes += sharing_codes(book, document, component, amounts, sharing, accounts, rates)
        lines, stands = _difference(document, wanted, run.booked)
        told += [replace(each, component=component) for each in stands]
        run.add(document, f"Settlement of {component}, {month.period}", lines)
    why = explaining.Told(book, codes)
    explaining.prove(run, why)
    batch_id = None if dry_run else explaining.post(session, store, run, why, actor)
    return SettlementOutcome(tuple(told), batch_id)


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
    document: str, wanted: Sequence[Line], booked: Mapping[tuple[str, str, str, str], int]
) -> tuple[tuple[Line, ...], list[Settled]]:
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
                account=place[0], amount_minor=0,
                dimensions={"provider": holder} if holder else None,
            )  # fmt: skip
            lines.append(replace(like, amount_minor=added))
    return tuple(lines), stands
