"""What no journal can hold, each by a name of its own: a sender mends each in another way."""

import re
from http import HTTPStatus
from typing import NamedTuple

from ledger.errors import Invalid


class TextRule(NamedTuple):
    """What a text of a kind may be: how many characters, and which ones steer a screen."""

    longest: int
    forbidden: re.Pattern[str]


# Of Unicode the class Cc, and what embeds, overrides or isolates the direction of letters. A text
# of several lines may hold tabs and line breaks.
_STEERING = r"\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
_IN_NAMES = re.compile(r"[\x00-\x1f" + _STEERING)
_IN_TEXTS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f" + _STEERING)
# An index of PostgreSQL holds 2,704 octets a row: two references, or all dimensions of a line.
NAME = TextRule(300, _IN_NAMES)  # a reference, a code or an actor
DIMENSIONS = TextRule(600, _IN_NAMES)  # all dimensions of a line and their values
TEXT = TextRule(2_000, _IN_TEXTS)  # what a voucher or a line says to its reader


class NumberTooLarge(Invalid):
    """A number is larger than the books can hold.

    Raise as: f"{number} is too large: an amount has at most 15 digits before the point.".
    """

    title = "Number is too large"


class TextHoldsNul(Invalid):
    """A text holds the character NUL, which no database keeps and no reader sees.

    Raise as: f"{where}: {name} holds the character NUL. Take it out.".
    """

    title = "Text holds NUL"


class TextHoldsControl(Invalid):
    """A text holds a character that steers a screen, and could make it show what is not there.

    Such are escapes, and what turns the direction of letters. A text of several lines may hold
    tabs and line breaks; a name may not.

    Raise as: f"{where}: {name} holds the control character U+{ord(it):04X}. Take it out.".
    """

    title = "Text holds a control character"


class TextTooLong(Invalid):
    """A text is longer than the index that finds it or the reports that show it can hold.

    Raise as: f"{where}: {name} has {count} characters, and at most {most} are held. Shorten it.".
    """

    title = "Text is too long"


class NotUtf8(Invalid):
    """What was sent is not UTF-8, so that nobody can tell what its letters are.

    Raise as: f"Octet {place} of {what} is not UTF-8. Save it as UTF-8 and send it again.".
    """

    status = HTTPStatus.BAD_REQUEST
    title = "Not UTF-8"


class EntryTooLong(Invalid):
    """An entry has more lines than one voucher can hold.

    Raise as: f"The entry has {count} lines; an entry has at most {most}. Split it into several.".
    """

    title = "Entry has too many lines"


def check_utf8(source: bytes, what: str, **facts: object) -> None:
    """Raise `NotUtf8`, with the place of the first octet that is not, from 1."""
    try:
        source.decode()
    except UnicodeDecodeError as fault:
        place = fault.start + 1
        raise NotUtf8(
            f"Octet {place} of {what} is not UTF-8. Save it as UTF-8 and send it again.",
            octet=place, **facts,
        ) from None  # fmt: skip
