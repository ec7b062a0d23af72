"""Half a year at an invented service desk: about 500 mails with labels, to try rules on."""

from __future__ import annotations

from kolibri_sdk.demo.history.archive import write_history
from kolibri_sdk.demo.history.year import HistoricMail, historic_mails

__all__ = ["HistoricMail", "historic_mails", "write_history"]
