"""The usage half of a rating run: events priced, explained and kept; what has no price waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from ledger.vault import Vault
from mediation.charging import USAGE, Found, Month, Setting, charge_key, usage_owed
from mediation.counter_files import Standing, write_counters
from mediation.rated_files import Owners, batch_of, event_names, write_rated
from mediation.records import Int64
from mediation.remainder_files import write_remainder
from mediation.service.contract_charges import charge_beyond_fair_use, charge_pools
from mediation.service.contracts import Contracts
from mediation.service.frame_charges import charge_usage_frames
from mediation.service.granting import Granted, grant
from mediation.service.payers import payers_of
from mediation.service.sharing import pools_of, with_pools
from mediation.service.suspense import (
    Suspended,
    release_priced,
    suspend_rated,
    unpriced_places,
)
from mediation.usage_files import PRICE_COLUMNS
from mediation.wallclock import day_used, local_days
from rating.carried_usage import in_codes_of, with_vat_rates
from rating.clock import month_number
from rating.codes import Codes, check_codes, codes_of
from rating.pipeline import Rated, rate
from rating.rollover import remainder_of
from rating.tariff import TariffBook
from rating.top_ups import TopUps
from rating.usage import Int16, Reason, UsageBatch
from rating.versions import InForce, RatedPart, RatedVersions, rate_versions

EVENTS_PER_OBJECT = 250_000


@dataclass(frozen=True, slots=True, eq=False)
class RatedUsage:
    """A month's usage, priced: row by row as in `table`."""

    table: pa.Table  # accepted usage
    book: TariffBook
    owners: Owners
    batch: UsageBatch
    subscription: Int64  # ids
    payer: Int64  # ids of billing accounts
    rated: Rated
    parts: tuple[RatedPart, ...]  # the events of each version that priced some
    codes: tuple[Codes, ...]  # of the parts
    top_ups: tuple[TopUps, ...]  # what was bought in the month, in the codes of the parts
    remainder_in: str | None  # what rolled over from the month before, in the vault

    def counters(self) -> bytes:
        """Write what each version was granted, and how allowances stand after it."""
        standing = [
            Standing(part.rated.counters, part.book, bought)
            for part, bought in zip(self.parts, self.top_ups, strict=True)
        ]
        return write_counters(standing, self.owners)

    def remainder(self, month: Month) -> bytes | None:
        """Write what rolls over into the next month; None where nothing does."""
        last = self.parts[-1]
        left = remainder_of(
            last.rated.counters, last.book, month_number(month.period), self.top_ups[-1]
        )
        return write_remainder(left, last.book, self.owners) if len(left.owner) else None

    @property
    def reason(self) -> Int16:
        """Why each event has no price in the version of its start; OK where it has one."""
        found: Int16 = RatedVersions(self.parts).column("reason")
        return found

    @property
    def unpriced(self) -> int:
        """How many events have no price."""
        return int((self.reason != Reason.OK).sum())


def rate_usage(
    session: Session, store: Vault, month: Month, versions: Sequence[InForce], usage: pa.Table,
    vat_rates_bp: Mapping[str, int], contracts: Contracts,
) -> RatedUsage:  # fmt: skip
    """Rate all usage of the month, each event by the version of its start, and explain it.

    Nothing is kept yet. `book` is the version of the month's first day: what is settled once for
    the month goes by it, and `batch` and `rated` have its codes.

    Raises
    ------
    DoesNotTie : an event's amount is not what its explanation sums to.
    """
    pools = pools_of(versions, contracts.agreed)
    usage = with_pools(usage, pools)
    granted = grant(session, store, month, versions, usage, pools, contracts)
    return rate_granted(versions, usage, granted, vat_rates_bp)


def rate_granted(
    versions: Sequence[InForce], usage: pa.Table, granted: Granted, vat_rates_bp: Mapping[str, int]
) -> RatedUsage:
    """Rate and explain usage with what was granted to each version; raises as `rate_usage`.

    Parameters
    ----------
    vat_rates_bp : by VAT code; events that were rated before keep the rate they were rated with.
    """
    book, owners = versions[0].book, granted.owners
    batch, subscription, payer = batch_of(usage, book, owners)
    if len(versions) == 1:
        batch = with_vat_rates(batch, book, vat_rates_bp)
        rated = rate(batch, book, granted.counters[0], top_ups=granted.top_ups[0])
        part = RatedPart(book, np.arange(len(batch)), batch, rated)
        return RatedUsage(
            usage, book, owners, batch, subscription, payer, rated, (part,), (_explained(part),),
            granted.top_ups, granted.remainder_in,
        )  # fmt: skip
    names: list[str] = []
    if usage.num_rows:
        named = usage["offering"].combine_chunks().dictionary_encode()
        names = named.dictionary.to_pylist()
        batch = replace(batch, offering=named.indices.to_numpy().astype(np.int32))
    service, services = event_names(usage, "service")
    currency, currencies = event_names(usage, "currency")
    if batch.service is not None:
        batch = replace(batch, service=service, currency=currency)
    month_rated = rate_versions(
        batch, names, versions, granted.counters, granted.top_ups, services, currencies,
        vat_rates_bp,
    )  # fmt: skip
    codes = tuple(_explained(part) for part in month_rated.parts)
    batch = in_codes_of(book, batch, services, currencies)
    batch, rated = month_rated.in_codes_of(book, batch)
    return RatedUsage(
        usage, book, owners, batch, subscription, payer, rated, month_rated.parts, codes,
        granted.top_ups, granted.remainder_in,
    )  # fmt: skip


def _explained(part: RatedPart) -> Codes:
    codes = codes_of(part.batch, part.rated, part.book)
    check_codes(codes, part.batch, part.rated, part.book)
    return codes


def add_usage(
    session: Session, month: Month, setting: Setting, used: RatedUsage, contracts: Contracts,
    found: Found,
) -> None:  # fmt: skip
    """Sum what the events cost, by charge; their explanations must sum to the same."""
    payers = payers_of(session, set(used.payer.tolist()))
    last_day = month.first_day if used.unpriced == len(used.batch) else _last_day(used.table)
    for part, codes in zip(used.parts, used.codes, strict=True):
        owed = usage_owed(
            part.rated, part.book, part.batch.offering.astype(np.int64),
            used.subscription[part.rows], used.payer[part.rows], part.batch.quantity,
            codes.amount_micro,
        )  # fmt: skip
        for (account, subscriber, component, basis), amount in owed.items():
            key = charge_key(
                part.book, setting, payers[account], subscriber, component, basis, USAGE
            )
            found.add(key, amount, last_day)
    book, events, rated, subscription = used.book, used.batch, used.rated, used.subscription
    charge_usage_frames(
        month, used.parts, setting, subscription, used.payer, payers, contracts.agreed, found
    )
    charge_pools(session, contracts, book, setting, events, rated, subscription, found, last_day)
    charge_beyond_fair_use(
        session, contracts.active, book, setting, events, rated, used.parts, subscription,
        used.payer, found, last_day,
    )  # fmt: skip


def settle_suspense(session: Session, month: Month, used: RatedUsage, actor: str) -> None:
    """Release usage that has a price now, and suspend what has none."""
    _release_priced(session, used.table, used.reason, month, actor)
    _suspend_unpriced(session, used.table, used.reason, month)


def store_rated(store: Vault, used: RatedUsage) -> list[str]:
    """Keep rated events, version by version in order of their keys: the same give the same."""
    refs = []
    for part, codes in zip(used.parts, used.codes, strict=True):
        table = used.table if len(used.parts) == 1 else used.table.take(pa.array(part.rows))
        order = np.argsort(part.batch.event_key, kind="stable")
        for begin in range(0, len(order), EVENTS_PER_OBJECT):
            rows = order[begin : begin + EVENTS_PER_OBJECT]
            refs.append(
                store.put(
                    write_rated(table, part.batch, part.rated, codes, part.book, rows), "traffic"
                ).sha256
            )
    return refs


def _release_priced(
    session: Session, usage: pa.Table, reason: Int16, month: Month, actor: str
) -> None:
    """Release usage that an earlier run could not price and this one can, by a newer tariff."""
    waiting = unpriced_places(session)
    if not waiting or not usage.num_rows:
        return
    place = [usage[name].to_numpy() for name in ("file_id", "record_no", "part_no")]
    near = (reason == Reason.OK) & np.isin(place[1], [record for _, record, _ in waiting])
    priced = set(zip(*(column[near].tolist() for column in place), strict=True))
    release_priced(session, priced & waiting.keys(), f"rating {month.period}", actor)


def _suspend_unpriced(session: Session, usage: pa.Table, reason: Int16, month: Month) -> None:
    rows = np.flatnonzero(reason != Reason.OK)
    if not len(rows):
        return
    place = {
        name: usage[name].take(pa.array(rows)).to_pylist()
        for name in ("file_id", "record_no", "part_no", "offset", "seconds", "octets",
                     "called_text", "offering", "started_at", *PRICE_COLUMNS)
        if name in usage.column_names
    }  # fmt: skip
    suspend_rated(
        session,
        [
            Suspended(
                file_id=place["file_id"][n], record_no=place["record_no"][n],
                part_no=place["part_no"][n], reason="NO_RATE",
                detail=_why(Reason(int(reason[row])), {name: of[n] for name, of in place.items()}),
                byte_offset=place["offset"][n], seconds=place["seconds"][n],
                octets=place["octets"][n], used_on=day_used(place["started_at"][n]),
            )
            for n, row in enumerate(rows.tolist())
        ],
        cause=f"rating {month.period}",
    )  # fmt: skip


def _why(reason: Reason, event: Mapping[str, Any]) -> str:
    """Say why an event has no price, and what is to be done."""
    service = event.get("service")
    if not service:
        told = event["called_text"] or "this usage"
        return (
            f"{reason.name}: offering {event['offering']} has no price for {told}. "
            "Add it to the tariff."
        )
    if reason is Reason.NO_PRICE:
        return (
            f"{reason.name}: service {service} is priced by what its events bring, and this one "
            "brought no price. Reverse its file and send it again with prices."
        )
    return (
        f"{reason.name}: the tariff has no terms for {service} on that day, or no rate of "
        f"{event['currency']}. Add [[carried]] or [[exchange]]."
    )


def _last_day(usage: pa.Table) -> date:
    latest = usage["started_at"].to_numpy().max()
    day: date = local_days(np.array([latest])).astype(object)[0]
    return day
