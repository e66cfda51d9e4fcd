"""Which blobs have been handled, so that each runs once, also when the host starts anew."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from .app_state import AppState

_TABLE = """
CREATE TABLE IF NOT EXISTS receipts (
    function TEXT, account TEXT, path TEXT, etag TEXT, failures INTEGER, done INTEGER,
    PRIMARY KEY (function, account, path)
) WITHOUT ROWID
"""


class Receipt(NamedTuple):
    """What is known of a blob.

    :ivar etag: the edition of the blob that this is about.
    :ivar failures: how often the function has failed with it.
    :ivar is_done: whether it is not to run any more.
    """

    etag: str
    failures: int
    is_done: bool


class Receipts:
    """The receipts of one function for the blobs of one account.

    :param state: where they are kept.
    :param function: the function's name.
    :param account: what tells accounts apart.
    :raises OSError: if the folder cannot be written to.
    :raises sqlite3.Error: if the file cannot be used.
    """

    def __init__(self, state: AppState, function: str, account: str) -> None:
        self._key = (function, account)
        self._database = sqlite3.connect(state.file("blobs.sqlite"), isolation_level=None)
        # The file survives the host's end by any means; after one of the machine the last blobs may run again.
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_TABLE)

    def all(self) -> dict[str, Receipt]:
        """The receipts by the paths of the blobs."""
        rows = self._database.execute(
            "SELECT path, etag, failures, done FROM receipts WHERE function = ? AND account = ?", self._key
        )
        return {path: Receipt(etag, failures, bool(done)) for path, etag, failures, done in rows}

    def write(self, path: str, receipt: Receipt) -> None:
        """Keep a receipt in place of the one before."""
        self._database.execute(
            "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?)",
            (*self._key, path, receipt.etag, receipt.failures, int(receipt.is_done)),
        )

    def forget(self, path: str) -> None:
        """Drop the receipt of a blob that does not exist any more."""
        self._database.execute(
            "DELETE FROM receipts WHERE function = ? AND account = ? AND path = ?", (*self._key, path)
        )

    def close(self) -> None:
        """Close the file."""
        self._database.close()
