"""What puts a refusal right: the command, or the address of the API, by the code of the problem.

The sentence of a refusal says what is wrong with the case, often in the database, which knows no
commands. What follows here is added to every sentence that names none by itself. Facts of the case
are filled in; one that it lacks is left as its name in capitals, to be filled in by the reader.
Where the level of a lock decides, it stands behind the code.
"""

from collections.abc import Mapping

MENDS: Mapping[str, str] = {
    "account-closed": "See those that are: hovedbok ledger chart --as-of {effective_date}.",
    "account-in-use": "See what it holds: hovedbok ledger statement {account}.",
    "allocation-mismatch": "See what may be used: hovedbok ledger items.",
    "allocation-undone": "The command is hovedbok ledger allocate.",
    "approval-needed": "The command is hovedbok ledger draft approve {draft_id}.",
    "batch-broken": "Nothing was posted. See whether the books hold: hovedbok ledger verify.",
    "batch-not-sealable": "See who is in the way: hovedbok ledger seal.",
    "check-not-waivable": "Look again: hovedbok ledger checklist {period}.",
    "checks-open": "The command is hovedbok ledger waive.",
    "comment-missing": "It goes with hovedbok ledger draft reject --comment.",
    "dimension-refused": "See rules and values: hovedbok ledger dimension list.",
    "draft-changed": "The command is hovedbok ledger draft show {draft_id}.",
    "draft-is-posted": "The command is hovedbok ledger reverse.",
    "draft-is-withdrawn": "The command is hovedbok ledger draft add.",
    "entry-ref-reused": "The command is hovedbok ledger journal --ref REFERENCE.",
    "facts-are-immutable": "An entry is taken back by hovedbok ledger reverse.",
    "item-in-use": "The command is hovedbok ledger undo ALLOCATION.",
    "lock-refused": "See how each month stands: hovedbok ledger periods.",
    "no-posting-rule": "The command is hovedbok ledger rule add.",
    "not-a-mirror": "One is made by hovedbok ledger reverse.",
    "not-awaiting-approval": "See how it stands: hovedbok ledger draft show {draft_id}. Its author "
                             "submits it: hovedbok ledger draft change {draft_id} FILE.",
    "not-soft-closed": "See how each month stands: hovedbok ledger periods.",
    "not-your-draft": "The command is hovedbok ledger draft reject {draft_id}.",
    "over-allocated": "See what is: hovedbok ledger items.",
    "number-not-missing": "See which are: hovedbok ledger gaps.",
    "own-draft": "The command is hovedbok ledger draft approve {draft_id} --as SOMEBODY.",
    "period-closed/soft": "Whoever must in all the same: hovedbok ledger except {period}.",
    "period-locked-for-good": "A hard lock has no inverse: post into an open month instead. See "
                              "which are: hovedbok ledger periods.",
    "reversal-is-final": "The command is hovedbok ledger post.",
    "scope-missing": "Roles are given by hovedbok access staff add, scopes by hovedbok access "
                     "client add.",
    "seal-broken": "Nothing was sealed. See what differs: hovedbok ledger verify.",
    "seal-out-of-step": "The command is hovedbok ledger seal.",
    "source-ref-reused": "See what was sent: hovedbok ledger journal --ref REFERENCE.",
    "token-invalid": "An administrator makes one: hovedbok access client rotate.",
    "unknown-account": "See the chart: hovedbok ledger chart. Add one: hovedbok ledger account "
                       "open.",
    "unknown-allocation": "See which there are: hovedbok ledger allocations.",
    "unknown-block": "See which there are: hovedbok ledger seals.",
    "unknown-book": "Make one: hovedbok ledger init.",
    "unknown-checklist": "Make one: hovedbok ledger checklist PERIOD.",
    "unknown-currency": "See which there are: GET /api/v1/currencies.",
    "unknown-dimension": "The command is hovedbok ledger dimension add.",
    "unknown-draft": "See which there are: hovedbok ledger draft list.",
    "unknown-entry": "See what is posted: hovedbok ledger journal.",
    "unknown-open-item": "See which there are: hovedbok ledger items.",
    "unknown-posting-request": "Its number is in the answer to POST /api/v1/posting-batches.",
    "unknown-sealing-key": "A key is registered by hovedbok ledger seal.",
    "unknown-series": "See which there are: hovedbok ledger series.",
    "unknown-vat-code": "See which there are: hovedbok ledger vat list. Add one: hovedbok ledger "
                        "vat add.",
    "unknown-webhook": "See yours: GET /api/v1/webhooks, and all: hovedbok ledger webhook list.",
    "vat-code-in-use": "See its days: hovedbok ledger vat list.",
    "year-is-closed": "The command is hovedbok ledger reverse {closed_by}.",
}  # fmt: skip


def mended(sentence: str, code: str, facts: Mapping[str, object]) -> str:
    """Add what puts it right to the sentence of a refusal that names no command and no address.

    >>> mended("There is no draft 7.", "unknown-draft", {})
    'There is no draft 7. See which there are: hovedbok ledger draft list.'
    >>> mended("Run: hovedbok ledger seal.", "unknown-draft", {})
    'Run: hovedbok ledger seal.'
    """
    mend = MENDS.get(f"{code}/{facts.get('level')}") or MENDS.get(code)
    if mend is None or "hovedbok " in sentence or "/api/v1/" in sentence:
        return sentence
    return f"{sentence} {mend.format_map(_Facts(facts))}"


class _Facts(dict[str, object]):
    """Facts by name; one that is missing is its own name in capitals."""

    def __missing__(self, name: str) -> str:
        return name.upper()
