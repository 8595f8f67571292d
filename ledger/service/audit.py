"""The audit log of registers: who changed the chart, dimensions, codes and rules, and why."""

import json

from sqlalchemy import text
from sqlalchemy.orm import Session


def tell_audit(session: Session, actor: str, action: str, subject: str, **facts: object) -> None:
    """Write down who did what to which row of a register; the database says when."""
    session.execute(
        text(
            "INSERT INTO audit_event (actor, action, subject, content)"
            " VALUES (:actor, :action, :subject, CAST(:content AS jsonb))"
        ),
        {"actor": actor, "action": action, "subject": subject,
         "content": json.dumps(facts, ensure_ascii=False)},
    )  # fmt: skip
