"""The message reference: minted on every mail from a record, found on every mail that comes in."""

from __future__ import annotations

from kolibri_sdk.reference.find import Reference, find_references
from kolibri_sdk.reference.mint import Carriers, mint_carriers, plain_message_id

__all__ = ["Carriers", "Reference", "find_references", "mint_carriers", "plain_message_id"]
