"""What of a table's past was given up, as its log tells it; pure.

A mark says from which version on everything is kept (`lake.actions.KEPT_FROM`). Of versions before
it these files were given up:

- curated tables: all that went, for a build makes their rows again;
- `raw_candles`: those whose rows are within a compacted file (`lake.pieces.holders`), so that no
  version loses a row;
- `coverage`: those that the commit of the mark names, of versions that no build was made from.
"""

from collections.abc import Iterable, Sequence

from lake.actions import BUILDS, GIVEN_UP, Actions
from lake.log import Commit, upkept
from lake.pieces import holders
from lake.tables import CURATED, RAW_CANDLES, Table


def given_up(table: Table, commits: Iterable[Actions]) -> set[str]:
    """Return the files of a table that were given up, by the rules of `lake.retention`; pure.

    Another program may bring an old version back, and its files go once more later: of each file
    the last time that it went counts. So the commits since the mark before tell the same of the
    files that went since as all commits do.

    Args:
        table: the declaration.
        commits: of the table, all of them or all since a version, in any order.
    """
    ordered = sorted(commits, key=lambda commit: commit.version)
    kept_from = max((commit.kept_from for commit in ordered), default=0)
    old = [commit for commit in ordered if commit.version <= kept_from]
    came = {path: commit.version for commit in ordered for path in commit.added}
    went = {path: commit.version for commit in old for path in commit.removed}
    if table is RAW_CANDLES:
        until = {path: commit.version for commit in old for path in holders([commit.lineage])}
    elif table in CURATED:
        until = went
    else:
        until = {
            path: commit.kept_from
            for commit in ordered
            for path in commit.lineage.get(GIVEN_UP, ())
        }
    return {
        path
        for path, version in went.items()
        if came.get(path, -1) < version <= until.get(path, -1)
    }


def why_given_up(
    table: Table, version: int, kept_from: int, paths: Iterable[str], commits: Sequence[Commit]
) -> str:
    """Say why the rows of a version before the mark cannot be read, and what brings them back;
    empty where they can be; pure.

    Args:
        table: the declaration.
        version: of it.
        kept_from: the mark.
        paths: of its files.
        commits: of the table, newest first.
    """
    if table in CURATED:
        if upkept(commits, version) >= kept_from:
            # Its files are those of a version that is kept.
            return ""
        raw_version = _made_from(commits, version)
        again = "" if raw_version is None else f" --raw-version {raw_version}"
        return (
            f"{table.name} at its version {version} was given up to save space, as `follow` and "
            f"`maintain` do with old builds. No candle is lost: `basislake build{again}` makes its "
            "rows again, and `basislake build` then brings back the newest."
        )
    gone = {path for commit in commits for path in commit.lineage.get(GIVEN_UP, ())}
    if gone.isdisjoint(paths):
        return ""
    raw_version = _made_from(commits, version)
    builds = (raw for commit in commits for raw in commit.lineage.get(BUILDS, ()))
    past = [raw for raw in builds if raw_version is None or raw < raw_version]
    near = f" The last such version before is {max(past)}." if past else ""
    return (
        f"{table.name} at its version {version} was given up to save space, as `follow` and "
        "`maintain` do with versions between builds. No candle is lost, and coverage is there for "
        f"every version of {RAW_CANDLES.name} that a build was made from.{near}"
    )


def _made_from(commits: Iterable[Commit], version: int) -> int | None:
    """The version of `raw_candles` that a version was made from."""
    past = (commit.lineage for commit in commits if commit.version <= version)
    made: dict[str, int] = next((told["made_from"] for told in past if "made_from" in told), {})
    return made.get(RAW_CANDLES.name)
