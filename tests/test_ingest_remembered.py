"""The rate that is stored for the next run, in real files."""

import json
from pathlib import Path

import pytest

from ingest.rate_limit.allowance import AUTO, Rate
from ingest.rate_limit.limiter import Limiter
from ingest.rate_limit.policy import FIRST_CALLS_PER_SECOND, FORGOTTEN_S, SETTLED_CALLS
from ingest.rate_limit.remembered import Expected, Remembered, expected
from lake.machine.shared_folder import SETTING
from tests.clocks import Time
from tests.test_ingest_limiter import URL

NOW = 1_000_000.0
DAY_S = 86_400.0


def remembered(state: Path, url: str = URL) -> Remembered:
    return Remembered(url, {"XDG_STATE_HOME": str(state)})


def limiter(time: Time, state: Path, rate: Rate = AUTO, folder: Path | None = None) -> Limiter:
    return Limiter(
        rate,
        folder=folder,
        url=URL,
        clock=time,
        sleep=time.sleep,
        remembered=remembered(state),
    )


def call(own: Limiter, times: float) -> None:
    for _ in range(int(times)):
        own.wait()
        own.answered()


def test_what_one_run_found_another_begins_with_whatever_its_lake(tmp_path: Path) -> None:
    time, state = Time(), tmp_path / "state"
    one = limiter(time, state, folder=tmp_path / "lake")
    assert one.calls_per_second == FIRST_CALLS_PER_SECOND
    assert one.expected == Expected(20.0, "published")
    call(one, SETTLED_CALLS)
    other = limiter(time, state, folder=tmp_path / "other")
    assert other.expected == Expected(20.0, "remembered")
    assert other.calls_per_second == pytest.approx(0.95 * 20)
    # A run of the same lake begins with it too, where the last one is long over.
    time.sleep(FORGOTTEN_S + 1)
    assert limiter(time, state, folder=tmp_path / "lake").calls_per_second == pytest.approx(19)


def test_two_runs_on_one_lake_find_the_rate_together(tmp_path: Path) -> None:
    time = Time()
    one, other = (limiter(time, tmp_path / "state", folder=tmp_path / "lake") for _ in range(2))
    call(one, 20)
    call(other, 20)
    assert one.calls_per_second == other.calls_per_second > 2 * FIRST_CALLS_PER_SECOND
    one.refused(other.wait(), 3.0)
    start_s = time.now_s
    assert other.wait() == pytest.approx(start_s + 3.0)


def test_only_auto_remembers(tmp_path: Path) -> None:
    for rate in (0, 50):
        call(limiter(Time(), tmp_path, rate), 2 * SETTLED_CALLS)
    assert list(tmp_path.iterdir()) == []
    assert expected(8, 12.0) == Expected(8, "given")


def test_each_host_has_a_rate_of_its_own_and_no_password_is_kept(tmp_path: Path) -> None:
    remembered(tmp_path, "https://me:hush@www.deribit.com/x").write(12.0, NOW)
    assert remembered(tmp_path).read(NOW) == 12.0
    assert remembered(tmp_path, "https://test.deribit.com").read(NOW) is None
    (file,) = (tmp_path / "basislake").iterdir()
    assert "hush" not in file.name + file.read_text()


@pytest.mark.parametrize("later_s", [-1.0, -DAY_S, 8 * DAY_S])
def test_a_rate_of_long_ago_or_of_the_future_is_not_used(tmp_path: Path, later_s: float) -> None:
    remembered(tmp_path).write(12.0, NOW)
    assert remembered(tmp_path).read(NOW + later_s) is None
    remembered(tmp_path).write(9.0, NOW + later_s)
    assert remembered(tmp_path).read(NOW + later_s) == 9.0


@pytest.mark.parametrize(
    "found",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"12",
        b"{}",
        b"[" * 100_000,
        *(
            json.dumps({"calls_per_second": rate, "at": at}).encode()
            for rate, at in [
                (0, NOW),
                (-1, NOW),
                (21, NOW),
                (float("nan"), NOW),
                ("x", NOW),
                (None, NOW),
                (12, float("inf")),
                (12, float("nan")),
                (12, [NOW]),
            ]
        ),
    ],
)
def test_a_file_that_holds_no_rate_is_replaced(tmp_path: Path, found: bytes) -> None:
    own = remembered(tmp_path)
    own.write(12.0, NOW)
    (file,) = (tmp_path / "basislake").iterdir()
    file.write_bytes(found)
    assert own.read(NOW) is None
    own.write(11.0, NOW)
    assert own.read(NOW) == 11.0


def test_a_place_that_cannot_be_written_or_is_not_known_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    time = Time()
    own = limiter(time, tmp_path / "file")
    call(own, 3 * SETTLED_CALLS)
    assert own.calls_per_second == 20
    assert own.expected == Expected(20.0, "published")


def test_the_same_rate_is_written_again_after_an_hour_only(tmp_path: Path) -> None:
    own = remembered(tmp_path)
    own.write(12.0, NOW)
    own.write(12.05, NOW + 60)
    assert own.read(NOW + 60) == 12.0
    own.write(12.05, NOW + 3_601)
    assert own.read(NOW + 3_601) == 12.05


def test_the_setting_for_what_a_machine_keeps_holds_for_the_rate_too(tmp_path: Path) -> None:
    environment = {SETTING: str(tmp_path / "machine"), "XDG_STATE_HOME": str(tmp_path / "state")}
    Remembered(URL, environment).write(12.0, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["machine"]
