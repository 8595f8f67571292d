"""Why the books refuse to undo or to lock: reversals, allocations, drafts, periods, exceptions.

`ledger.refusals` maps them from the database together with its own.
"""

from collections.abc import Mapping

from ledger.errors import Conflict, Forbidden, Invalid, NotFound, Problem


class LockRefused(Invalid):
    """A lock lacks its reason, or gives a term to what is not a reopening."""

    title = "Lock is incomplete"


class NotSoftClosed(Conflict):
    """There is nothing to make an exception from: the period is open, or locked for good."""

    title = "Period is not soft-closed"


class NotAMirror(Invalid):
    """A reversal has the lines of what it reverses with the opposite sign, all of them."""

    title = "Reversal is not the mirror"


class ReversalIsFinal(Conflict):
    """A reversal is not reversed; what it took back is posted anew."""

    title = "Entry is a reversal itself"


class ReversalTooEarly(Invalid):
    """A reversal is dated on the day of what it reverses, or later."""

    title = "Reversal is dated too early"


class ItemInUse(Conflict):
    """A credit that has been used cannot be taken back before its uses are undone.

    Raise as: f"... Undo its allocations first: {allocation}, {allocation}.".
    """

    title = "Credit is in use"


class UnknownAllocation(NotFound):
    """No allocation has this id, in this book."""

    title = "Unknown allocation"


class AllocationUndone(Conflict):
    """An allocation can be undone once."""

    title = "Allocation is already undone"


class UndoRefused(Invalid):
    """An undoing cannot be undone, nor an allocation before its own day."""

    title = "Allocation cannot be undone so"


class DraftIsWithdrawn(Conflict):
    """A draft that its maker took back is final; what it said is written anew."""

    title = "Draft is withdrawn"


class NotYourDraft(Forbidden):
    """Only the maker withdraws a draft; others reject it."""

    title = "Draft of somebody else"


UNDOING: Mapping[str, type[Problem]] = {
    "HB025": LockRefused,
    "HB026": NotSoftClosed,
    "HB027": NotAMirror,
    "HB028": ReversalIsFinal,
    "HB029": ReversalTooEarly,
    "HB030": UnknownAllocation,
    "HB031": AllocationUndone,
    "HB032": UndoRefused,
    "HB046": DraftIsWithdrawn,
    "HB047": NotYourDraft,
}
