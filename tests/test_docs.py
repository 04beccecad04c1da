"""The documents against the program: every feature is documented, every documented one exists."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import lake
from basislake.cli.main import EXIT_CODES
from basislake.cli.main import basislake as program
from basislake.cli.signals import READER_GONE, Interruptions
from docs.reference import help_text, settings, verbs
from lake.machine.shared_folder import SETTING
from lake.query.views import VIEWS
from load import tables as postgres
from tests.market import ROOT

VERBS = dict(verbs())
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text() for page in PAGES}
OTHERS = [ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CHANGELOG", "DECISIONS")]
# In an example of what a developer would add.
NOT_THERE = {"ingest/datasets/volatility.py"}
COMMANDS, TABLES = TEXTS["commands.md"], TEXTS["tables.md"]
# Read by the tests and by click, not by the command.
OTHER_VARIABLES = {"BASISLAKE_TEST_POSTGRES", "BASISLAKE_TEST_KILLS"}
WITHOUT_FLAG = {SETTING}
VARIABLE = re.compile(r"\bBASISLAKE_[A-Z_]+\b")
CALL = re.compile(r"(?:^\s*|`|\$\(|bin/)basislake ((?:[a-z]+\b|--[a-z]+)[^`\n]*)", re.MULTILINE)
# Where the shell goes on with something else.
ENDS = re.compile(r"\s[|>&]|\s#|;|\)\"$")


# A verb keeps the help option of the context it first meets.
PARENT = click.Context(program, info_name="basislake", **program.context_settings)


def options(command: click.Command) -> set[str]:
    params = command.get_params(click.Context(command, PARENT))
    shown = [param for param in params if not getattr(param, "hidden", False)]
    names = [name for param in shown for name in (*param.opts, *param.secondary_opts)]
    return {name for name in names if name.startswith("-")}


def section(page: str, title: str) -> str:
    found = re.search(
        rf"^#+ {re.escape(title)}\n(.*?)(?=^##? |^### |\Z)", page, re.MULTILINE | re.DOTALL
    )
    assert found, f"no section {title}"
    return found[1]


def examples(name: str) -> list[str]:
    """The command lines of a help text, those going on over several lines joined."""
    lines = (VERBS[name].help or "").replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if re.match(r"\s{4,}\S*.*\bbasislake [a-z]", line)]


def calls() -> Iterator[tuple[str, str]]:
    """Every call of the command in a document, with the document's name."""
    for name, text in TEXTS.items():
        for found in CALL.finditer(text.replace("\\\n", " ")):
            yield name, ENDS.split(found[1])[0].strip().rstrip(").,:")


def returned(function: ast.FunctionDef) -> set[int]:
    """The whole numbers a verb can return as its exit code."""
    values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    found: set[int] = set()
    for value in values:
        cases = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
        found |= {c.value for c in cases if isinstance(c, ast.Constant) and type(c.value) is int}
    return found


def verb_functions() -> dict[str, ast.FunctionDef]:
    """The functions of the verbs as written."""
    files = [
        *(ROOT / "basislake" / "verbs").glob("*.py"),
        *(ROOT / "basislake" / "cli" / "commands").glob("completion.py"),
    ]
    return {
        node.name: node
        for path in sorted(files)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name in VERBS
    }


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_has_a_section_that_names_its_options_and_no_others(name: str) -> None:
    listed = r"^  (?:-h, )?(--[a-z-]+)(?:(?: / |, )(--[a-z-]+))?"
    pairs = re.findall(listed, section(COMMANDS, name), re.MULTILINE)
    message = {option for pair in pairs for option in pair if option}
    assert message == options(VERBS[name]) - {"-h"} | {"--help"}
    assert f"| [`{name}`](#{name}) |" in COMMANDS


def test_the_page_has_no_section_of_a_verb_that_is_not_there() -> None:
    titles = set(re.findall(r"^## (.*)$", COMMANDS, re.MULTILINE))
    assert titles - {"Exit codes", "Settings", "Shell completion"} == set(VERBS)


def test_the_help_of_the_command_has_a_section_of_its_own_kind_for_every_verb() -> None:
    text = program.get_help(PARENT)
    listed = {
        title: set(re.findall(r"^  ([a-z]+)  ", text[start:].partition("\n\n")[0], re.MULTILINE))
        for title, start in ((m[1], m.end()) for m in re.finditer(r"^(\S.*):$", text, re.MULTILINE))
    }
    assert {"run", "follow", "backfill"} <= listed["Fetch, validate, load"]
    assert set.union(*listed.values()) == set(VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_a_help_text_says_what_each_option_is_and_has_an_example_that_parses(name: str) -> None:
    command = VERBS[name]
    unsaid = [p.opts for p in command.params if isinstance(p, click.Option) and not p.help]
    assert not unsaid
    assert command.short_help
    assert "Example:" in help_text(name, command)
    lines = [line for line in examples(name) if re.search(rf"\bbasislake {name}\b", line)]
    assert lines
    for line in lines:
        words = shlex.split(ENDS.split(line.split(f"basislake {name}", 1)[1])[0])
        command.make_context(name, words, PARENT)  # raises where it is wrong usage


def test_every_call_in_the_documents_names_a_verb_and_options_that_exist() -> None:
    found = list(calls())
    assert len(found) > 50
    general = options(program)
    for page, call in found:
        name, *words = call.split()
        if name.startswith("--") or name not in VERBS:
            assert name in general, f"{page}: {call}"
            continue
        message = {word.split("=")[0] for word in words if re.fullmatch(r"--[a-z-]+(=.*)?", word)}
        assert message <= options(VERBS[name]) | {"--help"}, f"{page}: {call}"


def test_every_setting_is_documented_and_no_other() -> None:
    sources = [
        path
        for package in ("lake", "ingest", "transforms", "load", "basislake")
        for path in (ROOT / package).rglob("*.py")
    ]
    read = {name for path in sources for name in VARIABLE.findall(path.read_text())}
    assert read == set(settings()) | WITHOUT_FLAG
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| `(--[a-z-]+)` ", COMMANDS, re.MULTILINE))
    assert rows == {name: option.opts[0] for name, option in settings().items()}
    for name in WITHOUT_FLAG:
        assert f"\n| `{name}` | " in COMMANDS
    for page, text in TEXTS.items():
        assert set(VARIABLE.findall(text)) <= set(rows) | WITHOUT_FLAG | OTHER_VARIABLES, page


def test_every_exit_code_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", section(COMMANDS, "Exit codes"), re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == dict(EXIT_CODES)
    cli = ast.parse((ROOT / "basislake" / "cli" / "main.py").read_text())
    ended = {
        target.id: node.value.value
        for node in cli.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, int)
    }
    assert set(ended) == {"_FAILED", "_USAGE"}
    verbs_end = set().union(*(returned(function) for function in verb_functions().values()))
    signals = {Interruptions().exit_code, READER_GONE}
    assert set(ended.values()) | verbs_end | signals == set(EXIT_CODES)
    for code in EXIT_CODES:
        assert re.search(rf"\b{code} [a-z]", program.help or "")


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_that_can_end_with_1_says_when(name: str) -> None:
    text = " ".join((VERBS[name].help or "").split())
    if 1 in returned(verb_functions()[name]):
        assert re.search(r"[Ee]xit codes?\b[^.]*\b1\b", text)


def test_every_table_has_its_columns_with_type_unit_and_null_and_no_others() -> None:
    declared = [("", table) for table in lake.TABLES.values()]
    declared += [(" (PostgreSQL)", table) for table in postgres.TABLES.values()]
    titles = re.findall(r"^### (.*)$", TABLES, re.MULTILINE)
    assert titles == [f"{table.name}{where}" for where, table in declared]
    for where, table in declared:
        text = section(TABLES, f"{table.name}{where}")
        rows = re.findall(
            r"^\| `(\w+)` \| (.+) \| (yes|no) \| (.*) \| (.+) \|$", text, re.MULTILINE
        )
        message = [(name, null == "yes", unit, meaning) for name, _, null, unit, meaning in rows]
        assert message == [(c.name, c.nullable, c.unit, c.meaning) for c in table.columns]
        assert all(type_ for _, type_, *_ in rows)
        assert f"Key: {', '.join(f'`{name}`' for name in table.key)}" in text


def test_a_column_named_with_its_table_is_one_of_its_columns() -> None:
    columns = {name: table.names for name, table in (postgres.TABLES | lake.TABLES).items()}
    columns |= {view.name: [column.name for column in view.columns] for view in VIEWS}
    named = re.compile(rf"`({'|'.join(columns)})\.(\w+)`")
    found = [(page, *pair) for page, text in TEXTS.items() for pair in named.findall(text)]
    assert found
    for page, table, column in found:
        assert column in columns[table], f"{page}: {table}.{column}"


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.stem)
def test_links_and_paths_of_a_document_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"
    folders = "lake|ingest|transforms|load|basislake|tests|docs|deploy"
    paths = set(re.findall(rf"`((?:{folders})/[\w./-]*)`", text))
    assert [path for path in sorted(paths - NOT_THERE) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.stem)
def test_prose_fits_100_columns(page: Path) -> None:
    prose = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "!["))]
    assert [line for line in lines if len(line) > 100] == []


def test_the_readme_is_one_screen_and_a_decision_has_at_most_12_lines() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 80
    decisions = (ROOT / "DECISIONS.md").read_text().split("\n## ")[1:]
    assert max(len(each.strip().splitlines()) for each in decisions) <= 12


def test_the_pictures_are_small_and_ask_the_network_for_nothing() -> None:
    assert (ROOT / "docs" / "report.png").stat().st_size <= 300_000
    picture = (ROOT / "docs" / "session.svg").read_text()
    assert len(picture) <= 300_000
    assert not re.search(r"(?:href|src|url)\s*[=(]\s*[\"']?https?:", picture)
