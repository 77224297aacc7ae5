"""What a database's error means for whoever reads it, and whether the same statement may go through a little later."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.exc import DBAPIError

_GONE = ("08", "57P")
"""Classes of SQLSTATE: the connection failed; the server is shutting down or starting up."""

_TRY_AGAIN = frozenset({"40001", "40P01", "53300", "55P03"})
"""Not serialisable, deadlock, too many connections, lock not available."""

_ADVICE = (
    # What the databases and their drivers say, in the order in which it is looked for.
    ("no password supplied|password authentication failed|no pg_hba.conf entry",
     "put the right user and password into OLDPHOTO_CATALOGUE_URL, or into ~/.pgpass"),
    ('role ".*" does not exist', "put the right user into OLDPHOTO_CATALOGUE_URL"),
    ('database ".*" does not exist', "make it with `createdb`, or put the right name into OLDPHOTO_CATALOGUE_URL"),
    ("failed to resolve host|could not translate host name", "look at the host in OLDPHOTO_CATALOGUE_URL"),
    ("Connection refused|No such file or directory|timeout expired|No route to host|Network is unreachable",
     "is the server running there, and does it accept connections from here?"),
    ("database is locked", "another program has been writing to it all the while; end it, or run one at a time"),
    ("is full|No space left|could not extend file", "make room on its disk and run the same command again"),
    ("disk I/O error", "look at its disk: is it full, or failing?"),
    ("readonly database|read-only transaction", "it can only be read here; look at the file's and folder's mode, or "
                                                "name the primary server"),
    ("permission denied|must be owner|must be superuser",
     "this user may not do that; make it a member of oldphoto_writer, or take the owner"),
    ("malformed|not a database", "it is damaged or no catalogue; restore it from a backup"),
)  # fmt: skip


def advice(error: BaseException) -> str:
    """What to do about it, in a few words."""
    text = str(error)
    for pattern, words in _ADVICE:
        if re.search(pattern, text, re.IGNORECASE):
            return words
    return "is the disk full, the server down, or another program at it?"


def one_line(error: BaseException) -> str:
    """The database's own words."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def may_pass(error: Any) -> bool:
    """Whether the same statement may go through a little later: a lost server, a deadlock; never a full disk."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state.startswith(_GONE) or state in _TRY_AGAIN
    # Without a code from the server there was no server to send one. SQLite never gives one.
    return error.connection_invalidated or type(error.orig).__module__.startswith("psycopg")
