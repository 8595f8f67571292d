"""The verbs of mediation: files to outcomes, usage to charges, payments booked."""

from mediation.service.control import control_totals, verify_file
from mediation.service.ingest import FileOutcome, ingest_file
from mediation.service.limits import LimitReached, limits_reached
from mediation.service.recycling import RecyclingOutcome, recycle_suspense
from mediation.service.refused_files import Refusal, give_up_refused, refused_files
from mediation.service.registration import files
from mediation.service.reversing import reverse_file
from mediation.service.row_suspense import RowOutcome, correct_row, give_up_row, rerun_rows
from mediation.service.settlement import SettlementOutcome, settle_content
from mediation.service.suspense import (
    suspend_rated,
    suspense,
    suspense_by_reason,
    suspense_of_days,
)
from mediation.service.tracing import record_location
from mediation.service.usage import accepted_usage
from mediation.service.waiting_files import files_of_days
from mediation.service.wholesale import PartnerCost, WholesaleOutcome, charge_partners

__all__ = [
    "FileOutcome",
    "LimitReached",
    "PartnerCost",
    "RecyclingOutcome",
    "Refusal",
    "RowOutcome",
    "SettlementOutcome",
    "WholesaleOutcome",
    "accepted_usage",
    "charge_partners",
    "control_totals",
    "correct_row",
    "files",
    "files_of_days",
    "give_up_refused",
    "give_up_row",
    "ingest_file",
    "limits_reached",
    "record_location",
    "recycle_suspense",
    "refused_files",
    "rerun_rows",
    "reverse_file",
    "settle_content",
    "suspend_rated",
    "suspense",
    "suspense_by_reason",
    "suspense_of_days",
    "verify_file",
]
