"""A rating run: what a period's charges should stand at, and only the difference is booked.

The whole period is rated every time, from accepted usage, orders and the tariff book. The result
does not depend on how often that was done before, or in which order files came; a run that finds
nothing new books nothing. Everything a run records is one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.journal import BatchDraft
from ledger.periods import period_of
from ledger.vault import Vault
from mediation.accruals import accrual_entries
from mediation.charging import Difference, Found, Month
from mediation.flat_files import write_flat
from mediation.records import Int64
from mediation.service.reckoning import (
    BilledKeys,
    Reckoning,
    lock_period,
    reckon,
)
from mediation.service.usage_rating import settle_suspense
from mediation.tying import check_equal, sums_charged, sums_owed, sums_posted
from rating import service as rating
from rating.charges import Booked
from rating.service import Correcting
from rating.versions import InForce

SOURCE_SYSTEM = "rating"


@dataclass(frozen=True, slots=True)
class RatingOutcome:
    """What a run did. Zero differences and no batch: there was nothing new."""

    events: int
    unpriced: int
    charges_changed: int
    net_minor: int
    batch_id: int | None
    followed: tuple[str, ...] = ()  # later months that were rated again, by what rolled over


def rate_period(
    session: Session,
    store: Vault,
    month: Month,
    billed_keys: BilledKeys,
    actor: str = "system:rating",
    tariff: str | None = None,
) -> RatingOutcome:
    """Rate a period and book what its charges lack.

    Parameters
    ----------
    billed_keys : says which of some charge keys stand on an issued invoice; those are never
        touched, what they lack goes to the account's next bill.
    tariff : NAME/VERSION; by default the tariff that the month was last rated again with, else the
        versions in force in the month, each for its days.

    Raises
    ------
    DoesNotTie : explanations, amounts, charges and postings differ; nothing may be committed.
    """
    lock_period(session, month)
    versions = _versions_of(session, month, tariff)
    done = record(session, store, reckon(session, store, month, versions, billed_keys), actor)
    return replace(done, followed=rate_followers(session, store, month, billed_keys, actor))


def rate_followers(
    session: Session, store: Vault, month: Month, billed_keys: BilledKeys, actor: str
) -> tuple[str, ...]:
    """Rate the next month again where it took another remainder than this one now leaves.

    Nothing of its run is changed: it gets a run of its own, which books the difference, and so on
    to the month behind it.

    Returns
    -------
    the months rated again, in order.
    """
    after = month.next()
    here, there = (rating.last_run(session, one.period) for one in (month, after))
    if here is None or there is None:
        return ()
    if there.remainder_in_sha256 == here.remainder_out_sha256:
        return ()
    done = rate_period(session, store, after, billed_keys, actor)
    return (after.period, *done.followed)


def _versions_of(session: Session, month: Month, tariff: str | None) -> Sequence[InForce]:
    """Choose the tariff of a month; raises `TariffNotFound`."""
    if tariff is not None:
        return rating.one_version(rating.tariff_book_labelled(session, tariff), month.period)
    return rating.month_versions(session, month.period)


def record(
    session: Session,
    store: Vault,
    reckoned: Reckoning,
    actor: str,
    correcting: Correcting | None = None,
) -> RatingOutcome:
    """Book what a reckoning found, prove it, and remember the run."""
    month, used, booked = reckoned.month, reckoned.used, reckoned.booked
    settle_suspense(session, month, used, actor)
    inputs = reckoned.inputs_hash()
    last = rating.last_run(session, month.period)
    batch_id = _book(session, reckoned, inputs, actor, correcting)
    _prove(session, month, reckoned.found)
    events, unpriced = len(used.batch), used.unpriced
    if last is not None and last.inputs_hash == inputs and not booked:
        return RatingOutcome(events, unpriced, 0, 0, None)
    rating.record_run(
        session, month.period, inputs, reckoned.book.content_hash, batch_id=batch_id,
        rated_refs=list(reckoned.refs), counts={
            "events": events, "unpriced": unpriced,
            "tariffs": [one.book.label for one in reckoned.versions],
        },
        counters_sha256=store.put(used.counters(), "traffic").sha256,
        remainder_in=reckoned.remainder_in, remainder_out=reckoned.remainder_out,
        explained=store.put(write_flat(reckoned.found.codes), "traffic").sha256, actor=actor,
        correcting=correcting,
    )  # fmt: skip
    return RatingOutcome(
        events=events,
        unpriced=unpriced,
        charges_changed=len(booked),
        net_minor=sum(one.minor_net for one in booked),
        batch_id=batch_id,
    )


def _book(
    session: Session, reckoned: Reckoning, inputs: str, actor: str, correcting: Correcting | None
) -> int | None:
    """Post the accrual and write the differences to the charges, in one transaction.

    Differences that come to no øre are written all the same: the usage was rated.
    """
    month, booked, day = reckoned.month, reckoned.booked, reckoned.day
    if not booked:
        return None
    ids = rating.ensure_charge_keys(session, [one.key for one in booked])
    unbilled = ledger.posting_account(
        session, month.book_code, "usage_rated", "unbilled", "*", on=month.first_day
    )
    runs = len(rating.rating_runs(session, month.period))
    source = f"{month.book_code}/{month.period}/{runs + 1}/{inputs[:16]}"
    corrects = "" if correcting is None else _originals(session, month)
    entries = accrual_entries(booked, unbilled, {period_of(day): day}, source, corrects=corrects)
    batch_id = None
    posted: tuple[int, ...] = ()
    if entries:
        draft = BatchDraft(month.book_code, SOURCE_SYSTEM, source, actor, entries)
        done = ledger.post_batch(session, draft)
        batch_id, posted = done.batch_id, done.entry_ids
    rating.add_charge_deltas(
        session, batch_id, ids,
        Booked(
            _column(booked, "micro"), _column(booked, "minor_net"), _column(booked, "minor_gross")
        ),
        _column(booked, "events"), _column(booked, "quantity"),
    )  # fmt: skip
    if batch_id is not None:
        _prove_posted(session, batch_id, posted, unbilled)
    return batch_id


def _originals(session: Session, month: Month) -> str:
    """Name the vouchers that accrued the month so far."""
    batches = [run.batch_id for run in rating.rating_runs(session, month.period) if run.batch_id]
    vouchers = [
        str(voucher)
        for batch_id in batches
        for voucher in ledger.read_posted(session, batch_id, replayed=True).vouchers
    ]
    return ", ".join(vouchers)


def _prove(session: Session, month: Month, found: Found) -> None:
    """Tie explanations with rated amounts, and both with the charges as they stand now."""
    explained, rated = sums_owed(found.owed)
    charged = rating.charged_micro(session, month.book_code, month.period)
    check_equal(explained, "Explanations", rated, "rated amounts", "millionths")
    check_equal(explained, "Explanations", charged, "charges", "millionths")


def _prove_posted(session: Session, batch_id: int, entry_ids: Sequence[int], unbilled: str) -> None:
    """Tie what a batch added to charges with what it posted, by revenue key."""
    entries = [ledger.read_entry(session, entry_id) for entry_id in entry_ids]
    lines = [(period_of(entry.effective_date), line) for entry in entries for line in entry.lines]
    charged = sums_charged(rating.revenue_of_batch(session, batch_id))
    check_equal(charged, "Charges", sums_posted(lines, unbilled), "postings", "øre")


def _column(booked: Sequence[Difference], name: str) -> Int64:
    return np.array([getattr(one, name) for one in booked], np.int64)
