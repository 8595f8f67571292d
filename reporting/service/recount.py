"""The month counted again from what the vault holds: raw files, outcomes, usage, rated events.

Rows say which objects there are and nothing else is believed of them. An object that is missing or
was changed is counted as it lies there, so that the tie it belongs to shows the difference.
"""

from collections.abc import Iterable
from hashlib import sha256
from io import BytesIO

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import NotFound, Problem
from ledger.vault import Vault
from mediation import formats
from mediation.formats import HEAD_OCTETS, ocr_giro
from mediation.usage_files import read_parquet
from rating import service as rating

USAGE_MEASURES = ("records", "seconds", "octets")
BUCKETS = ("accepted", "merged", "held", "duplicate", "filtered", "suspended")

Sums = dict[str, int]
BucketSums = dict[tuple[str, str], int]  # by measure and bucket


class Shelf:
    """The vault while it is counted: remembers what was asked for and what of it was whole."""

    def __init__(self, store: Vault) -> None:
        self._store = store
        self.asked: set[str] = set()
        self.whole: set[str] = set()

    def read(self, name: str) -> bytes:
        """Read an object as it lies there; nothing where it is missing."""
        self.asked.add(name)
        try:
            with self._store.open(name) as stream:
                content = stream.read()
        except NotFound:
            return b""
        if sha256(content).hexdigest() == name:
            self.whole.add(name)
        return content

    def table(self, name: str, columns: list[str]) -> pa.Table:
        """Read columns of a Parquet object; no rows where it cannot be read."""
        try:
            return read_parquet(BytesIO(self.read(name)), columns)
        except (pa.ArrowException, OSError):
            return pa.table({column: pa.array([], pa.int64()) for column in columns})


def count_files(session: Session, shelf: Shelf) -> Sums:
    """Count what the raw files hold, from their bytes alone.

    Returns
    -------
    files, records, seconds, octets of usage; those of files suspended as a whole once more, as
    "records waiting" and so on, or "given up" where somebody took the file back; records that
    cannot be read; rows of order files; payments, ore.
    """
    sums = dict.fromkeys(
        ("files", *USAGE_MEASURES, *(f"{measure} waiting" for measure in USAGE_MEASURES),
         *(f"{measure} given up" for measure in USAGE_MEASURES),
         "unreadable", "rows", "payments", "ore"), 0,
    )  # fmt: skip
    rows = session.execute(
        text(
            "SELECT name, sha256, format, state, record_count,"
            " file_id IN (SELECT file_id FROM file_reversal) AS taken_back FROM source_file"
            " WHERE size > 0 ORDER BY file_id"
        )
    )
    for row in rows.all():
        raw = shelf.read(row.sha256)
        if row.state != "accepted" and not row.record_count:
            continue  # Parked or broken: kept, but nothing of it is counted.
        sums["files"] += 1
        try:
            found = _count_file(raw, row.name, row.format)
        except Problem:
            continue  # It was whole when it came. Its sums are missing now, and that shows.
        if row.state != "accepted":
            fate = "given up" if row.taken_back else "waiting"
            found |= {f"{measure} {fate}": found[measure] for measure in USAGE_MEASURES}
            found["unreadable"] = 0  # They wait with the file, and were counted with it.
        for measure, quantity in found.items():
            sums[measure] += quantity
    return sums


def _count_file(raw: bytes, name: str, format_name: str) -> Sums:
    if format_name == "ocr_giro":
        paid = [
            payment.amount_minor
            for assignment in ocr_giro.read(raw, name).assignments
            for payment in assignment.payments
        ]
        return {"payments": len(paid), "ore": sum(paid)}
    if format_name in formats.ROW_FILES:
        listed = formats.ROW_FILES[format_name](raw, name)
        return {"rows": len(listed.rows) + len(listed.faults)}
    decoded = formats.decode(raw, formats.recognise(name, raw[:HEAD_OCTETS], len(raw)))
    rows = decoded.columns
    return {
        "records": decoded.record_count,
        "seconds": int(rows["duration_s"].sum()),
        "octets": int(rows["octets_up"].sum()) + int(rows["octets_down"].sum()),
        "unreadable": len(decoded.faults),
    }


def count_outcomes(session: Session, shelf: Shelf, files: Sums) -> BucketSums:
    """Sum what became of the records: the outcome kept per record, and what happened to it since.

    Later a held part may be released by another file, a suspended record may be recycled, and
    accepted usage may find no price. Records of files suspended as a whole and unreadable ones have
    no outcome of their own.
    """
    sums = {(measure, bucket): 0 for measure in USAGE_MEASURES for bucket in BUCKETS}
    names = session.execute(
        text(
            "SELECT outcome_sha256, file_id IN (SELECT file_id FROM file_reversal)"
            " FROM source_file WHERE outcome_sha256 IS NOT NULL"
        )
    )
    for name, taken_back in names.all():
        table = shelf.table(name, ["bucket", "seconds", "octets"])
        grouped = table.group_by("bucket").aggregate(
            [("bucket", "count"), ("seconds", "sum"), ("octets", "sum")]
        )
        for row in grouped.to_pylist():
            used = row["bucket"] in {"accepted", "merged"}
            bucket = "filtered" if taken_back and used else row["bucket"]
            _add(sums, bucket, row["bucket_count"], row["seconds_sum"], row["octets_sum"])
    for row in session.execute(_RELEASED):
        _add(sums, "held", -row.records, -row.seconds, -row.octets)
        _add(sums, row.bucket, row.records, row.seconds, row.octets)
    for row in session.execute(_RECYCLED, {"not_usage": list(formats.NOT_USAGE)}):
        _add(sums, "suspended", -row.records, -row.seconds, -row.octets)
        _add(sums, row.bucket, row.records, row.seconds, row.octets)
    unpriced = session.execute(_UNPRICED).one()
    _add(sums, "accepted", -unpriced.records, -unpriced.seconds, -unpriced.octets)
    _add(sums, "suspended", unpriced.records, unpriced.seconds, unpriced.octets)
    waiting = [files[f"{measure} waiting"] for measure in USAGE_MEASURES]
    _add(sums, "suspended", *waiting)
    _add(sums, "filtered", *(files[f"{measure} given up"] for measure in USAGE_MEASURES))
    _add(sums, "suspended", files["unreadable"], 0, 0)
    return sums


def _add(sums: BucketSums, bucket: str, *quantities: int) -> None:
    for measure, quantity in zip(USAGE_MEASURES, quantities, strict=True):
        sums[measure, bucket] += int(quantity)


_RELEASED = text(
    "SELECT r.bucket, count(*) AS records,"
    " coalesce(sum((SELECT sum(s::bigint) FROM jsonb_array_elements_text("
    "  h.content -> 'duration_s') s)), 0)::bigint AS seconds,"
    " coalesce(sum((SELECT sum(o::bigint) FROM jsonb_array_elements_text("
    "  h.content -> 'octets') o)), 0)::bigint AS octets"
    " FROM held_release r JOIN held_part h USING (held_part_id) GROUP BY r.bucket"
)
_UNPRICED = text(
    "SELECT count(DISTINCT (file_id, record_no)) AS records, coalesce(sum(seconds), 0) AS seconds,"
    " coalesce(sum(octets), 0) AS octets FROM suspense s WHERE part_no > 0"
    " AND NOT EXISTS (SELECT FROM suspense_release r WHERE r.suspense_id = s.suspense_id)"
)
_RECYCLED = text(
    "SELECT CASE WHEN v.file_id IS NULL THEN r.bucket ELSE 'filtered' END AS bucket,"
    " count(*) AS records, sum(s.seconds) AS seconds, sum(s.octets) AS octets"
    " FROM suspense_release r JOIN suspense s USING (suspense_id)"
    " JOIN source_file f USING (file_id) LEFT JOIN file_reversal v USING (file_id)"
    " WHERE s.part_no = 0 AND f.format <> ALL (:not_usage) GROUP BY 1"
)


def count_usage(session: Session, shelf: Shelf, period: str) -> Sums:
    """Sum accepted usage of all months: events of the month, seconds and octets of every month."""
    sums = {"rows": 0, "seconds": 0, "octets": 0}
    rows = session.execute(
        text(
            "SELECT period, sha256 FROM file_usage"
            " WHERE file_id NOT IN (SELECT file_id FROM file_reversal)"
        )
    )
    for used_in, name in rows.all():
        table = shelf.table(name, ["seconds", "octets"])
        sums["rows"] += table.num_rows if used_in == period else 0
        for measure in ("seconds", "octets"):
            sums[measure] += pc.sum(table[measure]).as_py() or 0
    return sums


def count_rated(session: Session, shelf: Shelf, period: str) -> Sums:
    """Sum the rated events of the month's last run, and what pools and fair use cost beside them.

    Returns
    -------
    events, unpriced, and micro of events; "charged": priced events of components that nothing is
    charged beside; "beside micro" what is. [micro: millionths of the currency]
    """
    run = rating.last_run(session, period)
    sums = {"events": 0, "micro": 0, "unpriced": 0, "charged": 0, "beside micro": 0}
    if run is None:
        return sums
    if run.counters_sha256 is not None:
        shelf.read(run.counters_sha256)
    beside = _beside(shelf, run.explained_sha256)
    sums["beside micro"] = pc.sum(beside["amount_micro"]).as_py() or 0
    for name in run.rated_refs:
        table = shelf.table(name, ["amount_micro", "reason", "component"])
        priced = table.filter(pc.equal(table["reason"], 0))
        sums["events"] += table.num_rows
        sums["micro"] += pc.sum(table["amount_micro"]).as_py() or 0
        sums["unpriced"] += table.num_rows - priced.num_rows
        alone = pc.invert(pc.is_in(pc.cast(priced["component"], pa.string()), _named(beside)))
        sums["charged"] += pc.sum(alone).as_py() or 0
    return sums


def components_beside(session: Session, shelf: Shelf, period: str) -> list[str]:
    """Name the components under which use is charged that events were charged for already."""
    run = rating.last_run(session, period)
    return _named(_beside(shelf, run.explained_sha256)).to_pylist() if run else []


def _beside(shelf: Shelf, name: str | None) -> pa.Table:
    """Read the explanations of usage that is no single event."""
    columns = ["kind", "component", "amount_micro"]
    table = shelf.table(name, columns) if name else pa.table({c: pa.array([]) for c in columns})
    return table.filter(pc.equal(pc.cast(table["kind"], pa.string()), "usage"))


def _named(beside: pa.Table) -> pa.Array:
    return pc.unique(pc.cast(beside["component"], pa.string()))


def count_documents(session: Session, shelf: Shelf, book: str) -> int:
    """Count the archived invoices whose bytes are in the vault, whole."""
    names: Iterable[str] = session.execute(
        text(
            "SELECT d.sha256 FROM document d JOIN invoice i USING (invoice_id)"
            " WHERE d.kind = 'pdf' AND i.book = :book"
        ),
        {"book": book},
    ).scalars().all()  # fmt: skip
    return sum(bool(shelf.read(name)) and name in shelf.whole for name in names)


def look_at_keys(session: Session, shelf: Shelf) -> None:
    """Read the record keys of all files, against which later files are screened for copies."""
    names = session.execute(
        text("SELECT keys_sha256 FROM source_file WHERE keys_sha256 IS NOT NULL")
    ).scalars()
    for name in names.all():
        shelf.read(name)
