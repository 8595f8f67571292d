"""What the guards lean on: the text of the functions, the owner, who may write, nothing beside.

A trigger that is in its place guards nothing once its function says something else, once another
trigger rewrites the rows before it, or once a login has been given more than the migrations gave.
Nor does a table hold what it should once a constraint, a unique index or a column is another one.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db.catalogue import Catalogue, written_catalogue
from ledger.db.routines import written_routines
from ledger.service.guards import GUARDS
from ledger.service.histories import histories

SERVICE, AUDITOR = "hovedbok_service", "hovedbok_auditor"
# What the service writes by itself, a row at a time; everything else goes through a function.
FILLED_BY_SERVICE = frozenset({
    "access_event", "account", "audit_event", "balance_assertion", "book", "book_access",
    "dimension", "dimension_rule", "dimension_set", "dimension_value", "exchange_rate",
    "posting_request", "posting_request_step", "posting_rule", "tariff_book", "tariff_verdict",
    "vat_code", "voucher_series", "webhook", "webhook_delivery", "webhook_ended", "webhook_replay",
})  # fmt: skip


def routine_faults(session: Session) -> Iterator[tuple[str, str]]:
    """Yield (routine, what) for each that is not as the migrations wrote it, or runs otherwise."""
    written = written_routines()
    rows: Any = session.execute(text(_ROUTINES), {"names": list(written)})
    for name, body, settings, is_definer, owner, rightful, strangers in rows:
        if body != written[name]:
            yield f"routine {name}", "it does not say what the migrations wrote"
        if is_definer and _KEEPS_TO_SCHEMA not in settings:
            yield f"routine {name}", "it runs as its owner and looks beyond the schema of the books"
        if silencing := [one for one in settings if one.startswith("session_replication_role=")]:
            yield f"routine {name}", f"it runs with {silencing[0]}"
        for stranger in strangers if is_definer else ():
            yield f"routine {name}", f"{stranger} may call it, which runs as its owner"
        if owner != rightful:
            yield f"routine {name}", f"it belongs to {owner}, the books to {rightful}"


def table_faults(session: Session) -> Iterator[tuple[str, str]]:
    """Yield (table, what) for each fact or master data that others may write, or that is rewired.

    Every partition is looked at as its parent is.
    """
    tables = {"tables": _tables()}
    rows: Any = session.execute(text(_TABLES), tables)
    for table, owner, rightful, row_security, rules in rows:
        if owner != rightful:
            yield f"table {table}", f"it belongs to {owner}, the books to {rightful}"
        if row_security:
            yield f"table {table}", "row security hides some of its rows from their readers"
        for rule in rules:
            yield f"table {table}", f"rule {rule} rewrites what is asked of it"
    rows = session.execute(text(_TRIGGERS), tables)
    for parent, table, trigger in rows:
        if parent in GUARDS and trigger not in {name for name, _, _ in GUARDS[parent]}:
            yield f"table {table}", f"trigger {trigger} is none of the books'"
    rows = session.execute(text(_GRANTS), tables)
    for table, grantee, privilege in rows:
        given = (grantee, privilege) == (SERVICE, "INSERT") and table in FILLED_BY_SERVICE
        if not given:
            yield f"table {table}", f"{grantee} may {privilege} it"


def catalogue(session: Session) -> Catalogue:
    """Read the columns, defaults, constraints and unique indexes of the tables of the books."""
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    rows: Any = session.execute(text(_MADE), {"tables": _tables()})
    for parent, table, kind, name, definition in rows:
        if table == parent:
            found[table][kind][name] = definition
    return found


def catalogue_faults(session: Session) -> Iterator[tuple[str, str]]:
    """Yield (table, what) for each column, constraint or unique index that is missing or altered.

    A partition has those of its parent under names of its own, and is written through it: what a
    column is left out as is the parent's to say. A foreign key is a pair of triggers beside.
    """
    named: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    parents = {table: table for table in _tables()}
    rows: Any = session.execute(text(_MADE), {"tables": _tables()})
    for parent, table, kind, name, definition in rows:
        parents[table] = parent
        named[table].add((kind, name if table == parent or kind == "column" else "", definition))
    for table, parent in sorted(parents.items()):
        for kind, made in written_catalogue().get(parent, {}).items():
            if kind == "default" and table != parent:
                continue
            for name, definition in made.items():
                said = name if table == parent or kind == "column" else ""
                if (kind, said, definition) not in named[table]:
                    what = f"{kind} {name} is missing or altered; the migrations made it"
                    yield f"table {table}", f"{what} {definition}"
    rows = session.execute(text(_SILENCED), {"tables": _tables()})
    for table, name in rows:
        yield f"table {table}", f"foreign key {name} is not enforced: its triggers are disabled"


def login_faults(session: Session) -> Iterator[tuple[str, str]]:
    """Yield (login, what) where a login is more than one that reads, or calls the functions."""
    rows: Any = session.execute(text(_LOGINS), {"logins": [SERVICE, AUDITOR]})
    for login, detail in rows:
        yield f"login {login}", detail


def _tables() -> list[str]:
    """Name the tables of facts and of master data."""
    return sorted({*GUARDS, *histories(), "account"})


_KEEPS_TO_SCHEMA = "search_path=public, pg_temp"
_RIGHTFUL = "(SELECT relowner FROM pg_class WHERE oid = 'posting_batch'::regclass)"
_NAMED = "CASE a.grantee WHEN 0 THEN 'anybody' ELSE pg_get_userbyid(a.grantee)::text END"
_PARTS = """WITH part AS (
    SELECT c.oid, c.relname::text AS parent, c.oid::regclass::text AS name FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (:tables)
    UNION ALL
    SELECT i.inhrelid, p.relname::text, i.inhrelid::regclass::text
    FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
    WHERE p.relkind = 'p' AND p.relname = ANY (:tables))"""
_ROUTINES = f"""
    SELECT p.proname::text, p.prosrc, coalesce(p.proconfig, '{{}}'), p.prosecdef,
        pg_get_userbyid(p.proowner)::text, pg_get_userbyid({_RIGHTFUL})::text,
        ARRAY(SELECT {_NAMED} FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
            WHERE a.grantee <> p.proowner AND {_NAMED} <> '{SERVICE}')
    FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.proname = ANY (:names)"""
_TABLES = f"""{_PARTS}
    SELECT part.name, pg_get_userbyid(c.relowner)::text, pg_get_userbyid({_RIGHTFUL})::text,
        c.relrowsecurity, ARRAY(SELECT rulename::text FROM pg_rewrite WHERE ev_class = c.oid)
    FROM part JOIN pg_class c USING (oid)"""
_TRIGGERS = f"""{_PARTS}
    SELECT part.parent, part.name, tgname::text FROM part JOIN pg_trigger ON tgrelid = part.oid
    WHERE NOT tgisinternal"""
_GRANTS = f"""{_PARTS}
    SELECT part.name, {_NAMED}, a.privilege_type
    FROM part JOIN pg_class c USING (oid) CROSS JOIN LATERAL (
        SELECT (aclexplode(c.relacl)).* UNION ALL
        SELECT (aclexplode(attacl)).* FROM pg_attribute WHERE attrelid = c.oid) a
    WHERE a.grantee <> c.relowner AND a.privilege_type NOT IN ('SELECT', 'MAINTAIN')"""
# A key to a partitioned table has copies to each of its parts, which come and go with the months.
_MADE = f"""{_PARTS}
    SELECT part.parent, part.name, 'constraint', conname::text, pg_get_constraintdef(k.oid)
        || CASE WHEN coalesce(i.indisvalid AND i.indisready, true) THEN '' ELSE ' INVALID' END
    FROM part JOIN pg_constraint k ON conrelid = part.oid
    LEFT JOIN pg_index i ON i.indexrelid = conindid AND contype <> 'f'
    WHERE contype IN ('c', 'f', 'p', 'u', 'x') AND (part.name <> part.parent OR conparentid = 0)
    UNION ALL
    SELECT part.parent, part.name, 'index', c.relname::text,
        regexp_replace(pg_get_indexdef(indexrelid), '^.*? USING ', '')
        || CASE WHEN indisvalid AND indisready THEN '' ELSE ' INVALID' END
    FROM part JOIN pg_index ON indrelid = part.oid JOIN pg_class c ON c.oid = indexrelid
    WHERE indisunique AND NOT EXISTS (
        SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
    UNION ALL
    SELECT part.parent, part.name, 'column', attname::text, format_type(atttypid, atttypmod)
        || coalesce((SELECT ' COLLATE ' || quote_ident(collname) FROM pg_collation o
            JOIN pg_type t ON t.oid = atttypid WHERE o.oid = attcollation
            AND attcollation <> typcollation), '')
        || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
    FROM part JOIN pg_attribute ON attrelid = part.oid WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT part.parent, part.name, 'default', attname::text, coalesce(
        pg_get_expr(adbin, adrelid), CASE attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END)
    FROM part JOIN pg_attribute ON attrelid = part.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped AND (adbin IS NOT NULL OR attidentity <> '')"""
_SILENCED = f"""{_PARTS}
    SELECT DISTINCT part.name, conname::text FROM part JOIN pg_trigger ON tgrelid = part.oid
    JOIN pg_constraint k ON k.oid = tgconstraint
    WHERE tgisinternal AND contype = 'f' AND tgenabled NOT IN ('O', 'A')"""
_LOGINS = f"""
    SELECT r.rolname::text, 'it is ' || what FROM pg_roles r
    CROSS JOIN LATERAL (VALUES (r.rolsuper, 'a superuser'), (r.rolbypassrls, 'above row security'),
        (r.rolcreaterole, 'a maker of logins'),
        (NOT r.rolsuper AND pg_has_role(r.oid, {_RIGHTFUL}, 'MEMBER'), 'a member of the owner'))
        found (is_so, what)
    WHERE r.rolname = ANY (:logins) AND is_so
    UNION ALL
    SELECT coalesce(r.rolname::text, 'of anybody'), 'its sessions begin with ' || setting
    FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
    CROSS JOIN LATERAL unnest(s.setconfig) setting
    WHERE setting LIKE 'session_replication_role=%' AND s.setdatabase IN (0,
        (SELECT oid FROM pg_database WHERE datname = current_database()))"""
