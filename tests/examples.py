"""Examples that hypothesis draws: the same ones on each machine, unless a long search is asked for.

``FIJIBRIDGE_EXAMPLES=50 pytest tests/rois`` draws other examples at random, 50 times as many. What it finds becomes an
``@example`` of the test.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

FACTOR = int(os.environ.get("FIJIBRIDGE_EXAMPLES", "0"))

# No deadline: machines are noisy, and nothing is timed in a test.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=100 * max(FACTOR, 1), deadline=None, print_blob=True)
settings.load_profile("search" if FACTOR else "fixed")


def examples(count: int, **more: Any) -> settings:
    """Return the settings of a test that draws a number of examples."""
    return settings(max_examples=count * max(FACTOR, 1), **more)
