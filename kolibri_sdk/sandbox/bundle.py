"""Where the JavaScript lies that the build hook has made."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ANALYSIS", "PRELUDE"]

PRELUDE = Path(__file__).parent / "static" / "prelude.js"
ANALYSIS = PRELUDE.with_name("analysis.js")
