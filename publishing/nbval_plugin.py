"""pytest plugin: what nbval leaves out when it compares a notebook's outputs with those in the .ipynb.

Text on stderr (progress bars, MXNet's log) is not in the notebooks that `make notebooks` writes, so a new run's is
not compared with anything.
"""

from __future__ import annotations

import pytest
from nbval.plugin import IPyNbCell


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make nbval skip stderr in every notebook."""
    for notebook in {item.parent for item in items if isinstance(item, IPyNbCell)}:
        notebook.skip_compare += ("stderr",)
