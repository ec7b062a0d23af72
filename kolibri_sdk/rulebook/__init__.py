"""``rules/`` and ``kolibri.toml`` as values; every mistake with file, line and the mend."""

from __future__ import annotations

from kolibri_sdk.rulebook.book import Rulebook
from kolibri_sdk.rulebook.check import check_rulebook
from kolibri_sdk.rulebook.edit import edited, new_document, save_file
from kolibri_sdk.rulebook.explain import validate
from kolibri_sdk.rulebook.footprint import footprint
from kolibri_sdk.rulebook.gates import load_gates
from kolibri_sdk.rulebook.load import load_rulebook
from kolibri_sdk.rulebook.project import Project, find_project
from kolibri_sdk.rulebook.revision import rulebook_at
from kolibri_sdk.rulebook.schema import schema
from kolibri_sdk.rulebook.yaml_file import YamlFile, parse_yaml, read_yaml

__all__ = [
    "Project",
    "Rulebook",
    "YamlFile",
    "check_rulebook",
    "edited",
    "find_project",
    "footprint",
    "load_gates",
    "load_rulebook",
    "new_document",
    "parse_yaml",
    "read_yaml",
    "rulebook_at",
    "save_file",
    "schema",
    "validate",
]
