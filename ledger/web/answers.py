"""How answers are written: JSON by msgspec, since a batch of entries is answered entry by entry."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider


class JsonProvider(DefaultJSONProvider):
    """Answer in UTF-8, names in the order of their schema; days are written as ISO 8601 has them.

    Source: RFC 8259.
    """

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Answer with a value, or with an object of names."""
        told = self._prepare_response_obj(args, kwargs)
        written = msgspec.json.encode(told, enc_hook=self.default)
        return Response(written + b"\n", mimetype=self.mimetype)


def install(app: Flask) -> None:
    """Let an application answer so."""
    app.json = JsonProvider(app)
