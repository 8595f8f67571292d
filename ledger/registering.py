"""Why the books refuse to change what postings name: rates of VAT and posting rules.

`ledger.refusals` maps them from the database together with its own.
"""

from collections.abc import Mapping

from ledger.errors import Conflict, Problem


class VatCodeInUse(Conflict):
    """A VAT code has one rate a day, and does not end before its last use."""

    title = "VAT code is in use"


class PostingRuleTaken(Conflict):
    """An event's leg has one rule from a day on; a later day follows it."""

    title = "Posting rule of that day is taken"


REGISTERING: Mapping[str, type[Problem]] = {"HB062": VatCodeInUse}
