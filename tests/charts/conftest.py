"""Charts leave pyplot as it was."""

import matplotlib.pyplot as plt
import pytest


@pytest.fixture
def pyplot_untouched():
    """Check at the end that no figure was opened and no setting was changed."""
    assert plt.get_backend()  # settles it
    before = dict(plt.rcParams)
    yield
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before
