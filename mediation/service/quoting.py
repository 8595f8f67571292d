"""Quotes of subscriptions that exist, by the very functions that charge a month.

The use that the last run knows is priced without what is asked and with it, for the subscription
and for everybody who shares something with it: what is asked costs the difference. So an agreed
price, the account's own frame, discounts for what else it has, pools, fair use, terms that run and
cumulative rounding are in it as they are in the bill. Nothing is written.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from ledger.errors import NotFound
from mediation.charging import NOTHING, USAGE, Found, Month
from mediation.service.balances import balance_after
from mediation.service.contracts import Contracts, contracts_in
from mediation.service.quoted_left_out import left_out_of
from mediation.service.quoted_use import (
    Case,
    asked_use,
    earlier_use,
    joined,
    rate_as_said,
    rate_use,
)
from mediation.service.reckoning import month_setting
from mediation.service.service_charges import charge_orders, charge_services
from mediation.service.sharing import pools_of, topmost_agreements
from mediation.service.usage_rating import RatedUsage, add_usage
from mediation.service.what_if import as_asked
from party import service as party
from party.service import OrderCharge
from rating import service as rating
from rating.charges import ChargeKey, deltas, rounded
from rating.explain import kroner
from rating.flat_codes import say_flat
from rating.phrases import PHRASES, Language
from rating.quoted_asking import Asked
from rating.quoting import (
    Quote,
    QuotedCharge,
    QuotedEvent,
    check_asked,
    quoted_event,
    totals_of,
)
from rating.tariff_terms import AGREEMENT
from rating.usage import Reason
from rating.versions import InForce

_Sold = tuple[int, str, str]  # billing account, component, price basis


def quote_of(
    session: Session, asked: Asked, language: Language, reference: str,
    versions: Sequence[InForce], book: str, effective_as_of: datetime | None = None,
    known_as_of: datetime | None = None,
) -> Quote:  # fmt: skip
    """Quote a subscription that exists.

    Parameters
    ----------
    reference : as the order systems name it, or its number (MSISDN) in the month.
    effective_as_of, known_as_of : of use before the one, as a run knew it at the other.

    Raises
    ------
    NotFound : nobody has it in the month.
    NotActive : it is not active when it would have to be.
    Invalid : it is to be added again, or nothing can be left as is said.
    OfferingUnknown : no version of the month sells what it has, or what is asked.
    """
    case = _case(session, asked, reference, versions, book, known_as_of)
    contracts = _circle(case)
    wished = as_asked(contracts, case.found.subscription_id, reference, asked)
    for stretch in wished.stretches:
        check_asked(versions, Asked(stretch.offering, asked.period))
    earlier = earlier_use(case, contracts, effective_as_of)
    use = asked_use(case, versions[0].book.tariff, wished, earlier.num_rows)
    before = rate_use(case, contracts, earlier)
    balance = balance_after(
        before, reference, case.found, _pool(case, contracts), case.run, effective_as_of
    )
    if asked.remaining:
        before = rate_as_said(case, wished, balance.remaining, pa.table({}))
        after = rate_as_said(case, wished, balance.remaining, use)
    else:
        after = rate_use(case, wished.contracts, joined(earlier, use))
    by_use = _by_use(case, contracts, before), _by_use(case, wished.contracts, after)
    # Months of a large agreement are charged once where what is asked changes no contract.
    after_flat = _flat(case, wished.contracts, wished.ordered)
    before_flat = after_flat if wished.contracts is contracts else _flat(case, contracts, ())
    whole = wished.asked_days is wished.contracts
    asked_for = after_flat if whole else _flat(case, wished.asked_days, wished.ordered)
    first_key = earlier.num_rows
    dearer = _earlier(case, after, first_key)
    dearer.subtract(_earlier(case, before, first_key))
    charges, totals = _difference(
        case, _own(case, by_use[0]), _own(case, by_use[1], asked_for), dearer, language
    )
    others = _of_others(case, by_use[1], after_flat) - _of_others(case, by_use[0], before_flat)
    asked_rows = after.batch.event_key >= first_key
    missing = left_out_of(case, before.subscription, after, asked_rows, others, language)
    return Quote(
        tuple(one.book.label for one in versions), _events(after, first_key, language),
        charges, *totals, balance=balance, left_out=tuple(missing),
    )  # fmt: skip


def _case(
    session: Session, asked: Asked, reference: str, versions: Sequence[InForce], book: str,
    known_as_of: datetime | None,
) -> Case:  # fmt: skip
    month = Month(book, asked.period)
    found = party.subscription_in(session, reference, *month.instants())
    if found is None:
        raise NotFound(
            f"No subscription {reference} is active in {asked.period}. Give its reference in the "
            "order system, or its number with country code: 4791000001."
        )
    check_asked(versions, asked)
    return Case(
        session, month, versions, month_setting(session, month, versions), reference, found, asked,
        rating.last_run(session, asked.period, known_as_of), known_as_of,
    )  # fmt: skip


def _circle(case: Case) -> Contracts:
    """Read the contracts of the subscription, and of all who may share something with it.

    Those are all that its accounts pay for in the month and, where the tariff lets agreements
    share, all under the same topmost agreement.
    """
    own = party.active_intervals(
        case.session, *case.month.instants(), subscriptions=[case.found.subscription_id]
    )
    accounts = set(own.billing_account_id.tolist())
    agreed = party.agreements_on(case.session, case.month.first_day)
    sold = [terms for one in case.versions for terms in one.book.tariff.offerings]
    scopes = {part.scope for terms in sold for part in terms.allowances}
    scopes |= {part.scope for terms in sold for part in terms.pools}
    if AGREEMENT in scopes:
        topmost = topmost_agreements(agreed)
        above = {topmost[one] for one in accounts if one in topmost}
        accounts |= {one for one, top in topmost.items() if top in above}
    return contracts_in(case.session, case.month, accounts)


def _pool(case: Case, contracts: Contracts) -> int:
    """Say whose balances the subscription may draw on at the end of the month."""
    account = np.array([case.found.billing_account_id], np.int64)
    pools = pools_of(case.versions, contracts.agreed)
    return int(pools.of_offerings(account, [case.found.offering])[0])


# Charges ---------------------------------------------------------------------------------------


def _by_use(case: Case, contracts: Contracts, used: RatedUsage) -> Found:
    """Charge use, of everybody whose contracts these are."""
    found = Found()
    add_usage(case.session, case.month, case.setting, used, contracts, found)
    return found


def _flat(case: Case, contracts: Contracts, ordered: Sequence[OrderCharge]) -> Found:
    """Charge months and orders where a month is asked for; else only the orders `ordered`."""
    found = Found()
    if case.asked.active_from is not None:
        charge_services(case.session, case.month, case.versions, case.setting, contracts, found)
    else:
        only = replace(contracts, ordered=tuple(ordered))
        charge_orders(case.session, case.versions, case.setting, only, found)
    return found


def _own(case: Case, *parts: Found) -> Found:
    """Take the charges of the subscription that is asked about."""
    found = Found()
    for part in parts:
        for key, owed in part.owed.items():
            if key.subscription_id == case.found.subscription_id:
                found.add(key, owed, part.last_day)
        found.codes += part.codes
    return found


def _of_others(case: Case, *parts: Found) -> int:
    """Sum the charges of others. [millionths]"""
    return sum(
        owed.micro
        for part in parts
        for key, owed in part.owed.items()
        if key.subscription_id != case.found.subscription_id
    )


def _difference(
    case: Case, stood: Found, stands: Found, dearer: Mapping[_Sold, int], language: Language
) -> tuple[tuple[QuotedCharge, ...], tuple[int, int, int]]:
    """Give what the subscription's charges would change by, rounded as runs round: and totals.

    Parameters
    ----------
    dearer : what use that was rated before costs more, or less, with what is asked. [millionths]
    """
    keys = [
        key
        for key in dict.fromkeys((*stands.owed, *stood.owed))
        if _counts(stands, key) != _counts(stood, key)
    ]
    gross = np.array([key.price_basis == "gross" for key in keys], np.bool_)
    rates = np.array([key.vat_rate_bp for key in keys], np.int64)
    was, will = (
        np.array([side.owed.get(key, NOTHING).micro for key in keys], np.int64)
        for side in (stood, stands)
    )
    change = deltas(rounded(was, gross, rates), will, gross, rates)
    amounts = np.where(gross, change.minor_gross, change.minor_net).tolist()
    numbers = _account_numbers(case, keys)
    charges = tuple(
        QuotedCharge(
            key.component, key.kind, key.text, key.price_basis, key.vat_code,
            _counts(stands, key)[1] - _counts(stood, key)[1], int(change.micro[n]), amounts[n],
            _sentences(key, stood, stands, dearer, language), numbers[key.billing_account_id],
        )
        for n, key in enumerate(keys)
    )  # fmt: skip
    return charges, totals_of(change, gross, rates)


def _counts(side: Found, key: ChargeKey) -> tuple[int, int, int]:
    owed = side.owed.get(key, NOTHING)
    return owed.micro, owed.quantity, owed.events


def _sentences(
    key: ChargeKey, stood: Found, stands: Found, dearer: Mapping[_Sold, int], language: Language
) -> tuple[str, ...]:  # fmt: skip
    """Explain what of a charge the events that are asked about do not explain."""
    say = PHRASES[language]
    told = [say_flat(code, key.text, language) for of, code in stands.codes if of == key]
    if told and any(of == key for of, _ in stood.codes):
        told.append(say["later"])
    sold = (key.billing_account_id, key.component, key.price_basis)
    if key.kind == USAGE and (micro := dearer.get(sold, 0)):
        told.append(say["dearer"].format(text=key.text, amount=kroner(micro, language)))
    return tuple(told)


def _earlier(case: Case, used: RatedUsage, first_key: int) -> Counter[_Sold]:
    """Sum what the subscription's events cost that were rated before. [millionths]"""
    sums: Counter[_Sold] = Counter()
    for part in used.parts:
        mine = used.subscription[part.rows] == case.found.subscription_id
        mine &= (part.batch.event_key < first_key) & (part.rated.reason == Reason.OK)
        payer, gross = used.payer[part.rows], part.book.sold_gross(part.batch.offering)
        for row in np.flatnonzero(mine).tolist():
            component = part.book.components[int(part.rated.component[row])]
            sold = (int(payer[row]), component, "gross" if gross[row] else "net")
            sums[sold] += int(part.rated.amount_micro[row])
    return sums


def _account_numbers(case: Case, keys: Sequence[ChargeKey]) -> Mapping[int, str]:
    ids = {key.billing_account_id for key in keys}
    found = party.billing_accounts(case.session, ids=sorted(ids))
    return {one.billing_account_id: one.number for one in found}


def _events(used: RatedUsage, first_key: int, language: Language) -> tuple[QuotedEvent, ...]:
    """Give the events that were asked about, in the order in which they were asked."""
    found: dict[int, QuotedEvent] = {}
    for part in used.parts:
        for row in np.flatnonzero(part.batch.event_key >= first_key).tolist():
            found[int(part.batch.event_key[row])] = quoted_event(part, row, language)
    return tuple(found[key] for key in sorted(found))
