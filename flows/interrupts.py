"""After Ctrl-C: let go of what the interrupted code still holds, so that tidying up can go on."""

from __future__ import annotations

import traceback


def let_go(error: BaseException | None) -> None:
    """Clears the ended frames behind an error, and those behind the errors it came from.

    Where Ctrl-C strikes within a statement, SQLAlchemy closes the connection, but SQLite keeps its transaction, and
    with it the database's lock, for as long as a cursor lives; and the cursor lives in the error's frames.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
