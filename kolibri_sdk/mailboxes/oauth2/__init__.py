"""OAuth2: access tokens for IMAP, POP3 and SMTP, renewed in time, and the logins behind them."""

from __future__ import annotations

from kolibri_sdk.mailboxes.oauth2.access import AccessTokens
from kolibri_sdk.mailboxes.oauth2.sasl import Bearer, bearer

__all__ = ["AccessTokens", "Bearer", "bearer"]
