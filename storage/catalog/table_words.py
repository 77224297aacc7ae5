"""What every table and column means, in one line each, from the files that mirror those of the tables.

All times are ISO-8601 UTC text with seconds (``2026-01-31T23:59:59Z``).
"""

from __future__ import annotations

from collections.abc import Mapping

from storage.catalog.archive_words import ARCHIVE_WORDS
from storage.catalog.event_words import EVENT_WORDS
from storage.catalog.label_words import LABEL_WORDS
from storage.catalog.training_words import TRAINING_WORDS
from storage.catalog.work_words import WORK_WORDS

TABLE_WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    **ARCHIVE_WORDS, **WORK_WORDS, **LABEL_WORDS, **TRAINING_WORDS, **EVENT_WORDS,
}  # fmt: skip
