"""Problems: refusals that the caller can act on.

Every room derives its own from these. The web renders them once, as RFC 9457 problem details;
the command line prints the same sentence. Standard library only: the pure core raises them too.
"""

import re
from http import HTTPStatus
from typing import ClassVar

from ledger.mending import mended


class Problem(Exception):
    """A refusal the caller can act on: what, where, and what to do next.

    The class carries the title and the HTTP status, the case its sentence and its facts; the
    command that mends such a case is added where the sentence names none (`ledger.mending`). Facts
    are plain values (str, int, bool, None, and lists and dictionaries of them): callers see them.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.UNPROCESSABLE_ENTITY
    title: ClassVar[str] = "Request refused"

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__(mended(detail, self.code(), facts))
        self.facts = facts

    @classmethod
    def code(cls) -> str:
        """Name the problem in the catalogue: the class name in kebab case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class Invalid(Problem):
    """The content breaks a rule, whatever the state of the books."""

    title = "Content is invalid"


class NotFound(Problem):
    """What the request names does not exist."""

    status = HTTPStatus.NOT_FOUND
    title = "Not found"


class Conflict(Problem):
    """The request is sound but the state of the books forbids it."""

    status = HTTPStatus.CONFLICT
    title = "In conflict with the present state"


class Unauthorised(Problem):
    """The caller has not said who they are, or not convincingly."""

    status = HTTPStatus.UNAUTHORIZED
    title = "Login needed"


class Forbidden(Problem):
    """The caller is known but may not do this."""

    status = HTTPStatus.FORBIDDEN
    title = "Not permitted"


class DoesNotTie(Problem):
    """Two sums that must be equal are not; nothing is shown or posted until they are.

    Raise as: f"The aging list of {as_of} sums to {left}, account {account} to {right}."
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Figures do not tie"
