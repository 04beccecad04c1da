"""A clock that only a test moves."""


class Time:
    """Seconds that pass by sleeping, and by what the test adds.

    Attributes:
        now_s: the time.
        longest_s: of what was slept at once.
    """

    def __init__(self, now_s: float = 1_000_000.0) -> None:
        self.now_s = now_s
        self.longest_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.longest_s = max(self.longest_s, seconds)
        self.now_s += seconds
