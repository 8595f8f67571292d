"""A month of usage with its prices, to look at: what a run would book, and nothing written."""

from dataclasses import dataclass

import pyarrow as pa
from sqlalchemy.orm import Session

from ledger.vault import Vault
from mediation.charging import Month, Setting
from mediation.records import Int64
from mediation.service.contracts import contracts_in
from mediation.service.reckoning import month_setting
from mediation.service.usage import accepted_usage
from mediation.service.usage_rating import rate_usage
from rating import service as rating
from rating.pipeline import Rated
from rating.tariff import TariffBook
from rating.usage import UsageBatch
from rating.versions import RatedPart


@dataclass(frozen=True, slots=True, eq=False)
class RatedMonth:
    """The accepted usage of a month with its prices; nothing of it is recorded.

    Codes of `batch` and `rated` are those of the version in force on its first day, whichever
    version priced an event; `parts` have each version's own.
    """

    table: pa.Table  # accepted usage, row by row as in the columns
    book: TariffBook
    setting: Setting
    batch: UsageBatch
    subscription: Int64
    payer: Int64
    rated: Rated
    parts: tuple[RatedPart, ...]  # the events of each version that priced some


def rate_month(session: Session, store: Vault, month: Month) -> RatedMonth:
    """Rate a month to look at it: the prices are those a run would book, and nothing is written."""
    versions = rating.month_versions(session, month.period)
    setting = month_setting(session, month, versions)
    usage = accepted_usage(session, store, month.period)
    used = rate_usage(
        session, store, month, versions, usage, setting.vat_rates_bp, contracts_in(session, month)
    )
    return RatedMonth(
        used.table, used.book, setting, used.batch, used.subscription, used.payer, used.rated,
        used.parts,
    )  # fmt: skip
