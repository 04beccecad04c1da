"""What stateful tests share: an empty lake and an exchange whose clock they move, and how long
histories are looked for.
"""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant

from basislake.simulator.clock import Clock
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from lake import open as open_lake
from tests.market import rows, truths
from tests.profiles import is_long


def histories(long: int, steps: int) -> settings:
    """Settings of a machine: so many histories of so many steps in the long run; in a quick one a
    short one.
    """
    return settings(
        max_examples=long if is_long() else 1,
        stateful_step_count=steps if is_long() else 3,
        # Each history takes seconds, so a failing one is reported without shrinking.
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


class History(RuleBasedStateMachine):
    """An exchange, a lake, and what may happen to them; the lake never holds what is not true."""

    def __init__(self, universe: Universe) -> None:
        super().__init__()
        self.universe = universe
        self.folder = tempfile.TemporaryDirectory()
        self.lake = open_lake(str(Path(self.folder.name) / "lake"))
        self.clock = Clock(universe.now_ms)
        self.server = SimulatedExchange(universe, clock=self.clock)
        self.server.start()

    @property
    def latest_ms(self) -> int:
        """The latest time of the exchange, until which candles may have closed."""
        return self.clock()

    @invariant()
    def every_row_is_the_truth_and_closed(self) -> None:
        stored = rows(self.lake, "raw_candles")
        assert stored.select("instrument", "ts").is_unique().all()
        true = truths(self.universe, self.latest_ms)
        assert stored.join(true, on=stored.columns, how="anti").is_empty()

    def teardown(self) -> None:
        self.server.stop()
        self.folder.cleanup()
