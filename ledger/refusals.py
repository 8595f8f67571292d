"""Why the books refuse: one class per reason, raised by the pure core or mapped from the database.

The posting functions of the database raise with a SQLSTATE of class HB; `BY_SQLSTATE` names the
class that `ledger.service` raises in its place, with the same sentence and facts.
"""

from collections.abc import Mapping
from http import HTTPStatus

from ledger.access import AccessReachesBack
from ledger.closing import CLOSING
from ledger.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from ledger.registering import REGISTERING, PostingRuleTaken, VatCodeInUse
from ledger.undoing import UNDOING, AllocationUndone


class EntryNotBalanced(Invalid):
    """Debits and credits of an entry differ in some currency."""

    title = "Entry does not balance"


class MalformedEntry(Invalid):
    """An entry lacks lines, numbers them wrongly, or holds a value that no journal can hold."""

    title = "Entry is malformed"


class AmountNotAString(Invalid):
    """An amount came as a number and not as text: it has been a float somewhere.

    Raise as: f"Amounts are strings such as '1234.50', not JSON numbers: put {field} in quotes.".
    """

    title = "Amount is a number, not text"


class UnknownBook(NotFound):
    """No book has this code."""

    title = "Unknown book"


class UnknownAccount(Invalid):
    """The chart of the book has no such account."""

    title = "Unknown account"


class AccountClosed(Conflict):
    """The account is not open on the date of the entry."""

    title = "Account is closed"


class AccountInUse(Conflict):
    """An account that is to be closed has a balance, or was used after the day."""

    title = "Account is in use"


class DimensionRefused(Invalid):
    """A line lacks a dimension that its account needs, or carries one that it must not."""

    title = "Dimension not allowed"


class PartyRequired(Invalid):
    """A line on a control account of customers does not say which customer."""

    title = "Party required"


class OpenItemMismatch(Invalid):
    """A line on an open-item account lacks its item, or another line carries one."""

    title = "Open item does not fit the account"


class UnknownVatCode(Invalid):
    """The VAT code does not exist, or not on the date of the entry."""

    title = "Unknown VAT code"


class UnknownCurrency(Invalid):
    """The currency is unknown, not allowed on the account, or lacks its base amount."""

    title = "Currency not allowed"


class UnknownDimensions(Invalid):
    """The dimension set does not belong to the book."""

    title = "Unknown dimension set"


class UnknownSeries(Invalid):
    """The book has no such voucher series."""

    title = "Unknown voucher series"


class UnknownPeriod(Conflict):
    """No accounting period of the book holds the date; it has not been opened."""

    title = "No accounting period"


class PeriodClosed(Conflict):
    """The accounting period is locked for what was to be posted."""

    title = "Accounting period is closed"


class PeriodLockedForGood(Conflict):
    """A hard lock has no inverse."""

    title = "Period is locked for good"


class TotalsDiffer(Invalid):
    """The declared control totals of a batch are not those of its lines."""

    title = "Control totals differ"


class SourceRefReused(Conflict):
    """The source reference of a batch was used before, for other content."""

    title = "Source reference already used"


class ApprovedByCreator(Conflict):
    """Two people are needed: one who posts and another who approves."""

    title = "Approved by the one who posts"


class EntryRefReused(Conflict):
    """The source reference of an entry was used before, by another batch or twice in this one."""

    title = "Entry reference already used"


class AlreadyReversed(Conflict):
    """An entry can be reversed once."""

    title = "Entry is already reversed"


class UnknownEntry(NotFound):
    """No entry has this id or voucher number, in this book."""

    title = "Unknown entry"


class UnknownOpenItem(NotFound):
    """No open item has this id, in this book."""

    title = "Unknown open item"


class AllocationMismatch(Invalid):
    """The two items of an allocation cannot settle one another."""

    title = "Items do not match"


class OverAllocated(Conflict):
    """More would be allocated than is outstanding."""

    title = "More than is outstanding"


class NoPostingRule(Invalid):
    """No posting rule says which account an event uses on that date."""

    title = "No posting rule"


class UnknownDraft(NotFound):
    """No draft has this id, or it has no such attachment."""

    title = "Unknown draft"


class DraftChanged(Problem):
    """The draft is not any more what the caller has read."""

    status = HTTPStatus.PRECONDITION_FAILED
    title = "Draft has changed"


class DraftIsPosted(Conflict):
    """A draft that is posted is final; its entry can be reversed."""

    title = "Draft is posted"


class NotAwaitingApproval(Conflict):
    """The version was not submitted, or another person has judged it already."""

    title = "Draft does not await approval"


class CommentMissing(Invalid):
    """A draft is rejected without saying why."""

    title = "Comment is missing"


class OwnDraft(Forbidden):
    """Whoever has written on a draft cannot judge it."""

    title = "Own draft"


class ApprovalNeeded(Conflict):
    """A rule wants the approval of a second person before this is posted."""

    title = "Approval needed"


class PolicyReachesBack(Invalid):
    """An approval rule begins today or later, once per day; what was allowed stays allowed."""

    title = "Approval rule reaches back"


class ManualPostingRefused(Invalid):
    """The account is kept by a system; a manual journal may not use it."""

    title = "No manual journals on this account"


class SealOutOfStep(Conflict):
    """A block does not follow the last one: another sealer was faster. Seal again."""

    title = "Seal is out of step"


class BatchNotSealable(Conflict):
    """A batch is not closed, or an earlier transaction is open that could still add another."""

    title = "Batch cannot be sealed yet"


class UnknownSealingKey(Invalid):
    """The key of a block is not registered, or its name is not its fingerprint."""

    title = "Unknown sealing key"


class SealBroken(Problem):
    """A block does not hold what it declares; nothing was sealed."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Block does not agree with itself"


class UnknownBlock(NotFound):
    """No block has this number, or not with this hash."""

    title = "Unknown block"


class NotYetKnown(Invalid):
    """Figures were asked for as of a seal position that does not exist yet."""

    title = "Position is beyond the last seal"


class FactsAreImmutable(Conflict):
    """Recorded facts are never changed or removed; post a correcting entry instead."""

    title = "Facts are immutable"


class BatchBroken(Problem):
    """The commit check found stored rows of a batch that do not agree; the batch is rolled back."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Batch does not agree with itself"


class StageRefused(Problem):
    """The stage of a posting was not made by the ledger."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Stage refused"


BY_SQLSTATE: Mapping[str, type[Problem]] = {
    **UNDOING,
    **CLOSING,
    **REGISTERING,
    "HB001": EntryNotBalanced,
    "HB002": MalformedEntry,
    "HB003": UnknownBook,
    "HB004": UnknownAccount,
    "HB005": AccountClosed,
    "HB006": PartyRequired,
    "HB007": OpenItemMismatch,
    "HB008": UnknownVatCode,
    "HB009": UnknownCurrency,
    "HB010": UnknownDimensions,
    "HB011": UnknownSeries,
    "HB012": UnknownPeriod,
    "HB013": PeriodClosed,
    "HB014": PeriodLockedForGood,
    "HB015": TotalsDiffer,
    "HB016": SourceRefReused,
    "HB017": UnknownOpenItem,
    "HB018": AllocationMismatch,
    "HB019": OverAllocated,
    "HB020": UnknownEntry,
    "HB050": UnknownDraft,
    "HB051": DraftChanged,
    "HB052": DraftIsPosted,
    "HB053": NotAwaitingApproval,
    "HB054": OwnDraft,
    "HB055": ApprovalNeeded,
    "HB056": PolicyReachesBack,
    "HB057": ManualPostingRefused,
    "HB045": AccessReachesBack,
    "HB040": SealOutOfStep,
    "HB041": BatchNotSealable,
    "HB042": UnknownSealingKey,
    "HB043": SealBroken,
    "HB044": UnknownBlock,
    "HB060": AccountInUse,
    "HB061": DimensionRefused,
    "HB090": FactsAreImmutable,
    "HB091": BatchBroken,
    "HB092": StageRefused,
    "HB098": AllocationMismatch,
    "HB099": OverAllocated,
}
BY_CONSTRAINT: Mapping[str, tuple[type[Problem], str]] = {
    "fk_account_currency": (
        UnknownCurrency,
        "An account is kept in a currency that there is: see GET /api/v1/currencies.",
    ),
    "fk_book_functional_currency": (
        UnknownCurrency,
        "A book is kept in a currency that there is: see GET /api/v1/currencies.",
    ),
    "ex_vat_code_one_rate_a_day": (
        VatCodeInUse,
        "The code has a rate on some of those days. End it first: hovedbok ledger vat end.",
    ),
    "uq_posting_rule": (
        PostingRuleTaken,
        "There is a rule of that event, leg and selector from that day on. Use a later day.",
    ),
    "fk_posting_rule_account": (
        UnknownAccount,
        "The chart has no such account: see hovedbok ledger chart.",
    ),
    "ck_account_number": (MalformedEntry, "The number of an account is 4 to 10 digits."),
    "ck_period_lock_exception_four_eyes": (
        Invalid,
        "An exception is granted by somebody else than whom it is for.",
    ),
    "ck_period_lock_exception_term": (
        Invalid,
        "An exception expires at an instant ahead, at most 31 days away.",
    ),
    "uq_allocation_reverses": (
        AllocationUndone,
        "The allocation has been undone before. Allocate anew instead.",
    ),
    "uq_journal_entry_source": (
        EntryRefReused,
        (
            "An entry of this batch has a source reference that was posted before, or comes "
            "twice. Look it up by its reference; to post it again, reverse the first."
        ),
    ),
    "ck_posting_batch_four_eyes": (
        ApprovedByCreator,
        "Nobody approves what they post themselves. Ask somebody else to approve.",
    ),
    "uq_journal_entry_reverses": (
        AlreadyReversed,
        "The entry has been reversed before. To undo the reversal, post the entry anew.",
    ),
}
