"""Why a file as a whole is not read. Faults of single records are values: see records.Fault."""

from ledger.errors import Problem


class UnknownFormat(Problem):
    """No format has the signature of this file."""

    title = "File format is not known"


class EmptyFile(Problem):
    """The file has no octets."""

    title = "File is empty"


class BrokenFile(Problem):
    """The file cannot be framed into records; `offset` is the octet where that shows."""

    title = "File is broken"


class NoDecoder(Problem):
    """The format is recognised, but there is no decoder for it yet."""

    title = "Format has no decoder"
