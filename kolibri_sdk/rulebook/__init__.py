"""``rules/`` and ``kolibri.toml`` as values; every mistake with file, line and the mend."""

from __future__ import annotations

from kolibri_sdk.rulebook.book import Rulebook
from kolibri_sdk.rulebook.check import check_rulebook
from kolibri_sdk.rulebook.footprint import footprint
from kolibri_sdk.rulebook.load import load_rulebook
from kolibri_sdk.rulebook.project import Project, find_project
from kolibri_sdk.rulebook.revision import rulebook_at
from kolibri_sdk.rulebook.schema import schema

__all__ = [
    "Project",
    "Rulebook",
    "check_rulebook",
    "find_project",
    "footprint",
    "load_rulebook",
    "rulebook_at",
    "schema",
]
