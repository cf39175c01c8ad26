from concurrent.futures.process import BrokenProcessPool

import pytest

from framegen.machine.errors import UserError
from framegen.studies.pool import workers


def test_a_worker_that_is_killed_is_told_with_the_way_out() -> None:
    with pytest.raises(UserError, match=r"was killed.*the same command resumes it"), workers(1):
        raise BrokenProcessPool  # as its future does
