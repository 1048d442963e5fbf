"""Data-quality rules. Great Expectations is imported by these modules only, and costs seconds: import them late."""

from __future__ import annotations

import os

# Read by Great Expectations when it is imported: nothing about a hospital's loads is told to anybody.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
