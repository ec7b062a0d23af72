"""Where the JavaScript lies that the build hook has made."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PRELUDE"]

PRELUDE = Path(__file__).parent / "static" / "prelude.js"
