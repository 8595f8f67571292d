"""A month rated again with another tariff: the past is repeated first, then differences booked.

The events of the last run, its tariff and what it had granted must first give what is booked, event
by event; services must, charge by charge. Only then is the new result compared and posted. The
month keeps the tariff it was rated again with until it is rated again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from ledger.errors import DoesNotTie, Invalid, NotFound
from ledger.money import format_amount
from ledger.vault import Vault
from mediation.charging import (
    Difference,
    Found,
    Month,
    Standing,
    identity,
)
from mediation.counter_files import read_grants, read_top_ups
from mediation.rated_files import Owners, batch_of, owners_of
from mediation.records import Int64
from mediation.service.rating_run import RatingOutcome, rate_followers, record
from mediation.service.reckoning import (
    BilledKeys,
    Reckoning,
    all_month,
    lock_period,
    month_setting,
    reckon,
)
from mediation.service.service_charges import charge_services
from mediation.service.usage_rating import RatedUsage, add_usage, rate_granted
from mediation.usage_files import read_parquet
from party import service as party
from rating import service as rating
from rating.allowances import Counters
from rating.charges import ChargeKey
from rating.models import RatingRun
from rating.rerating import Correction, Result, Snapshot, rerate, result_of
from rating.service import Correcting
from rating.tariff import TariffBook
from rating.top_ups import TopUps

_TOLD = 5


@dataclass(frozen=True, slots=True)
class Change:
    """What a component of a subscription came to and comes to, on all its charges. [øre]"""

    account_no: str
    subscription_id: int
    component: str
    kind: str
    price_basis: str  # gross: with VAT, net: without
    before_minor: int
    after_minor: int
    billing_period: str  # the bill that the difference comes on
    accounting_month: str

    @property
    def difference_minor(self) -> int:
        """What is credited (below zero) or charged."""
        return self.after_minor - self.before_minor


@dataclass(frozen=True, slots=True)
class Rerated:
    """What rating a month again changes, or would change."""

    period: str
    tariff_before: str
    tariff_after: str
    rated_again: int  # events of the pools concerned
    events_changed: int
    changes: tuple[Change, ...]
    outcome: RatingOutcome | None  # None: a dry run

    @property
    def difference_minor(self) -> int:
        """What all changes sum to, each in the basis of its price. [øre]"""
        return sum(change.difference_minor for change in self.changes)


def rerate_period(
    session: Session,
    store: Vault,
    month: Month,
    billed_keys: BilledKeys,
    *,
    actor: str,
    reason: str,
    tariff: str | None = None,
    dry_run: bool = False,
) -> Rerated:
    """Rate a month again and book the differences; the second time there are none.

    Parameters
    ----------
    tariff : NAME/VERSION; by default the one in force on the month's first day.
    reason : why, in words; kept with the run.
    dry_run : say what would change, and record nothing.

    Raises
    ------
    NotFound : the month was never rated.
    DoesNotTie : the past cannot be repeated, or two ways to the new result differ; nothing may be
        committed.
    """
    if not reason.strip():
        raise Invalid("Rating again changes what customers pay: say why, in words.")
    lock_period(session, month)
    last = rating.last_run(session, month.period)
    if last is None:
        raise NotFound(
            f"{month.period} was never rated. Rate it with hovedbok rating run --month "
            f"{month.period}."
        )
    old_book = rating.tariff_book_by_hash(session, last.tariff_hash)
    new_book = _one_version(session, month, last, tariff)
    reckoned = reckon(session, store, month, all_month(new_book, month), billed_keys)
    again, correction = _correct(store, last, old_book, reckoned)
    _repeat(session, month, again, reckoned.standing)
    reckoned = replace(reckoned, booked=tuple(map(_labelled, reckoned.booked)))
    changes = tuple(_changes(session, reckoned))
    outcome = None
    if not dry_run:
        outcome = record(session, store, reckoned, actor, Correcting(last.run_id, reason))
        followed = rate_followers(session, store, month, billed_keys, actor)
        outcome = replace(outcome, followed=followed)
    return Rerated(
        month.period, old_book.label, new_book.label, correction.rated_again,
        len(correction.event_key), changes, outcome,
    )  # fmt: skip


def _one_version(session: Session, month: Month, last: RatingRun, tariff: str | None) -> TariffBook:
    """Choose the tariff to rate with; pools are compared between one version and another.

    Raises `Invalid` for a month of several versions: a plain run rates it in full.
    """
    before = last.counts.get("tariffs", [])
    if tariff is None:
        versions = rating.tariff_versions(session, month.first_day, month.after)
        before = [*before, *(one.book.label for one in versions)] if len(versions) > 1 else before
        book = versions[0].book
    else:
        book = rating.tariff_book_labelled(session, tariff)
    if len(set(before)) > 1:
        raise Invalid(
            f"{month.period} has several versions of the tariff, {', '.join(sorted(set(before)))}. "
            f"A plain run rates all of it by them: hovedbok rating run --month {month.period}."
        )
    return book


def as_facts(done: Rerated) -> dict[str, Any]:
    """Show what rating again changes as JSON: amounts as decimal strings."""
    return {
        "period": done.period,
        "tariff_before": done.tariff_before,
        "tariff_after": done.tariff_after,
        "events_rated_again": done.rated_again,
        "events_changed": done.events_changed,
        "difference": format_amount(done.difference_minor),
        "recorded": done.outcome is not None,
        "batch_id": done.outcome and done.outcome.batch_id,
        "changes": [_change(change) for change in done.changes],
    }


def _change(change: Change) -> dict[str, Any]:
    plain = asdict(change)
    del plain["before_minor"], plain["after_minor"]
    return {
        **plain,
        "before": format_amount(change.before_minor),
        "after": format_amount(change.after_minor),
        "difference": format_amount(change.difference_minor),
    }


# The past -------------------------------------------------------------------------------------


def _correct(
    store: Vault, last: RatingRun, old_book: TariffBook, reckoned: Reckoning
) -> tuple[RatedUsage, Correction]:
    """Repeat the last run, and compare it with the new result in the pools that differ."""
    booked_events = _events_of(store, last)
    used = reckoned.used
    owners = owners_of(booked_events, used.table)
    charge_of = _charges_of(_payers(booked_events, old_book), _payers(used.table, reckoned.book))
    grants = _grants(store, last, old_book, owners)
    again = rate_granted(old_book, booked_events, owners, *grants)
    old = Snapshot(again.batch, old_book, grants[0], charge_of[0], grants[1])
    new_batch, _, _ = batch_of(used.table, reckoned.book, owners)
    granted, bought = _recoded(used, owners)
    new = Snapshot(new_batch, reckoned.book, granted, charge_of[1], bought)
    correction = rerate(old, _booked(booked_events, again.batch.event_key, charge_of[0]), new)
    _agree(correction.after, result_of(used.rated, new))
    return again, correction


def _events_of(store: Vault, run: RatingRun) -> pa.Table:
    """Read what a run rated; raises `DoesNotTie` for one from before events kept their codes."""
    tables = [read_parquet(store.open(name)) for name in run.rated_refs]
    table = pa.concat_tables(tables) if tables else pa.table({})
    if tables and "called" not in table.column_names:
        raise DoesNotTie(
            f"Run {run.run_id} of {run.period} kept no numbers with its events, so it cannot be "
            f"repeated. Rate the month once more first: hovedbok rating run --month {run.period}."
        )
    return table


def _grants(
    store: Vault, run: RatingRun, book: TariffBook, owners: Owners
) -> tuple[Counters, TopUps]:
    """Read what a run was granted, and what was bought."""
    if run.counters_sha256 is None:
        return Counters.none(), TopUps.none()
    table = read_parquet(store.open(run.counters_sha256))
    return read_grants(table, book, owners), read_top_ups(table, book, owners)


def _recoded(used: RatedUsage, owners: Owners) -> tuple[Counters, TopUps]:
    """Give what the new run was granted, in the codes of both snapshots."""
    table = read_parquet(pa.BufferReader(used.counters()))
    return read_grants(table, used.book, owners), read_top_ups(table, used.book, owners)


def _payers(table: pa.Table, book: TariffBook) -> Int64:
    """Give account, subscription and price basis of each event: what tells its charge."""
    if not table.num_rows:
        return np.zeros((3, 0), np.int64)
    gross = np.array([o.price_basis == "gross" for o in book.tariff.offerings] + [False], np.int64)
    offering = book.offering_codes(table["offering"].to_pylist())
    return np.stack([
        table["billing_account_id"].to_numpy(), table["subscription_id"].to_numpy(),
        gross[offering],
    ])  # fmt: skip


def _charges_of(old: Int64, new: Int64) -> tuple[Int64, Int64]:
    """Number the charges of both snapshots alike."""
    both = np.concatenate([old, new], axis=1)
    if not both.shape[1]:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    _, place = np.unique(both, axis=1, return_inverse=True)
    number = place.ravel().astype(np.int64)
    return number[: old.shape[1]], number[old.shape[1] :]


def _booked(table: pa.Table, event_key: Int64, charge: Int64) -> Result:
    """Read what a run booked of each event, in order of event keys."""
    order = np.argsort(event_key, kind="stable")
    if not table.num_rows:
        none = np.zeros(0, np.int64)
        return Result(none, none, np.zeros(0, np.str_), none, none, none, none,
                      np.zeros(0, np.int16))  # fmt: skip
    column = {
        name: table[name].to_numpy()[order]
        for name in ("event_key", "amount_micro", "quantity", "free_quantity", "billed_units",
                     "reason")
    }  # fmt: skip
    component = np.array(table["component"].to_pylist())[order]
    return Result(charge=charge[order], component=component, **column)


def _agree(corrected: Result, whole: Result) -> None:
    """Refuse a result of the pools concerned that is not part of the result of the whole month."""
    for column in fields(Result):
        wrong = getattr(corrected, column.name) != getattr(whole, column.name)
        if np.any(wrong):
            raise DoesNotTie(
                f"Rated by pools, {int(np.sum(wrong))} events have another {column.name} than in "
                "the whole month. Nothing is recorded."
            )


def _repeat(
    session: Session, month: Month, again: RatedUsage, standing: Sequence[Standing]
) -> None:
    """Refuse to go on where the charges of the last run, at its prices, are not what is booked."""
    found, book = Found(), again.book
    versions = all_month(book, month)
    setting = month_setting(session, month, versions)
    add_usage(session, month, setting, again, found)
    charge_services(session, month, versions, setting, found)
    owed = _by_name((key, amount.micro) for key, amount in found.owed.items())
    stands = _by_name((one.key, one.micro) for one in standing)
    differing = [
        key for name, (key, micro) in sorted((owed | stands).items(), key=lambda item: item[0])
        if owed.get(name, (key, 0))[1] != stands.get(name, (key, 0))[1]
    ]  # fmt: skip
    if differing:
        told = "; ".join(
            f"{key.component} of subscription {key.subscription_id} is booked at "
            f"{stands.get(_name(key), (key, 0))[1]} millionths, {book.label} gives "
            f"{owed.get(_name(key), (key, 0))[1]}"
            for key in differing[:_TOLD]
        )
        raise DoesNotTie(
            f"{len(differing)} charges cannot be repeated: {told}. Nothing is rated "
            f"again until they agree; orders may have come since. Rate the month with its own "
            f"tariff first: hovedbok rating run --month {month.period} --tariff {book.label}.",
            differing=len(differing),
        )


def _name(key: ChargeKey) -> str:
    return repr(identity(key))


def _by_name(amounts: Iterable[tuple[ChargeKey, int]]) -> dict[str, tuple[ChargeKey, int]]:
    sums: dict[str, tuple[ChargeKey, int]] = {}
    for key, micro in amounts:
        name = _name(key)
        sums[name] = (key, sums.get(name, (key, 0))[1] + micro)
    return sums


# The difference ---------------------------------------------------------------------------------


def _labelled(one: Difference) -> Difference:
    """Let the bill say of a difference to an earlier bill that a price was corrected."""
    if one.key.billing_period == one.key.usage_period:
        return one
    return replace(one, key=replace(one.key, text=f"{one.key.text}, rettet pris"))


def _changes(session: Session, reckoned: Reckoning) -> Iterable[Change]:
    """Say per component of a subscription what was booked and what will be."""
    before: Mapping[str, int] = _sums(
        (one.key, one.minor_gross if one.key.price_basis == "gross" else one.minor_net)
        for one in reckoned.standing
    )
    accounts = {one.key.billing_account_id for one in reckoned.booked}
    numbers = {
        one.billing_account_id: one.number
        for one in party.billing_accounts(session, ids=sorted(accounts))
    }
    for one in reckoned.booked:
        key = one.key
        stood = before.get(_name(key), 0)
        added = one.minor_gross if key.price_basis == "gross" else one.minor_net
        yield Change(
            numbers[key.billing_account_id], key.subscription_id, key.component, key.kind,
            key.price_basis, stood, stood + added, key.billing_period, key.accounting_month,
        )  # fmt: skip


def _sums(amounts: Iterable[tuple[ChargeKey, int]]) -> dict[str, int]:
    return {name: total for name, (_, total) in _by_name(amounts).items()}
