"""Settings for all tests."""

import d2l  # noqa: F401  (before any test imports MXNet: d2l.compat makes that possible)
