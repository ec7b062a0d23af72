"""Old mail in files: mbox, Maildir, .eml, and zip or tar of these, one mail after the other."""

from __future__ import annotations

from kolibri_sdk.archives.archive import Archive, open_archive
from kolibri_sdk.archives.found import MOST_BYTES, ArchivedMail

__all__ = ["MOST_BYTES", "Archive", "ArchivedMail", "open_archive"]
