"""The triggers that protect each fact table, and the check that each is there and enabled."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

# Trigger name, type bits and function. Bits (pg_trigger.h): 1 row, 2 before, 4 insert, 8 delete,
# 16 update, 32 truncate.
_CHANGE = ("refuse_change", 1 | 2 | 8 | 16, "ledger_refuse_change")
_TRUNCATE = ("refuse_truncate", 2 | 32, "ledger_refuse_change")
_OWNED = ("require_own_batch", 4, "ledger_require_own_batch")
_CHECKED = ("check_batch", 1 | 4, "ledger_check_batch")
_GROWTH = ("require_growth", 1 | 2 | 8 | 16, "ledger_require_growth")
_VAT_RATE = ("keep_vat_rate", 1 | 2 | 8 | 16, "ledger_keep_vat_rate")
_HARD_LOCK = ("keep_hard_lock", 1 | 2 | 4, "ledger_keep_hard_lock")
_EXCEPTION = ("keep_exception", 1 | 2 | 4, "ledger_keep_exception")
_MANUAL = ("refuse_manual", 1 | 4, "ledger_refuse_manual")
_DRAFT_ORDER = ("keep_draft_order", 1 | 2 | 4, "ledger_keep_draft_order")
_OTHER_EYES = ("require_other_eyes", 1 | 2 | 4, "ledger_require_other_eyes")
_APPROVED = ("require_approval", 1 | 2 | 4, "ledger_require_approval")
_POLICY_DATES = ("keep_policy_dates", 1 | 2 | 4, "ledger_keep_policy_dates")
_DIMENSIONS = ("require_dimensions", 4, "ledger_require_dimensions")
_REGISTERED = ("require_registered", 4, "ledger_require_registered")
_CHECKLIST = ("keep_checklist", 1 | 2 | 4, "ledger_keep_checklist")
_WAIVER = ("keep_waiver", 1 | 2 | 4, "ledger_keep_waiver")
_ACCESS_DATES = ("keep_access_dates", 1 | 2 | 4, "ledger_keep_access_dates")
_WITHDRAWAL = ("keep_withdrawal", 1 | 2 | 4, "ledger_keep_withdrawal")
_TARIFF_DAYS = ("keep_tariff_days", 1 | 2 | 4, "rating_keep_tariff_days")
_TARIFF_EYES = ("require_other_eyes", 1 | 2 | 4, "rating_require_other_eyes")
_RULE_DATES = ("keep_rule_dates", 1 | 4, "ledger_keep_rule_dates")
_WHOLE = (_CHANGE, _TRUNCATE, _OWNED)
GUARDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "posting_batch": (*_WHOLE, _CHECKED),
    "batch_closed": (_CHANGE, _TRUNCATE),
    "journal_entry": (*_WHOLE, _MANUAL),
    "journal_line": (*_WHOLE, _DIMENSIONS),
    "balance_delta": _WHOLE,
    "balance_month": (_CHANGE, _TRUNCATE),
    "open_item": _WHOLE,
    "allocation": _WHOLE,
    "event_outbox": _WHOLE,
    "audit_event": (_CHANGE, _TRUNCATE),
    "access_event": (_CHANGE, _TRUNCATE),
    "account_version": (_CHANGE, _TRUNCATE),
    "dimension_set": (_CHANGE, _TRUNCATE, _REGISTERED),
    "posting_rule": (_CHANGE, _TRUNCATE, _RULE_DATES),
    "period": (_CHANGE, _TRUNCATE),
    "period_lock_event": (_CHANGE, _TRUNCATE, _HARD_LOCK),
    "period_lock_exception": (_CHANGE, _TRUNCATE, _EXCEPTION),
    "close_checklist": (_CHANGE, _TRUNCATE, _CHECKLIST),
    "check_waiver": (_CHANGE, _TRUNCATE, _WAIVER),
    "voucher_gap": (_CHANGE, _TRUNCATE),
    "dimension_rule": (_CHANGE, _TRUNCATE),
    "exchange_rate": (_CHANGE, _TRUNCATE),
    "balance_assertion": (_CHANGE, _TRUNCATE),
    "webhook": (_CHANGE, _TRUNCATE),
    "webhook_ended": (_CHANGE, _TRUNCATE),
    "webhook_replay": (_CHANGE, _TRUNCATE),
    "webhook_delivery": (_CHANGE, _TRUNCATE),
    "posting_request": (_CHANGE, _TRUNCATE),
    "posting_request_step": (_CHANGE, _TRUNCATE),
    "voucher_counter": (_GROWTH, _TRUNCATE),
    "vat_code": (_VAT_RATE, _TRUNCATE),
    "journal_draft": (_CHANGE, _TRUNCATE),
    "draft_version": (_CHANGE, _TRUNCATE, _DRAFT_ORDER),
    "draft_attachment": (_CHANGE, _TRUNCATE),
    "draft_approval": (_CHANGE, _TRUNCATE, _OTHER_EYES),
    "draft_posted": (_CHANGE, _TRUNCATE, _APPROVED),
    "draft_withdrawn": (_CHANGE, _TRUNCATE, _WITHDRAWAL),
    "book_access": (_CHANGE, _TRUNCATE, _ACCESS_DATES),
    "approval_policy": (_CHANGE, _TRUNCATE, _POLICY_DATES),
    "signing_key": (_CHANGE, _TRUNCATE),
    "seal_block": (_CHANGE, _TRUNCATE),
    "seal_member": (_CHANGE, _TRUNCATE),
    "seal_master": (_CHANGE, _TRUNCATE),
    "seal_anchor": (_CHANGE, _TRUNCATE),
    "tariff_book": (_CHANGE, _TRUNCATE, _TARIFF_DAYS),
    "tariff_verdict": (_CHANGE, _TRUNCATE, _TARIFF_EYES),
}


def guard_faults(session: Session) -> Iterator[tuple[str, str]]:
    """Read the catalogue: yield (table, what) for each guard that is missing or disabled.

    Every fact table is looked at, and every partition of one.
    """
    present: dict[str, dict[str, tuple[int, str, str]]] = {}
    for table, name, kind, function, enabled in session.execute(text(_TRIGGERS)):
        present.setdefault(table, {})[name] = (kind, function, enabled)
    tables: list[tuple[str, str]] = [(fact, fact) for fact in GUARDS]
    rows: Any = session.execute(text(_PARTITIONS))
    tables += [(parent, part) for parent, part in rows if parent in GUARDS]
    for fact, table in tables:
        for name, kind, function in GUARDS[fact]:
            found = present.get(table, {}).get(name)
            if found is None or found[:2] != (kind, function):
                yield table, f"trigger {name} is missing or replaced"
            elif found[2] not in {"O", "A"}:
                yield table, f"trigger {name} is disabled"


_TRIGGERS = """
    SELECT c.relname::text, t.tgname::text, t.tgtype::integer, p.proname::text, t.tgenabled::text
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace"""
_PARTITIONS = """
    SELECT inhparent::regclass::text, inhrelid::regclass::text FROM pg_inherits
    JOIN pg_class c ON c.oid = inhparent WHERE c.relkind = 'p'"""
