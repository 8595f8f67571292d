"""Accepted usage, read back from the vault for rating, tying and tracing."""

from io import BytesIO

import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.vault import Vault
from mediation.models import FileReversal, FileUsage
from mediation.usage_files import read_parquet


def accepted_usage(session: Session, store: Vault, period: str) -> pa.Table:
    """Read all accepted usage of a month, in order of file; an empty table where there is none.

    Parameters
    ----------
    period : the month used, local time, such as 2026-03.

    Returns
    -------
    `mediation.usage_files.USAGE_COLUMNS`, called_text and offering; and the prices that events
    bring, where any does.

    Raises
    ------
    VaultCorrupt : an object was changed since it was put; nothing may be priced from it.
    """
    names = session.execute(
        select(FileUsage.sha256)
        .where(FileUsage.period == period)
        .where(FileUsage.file_id.not_in(select(FileReversal.file_id)))
        .order_by(FileUsage.file_id, FileUsage.sha256)
    ).scalars()
    tables = [read_parquet(BytesIO(store.get(name))) for name in names]
    # Files whose events bring prices have columns that the others lack.
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})
