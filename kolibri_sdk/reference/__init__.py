"""The message reference: minted on every mail from a record, found on every mail that comes in."""

from __future__ import annotations

from kolibri_sdk.reference.by_hand import accept, attach, detach, dismiss
from kolibri_sdk.reference.carriers import ids_of_tokens
from kolibri_sdk.reference.find import Reference, find_references
from kolibri_sdk.reference.forward import is_forward
from kolibri_sdk.reference.mint import Carriers, mint_carriers, plain_message_id
from kolibri_sdk.reference.own import recognise_own

__all__ = [
    "Carriers",
    "Reference",
    "accept",
    "attach",
    "detach",
    "dismiss",
    "find_references",
    "ids_of_tokens",
    "is_forward",
    "mint_carriers",
    "plain_message_id",
    "recognise_own",
]
