"""The demonstration: a throw-away project that goes one round through everything."""

from __future__ import annotations

from kolibri_sdk.demo.story import DemoResult, run_demo

__all__ = ["DemoResult", "run_demo"]
