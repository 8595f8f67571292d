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
from mediation.service.contracts import Contracts
from mediation.service.rating_run import RatingOutcome, rate_followers, record
from mediation.service.reckoning import (
    BilledKeys,
    Reckoning,
    lock_period,
    month_setting,
    reckon,
)
from mediation.service.run_contents import events_of_run, granted_by_run
from mediation.service.service_charges import charge_services
from mediation.service.usage_rating import RatedUsage, add_usage, rate_granted
from mediation.usage_files import read_parquet
from party import service as party
from rating import service as rating
from rating.allowances import Counters
from rating.carried_usage import with_vat_rates
from rating.charges import ChargeKey
from rating.models import RatingRun
from rating.rerating import (
    Correction,
    Result,
    Snapshot,
    compare,
    rerate,
    result_of,
    result_of_versions,
)
from rating.service import Correcting
from rating.top_ups import TopUps
from rating.versions import InForce, RatedVersions

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
    tariff_before: str  # its versions, in order of their days
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
    tariff : NAME/VERSION for the whole month; by default the versions in force, each for its days.
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
    before = rating.versions_of_run(session, last)
    versions = _versions(session, month, tariff)
    reckoned = reckon(session, store, month, versions, billed_keys)
    vat_rates_bp = month_setting(session, month, (*before, *versions)).vat_rates_bp
    again, correction = _correct(store, last, before, reckoned, vat_rates_bp)
    _repeat(session, month, again, before, reckoned.contracts, reckoned.standing)
    reckoned = replace(reckoned, booked=tuple(map(_labelled, reckoned.booked)))
    changes = tuple(_changes(session, reckoned))
    outcome = None
    if not dry_run:
        outcome = record(session, store, reckoned, actor, Correcting(last.run_id, reason))
        followed = rate_followers(session, store, month, billed_keys, actor)
        outcome = replace(outcome, followed=followed)
    return Rerated(
        month.period, _named(before), _named(versions), correction.rated_again,
        len(correction.event_key), changes, outcome,
    )  # fmt: skip


def _versions(session: Session, month: Month, tariff: str | None) -> tuple[InForce, ...]:
    """Choose the versions to rate with: one for the whole month, or each that is in force."""
    if tariff is not None:
        return rating.one_version(rating.tariff_book_labelled(session, tariff), month.period)
    return rating.versions_in_force(session, month.period)


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
    store: Vault,
    last: RatingRun,
    before: Sequence[InForce],
    reckoned: Reckoning,
    vat_rates_bp: Mapping[str, int],
) -> tuple[RatedUsage, Correction]:
    """Repeat the last run, version by version, and compare it with the new result.

    Between one version and another only the pools that differ are compared, and must agree with
    the whole month. Where either side has several versions, every event is.
    """
    booked_events = events_of_run(store, last)
    used = reckoned.used
    owners = owners_of(booked_events, used.table)
    granted = granted_by_run(store, last, before, owners)
    again = rate_granted(before, booked_events, granted, vat_rates_bp)
    charge_of = _charges_of(_payers(again), _payers(used))
    booked = _booked(booked_events, again.batch.event_key, charge_of[0])
    if len(before) > 1 or len(reckoned.versions) > 1:
        return again, compare(
            result_of_versions(RatedVersions(again.parts), again.batch, charge_of[0]), booked,
            result_of_versions(RatedVersions(used.parts), used.batch, charge_of[1]),
        )  # fmt: skip
    grants = granted.counters[0] or Counters.none()
    old = Snapshot(again.batch, again.book, grants, charge_of[0], granted.top_ups[0])
    new_batch, _, _ = batch_of(used.table, reckoned.book, owners)
    new_batch = with_vat_rates(new_batch, reckoned.book, vat_rates_bp)
    new = Snapshot(new_batch, reckoned.book, *_recoded(used, owners, charge_of[1]))
    correction = rerate(old, booked, new)
    _agree(correction.after, result_of(used.rated, new))
    return again, correction


def _recoded(
    used: RatedUsage, owners: Owners, charge: Int64
) -> tuple[Counters, Int64, TopUps]:  # fmt: skip
    """Give what the new run was granted, in the codes of both snapshots, around its charges."""
    table = read_parquet(pa.BufferReader(used.counters()))
    return (
        read_grants(table, used.book, owners), charge, read_top_ups(table, used.book, owners)
    )  # fmt: skip


def _payers(used: RatedUsage) -> Int64:
    """Give account, subscription and price basis of each event: what tells its charge."""
    gross = np.zeros(len(used.batch), np.int64)
    for part in used.parts:
        offerings = part.book.tariff.offerings
        by_offering = np.array([one.price_basis == "gross" for one in offerings] + [False])
        gross[part.rows] = by_offering[part.batch.offering]
    return np.stack([used.payer, used.subscription, gross])


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
    session: Session, month: Month, again: RatedUsage, versions: Sequence[InForce],
    contracts: Contracts, standing: Sequence[Standing],
) -> None:  # fmt: skip
    """Refuse to go on where the charges of the last run, at its prices, are not what is booked."""
    found, label = Found(), _named(versions)
    setting = month_setting(session, month, versions)
    add_usage(session, month, setting, again, contracts, found)
    charge_services(session, month, versions, setting, contracts, found)
    owed = _by_name((key, amount.micro) for key, amount in found.owed.items())
    stands = _by_name((one.key, one.micro) for one in standing)
    differing = [
        key for name, (key, micro) in sorted((owed | stands).items(), key=lambda item: item[0])
        if owed.get(name, (key, 0))[1] != stands.get(name, (key, 0))[1]
    ]  # fmt: skip
    if differing:
        told = "; ".join(
            f"{key.component} of subscription {key.subscription_id} is booked at "
            f"{stands.get(_name(key), (key, 0))[1]} millionths, {label} gives "
            f"{owed.get(_name(key), (key, 0))[1]}"
            for key in differing[:_TOLD]
        )
        raise DoesNotTie(
            f"{len(differing)} charges cannot be repeated: {told}. Nothing is rated "
            f"again until they agree; orders may have come since. Rate the month with its own "
            f"tariff first: {_own_run(month, versions)}.",
            differing=len(differing),
        )


def _own_run(month: Month, versions: Sequence[InForce]) -> str:
    """Say how a month is rated with what it was rated with; several versions are its default."""
    chosen = f" --tariff {versions[0].book.label}" if len(versions) == 1 else ""
    return f"hovedbok rating run --month {month.period}{chosen}"


def _named(versions: Sequence[InForce]) -> str:
    return ", ".join(one.book.label for one in versions)


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
