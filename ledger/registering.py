"""Why the books refuse what postings name, or a change of it: VAT, rules, dimensions.

`ledger.refusals` maps them from the database together with its own.
"""

from collections.abc import Mapping

from ledger.errors import Conflict, Invalid, Problem


class VatCodeInUse(Conflict):
    """A VAT code has one rate a day, and does not end before its last use."""

    title = "VAT code is in use"


class PostingRuleTaken(Conflict):
    """An event's leg has one rule from a day on; a later day follows it."""

    title = "Posting rule of that day is taken"


class UnknownDimension(Invalid):
    """The book has registered no such dimension.

    Raise as: f"Book {book} has no dimension {code}. Register it first.".
    """

    title = "Unknown dimension"


class NumberNotMissing(Conflict):
    """Only a number that was given and that no entry carries is explained, once."""

    title = "Number is not missing"


REGISTERING: Mapping[str, type[Problem]] = {
    "HB062": VatCodeInUse,
    "HB063": UnknownDimension,
    "HB064": NumberNotMissing,
}
