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


def given_up(table: Table, commits: Sequence[Actions]) -> set[str]:
    """Return the files of a table that were given up, by the rules of `lake.retention`; pure.

    Args:
        table: the declaration.
        commits: of the table.
    """
    kept_from = max((commit.kept_from for commit in commits), default=0)
    old = [commit for commit in commits if commit.version <= kept_from]
    if table is RAW_CANDLES:
        gone = set(holders(commit.lineage for commit in old))
    elif table in CURATED:
        gone = {path for commit in old for path in commit.removed}
    else:
        gone = {path for commit in commits for path in commit.lineage.get(GIVEN_UP, ())}
    # No file's name is used again by us; another program may have brought an old version back.
    went = {path: commit.version for commit in _newest_first(old) for path in commit.removed}
    return gone - {
        path
        for commit in commits
        for path in commit.added
        if commit.version > went.get(path, kept_from)
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


def _newest_first(commits: Iterable[Actions]) -> list[Actions]:
    return sorted(commits, key=lambda commit: commit.version, reverse=True)


def _made_from(commits: Iterable[Commit], version: int) -> int | None:
    """The version of `raw_candles` that a version was made from."""
    past = (commit.lineage for commit in commits if commit.version <= version)
    made: dict[str, int] = next((told["made_from"] for told in past if "made_from" in told), {})
    return made.get(RAW_CANDLES.name)
