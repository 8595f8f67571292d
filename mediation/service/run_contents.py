"""What a run kept in the vault, to rate with again: its events, and what it had granted."""

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ledger.errors import DoesNotTie
from ledger.vault import Vault
from mediation.counter_files import read_grants, read_top_ups
from mediation.rated_files import Owners
from mediation.service.granting import Granted
from mediation.usage_files import read_known, read_parquet
from rating.allowances import Counters
from rating.models import RatingRun
from rating.top_ups import TopUps
from rating.versions import InForce


def events_of_run(store: Vault, run: RatingRun) -> pa.Table:
    """Read what a run rated; raises `DoesNotTie` for one from before events kept their codes."""
    return _together(run, [read_parquet(store.open(name)) for name in run.rated_refs])


def some_events_of_run(
    store: Vault, run: RatingRun, columns: Collection[str], kept: pc.Expression
) -> pa.Table:  # fmt: skip
    """Read some columns, where they are there, of some events of a run; raises as the above."""
    return _together(
        run, [read_known(store.open(name), columns).filter(kept) for name in run.rated_refs]
    )


def _together(run: RatingRun, tables: Sequence[pa.Table]) -> pa.Table:
    # Versions differ in how many allowances an event may draw on.
    table = pa.concat_tables(tables, promote_options="default") if tables else pa.table({})
    if tables and "called" not in table.column_names:
        raise DoesNotTie(
            f"Run {run.run_id} of {run.period} kept no numbers with its events, so it cannot be "
            f"repeated. Rate the month once more first: hovedbok rating run --month {run.period}."
        )
    return table


def granted_by_run(
    store: Vault, run: RatingRun, versions: Sequence[InForce], owners: Owners
) -> Granted:  # fmt: skip
    """Read what a run was granted in each version, and what was bought."""
    if run.counters_sha256 is None:
        count = len(versions)
        return Granted(owners, (Counters.none(),) * count, (TopUps.none(),) * count)
    table = read_parquet(store.open(run.counters_sha256))
    books = [one.book for one in versions]
    return Granted(
        owners,
        tuple(read_grants(table, book, owners, n) for n, book in enumerate(books)),
        tuple(read_top_ups(table, book, owners, n) for n, book in enumerate(books)),
    )
