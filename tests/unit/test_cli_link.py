"""`link`: adding, listing, showing, withdrawing, importing and exporting, as an operator does it."""

import csv
import io
import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from attribute_authority.domain.link import Link, NewLink
from attribute_authority.errors import Conflict, CouldNotAsk
from attribute_authority.storage.sql import SqlStore
from tests.factories.authority import CARBERRY, HOME, OTHER_ORCID, Authority, command, new_authority, run_process

_SERVICE = "https://sp.example.org/sp"
_OTHER_HOME = "https://idp.other.example/idp"
_HEADER = "orcid,idp,eppn\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority without links."""
    return new_authority(tmp_path)


def _import(authority: Authority, text: str | bytes, *options: str) -> tuple[int, str, str]:
    file = authority.directory / "links.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    result = authority.run("link", "import", *options, str(file))
    return result.exit_code, result.stdout, result.stderr.replace(f"{file}:", "")


def _count(authority: Authority) -> int:
    return len(authority.run("link", "list").stdout.splitlines())


def test_a_link_may_have_several_identifiers(authority: Authority) -> None:
    """Each --id is one; the identity provider is the NameQualifier of a persistent one unless another is named."""
    added = authority.run(
        *("link", "add", "--orcid", f"https://orcid.org/{CARBERRY}", "--idp", HOME, "--id", "eppn=Josiah@Uni.example"),
        *("--id", "persistent=a1B2", "--sp-name-qualifier", _SERVICE),
    )
    shown = json.loads(authority.run("link", "show", "--id", "eppn=josiah@uni.example").stdout)

    assert (0, "") == (added.exit_code, added.stderr)
    assert ["eppn=josiah@uni.example", f"persistent={HOME}!{_SERVICE}!a1B2"] == shown["identifiers"]
    assert (f"https://orcid.org/{CARBERRY}", HOME, "manual") == (shown["orcid"], shown["idp"], shown["source"])


@pytest.mark.parametrize(
    ("orcid", "idp", "identifier", "expected"),
    [
        ("0000-0002-1825-0098", HOME, "eppn=a@uni.example", "check character"),
        (f"https://sandbox.orcid.org/{CARBERRY}", HOME, "eppn=a@uni.example", "another ORCID registry"),
        (CARBERRY, "idp", "eppn=a@uni.example", "'idp' is not an entityID"),
        (CARBERRY, HOME, "eppn=a", "'a' is not a valid eppn"),
        (CARBERRY, HOME, "persistent=abc", "needs a NameQualifier"),
        (CARBERRY, HOME, "eppn=taken@uni.example", "is linked to"),
        (OTHER_ORCID, HOME, "eppn=a@uni.example", "is linked to another person"),
        (OTHER_ORCID, _OTHER_HOME, "eppn=taken@uni.example", f"belongs to a subject of {HOME}"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["", "dry-run"])
def test_a_link_that_cannot_be_is_refused_with_the_reason(
    authority: Authority, *, orcid: str, idp: str, identifier: str, expected: str, options: tuple[str, ...]
) -> None:
    """Exit code 1 and one sentence, with --dry-run too; what was there stays as it was."""
    authority.link("eppn=taken@uni.example", orcid=OTHER_ORCID)
    result = authority.run("link", "add", "--orcid", orcid, "--idp", idp, "--id", identifier, *options)

    assert (1, "", True) == (result.exit_code, result.stdout, result.stderr.startswith("Error: "))
    assert expected in result.stderr
    assert 1 == _count(authority)


@pytest.mark.parametrize("identifier", ["a@uni.example", "mail=a@uni.example"])
def test_a_kind_that_does_not_exist_is_wrong_usage(authority: Authority, identifier: str) -> None:
    """Exit code 2, with the kinds that there are."""
    result = authority.run("link", "add", "--orcid", CARBERRY, "--idp", HOME, "--id", identifier)

    assert (2, "") == (result.exit_code, result.stdout)
    assert "expected KIND=VALUE with KIND one of eppn, unique-id, subject-id, pairwise-id, persistent" in " ".join(result.stderr.split())


def test_a_dry_run_of_add_stores_nothing(authority: Authority) -> None:
    """It says what would be."""
    result = authority.run("link", "add", "--dry-run", "--orcid", CARBERRY, "--idp", HOME, "--id", "eppn=a@uni.example")

    assert (0, f"would link https://orcid.org/{CARBERRY} to eppn=a@uni.example\n") == (result.exit_code, result.stdout)
    assert 0 == _count(authority)


def test_a_withdrawn_link_is_listed_only_where_asked_for(authority: Authority) -> None:
    """`remove` withdraws, by person or by iD; `show` tells the past, `list` the present."""
    authority.link("eppn=a@uni.example")
    rehearsed = authority.run("link", "remove", "--dry-run", "--id", "eppn=a@uni.example")
    before = _count(authority)
    removed = authority.run("link", "remove", "--orcid", CARBERRY)
    again = authority.run("link", "remove", "--orcid", CARBERRY)

    assert (f"would withdraw: link 1, https://orcid.org/{CARBERRY}\n", 1) == (rehearsed.stdout, before)
    assert f"withdrawn: link 1, https://orcid.org/{CARBERRY}\n" == removed.stdout
    assert (1, f"Error: there is no link for {CARBERRY}\n") == (again.exit_code, again.stderr)
    assert (0, True) == (_count(authority), "(withdrawn " in authority.run("link", "list", "--withdrawn").stdout)
    assert json.loads(authority.run("link", "show", "--id", "eppn=a@uni.example").stdout)["withdrawn_at"] is not None


def test_list_speaks_csv_and_json_too(authority: Authority) -> None:
    """The same link in each form."""
    authority.link("eppn=a@uni.example")
    rows = list(csv.DictReader(io.StringIO(authority.run("link", "list", "--format", "csv").stdout)))
    entry = json.loads(authority.run("link", "list", "--format", "json").stdout)

    assert (CARBERRY, "a@uni.example", f"https://orcid.org/{CARBERRY}") == (rows[0]["orcid"], rows[0]["eppn"], entry["orcid"])


def test_an_export_imported_elsewhere_exports_the_same(tmp_path: Path, authority: Authority) -> None:
    """Round trip: nothing is lost and nothing added, whatever characters are in it; and a second import changes nothing."""
    authority.link('eppn=åsa,"q";o\'hara@uni.example', f'persistent={HOME}!{_SERVICE}!q=+/,"', "unique-id=28c5353b8bb34984@uni.example")
    authority.link("eppn=漢字@uni.example", "eppn==cmd@uni.example", f"pairwise-id={_SERVICE}!ABC@uni.example", orcid=OTHER_ORCID)
    exported = authority.run("link", "export").stdout
    (tmp_path / "elsewhere").mkdir()
    other = new_authority(tmp_path / "elsewhere")
    outcomes = [_import(other, exported), _import(other, exported)]

    assert [(0, "2 linked, 0 refused\n", "")] * 2 == outcomes
    assert exported == other.run("link", "export").stdout


def test_withdrawn_links_are_passed_over(tmp_path: Path, authority: Authority) -> None:
    """An export with the past in it gives the present back, and says what it left out."""
    authority.link("eppn=a@uni.example")
    authority.run("link", "remove", "--orcid", CARBERRY)
    authority.link("eppn=b@uni.example", orcid=OTHER_ORCID)
    exported = authority.run("link", "export", "--withdrawn").stdout
    (tmp_path / "elsewhere").mkdir()
    other = new_authority(tmp_path / "elsewhere")

    assert (0, "1 linked, 0 refused, 1 withdrawn passed over\n", "") == _import(other, exported)
    assert authority.run("link", "export").stdout == other.run("link", "export").stdout


_MIXED = (
    f"{_HEADER}{CARBERRY},{HOME},a@uni.example\n"
    f"0000-0002-1825-0098,{HOME},b@uni.example\n"
    f"{CARBERRY},{HOME},c@uni.example\n"
    f"{OTHER_ORCID},{HOME},d@uni.example e@uni.example\n"
    f"{CARBERRY},{HOME},e@uni.example\n"
    f"{CARBERRY},{_OTHER_HOME},a@uni.example\n"
    f"{CARBERRY},{HOME},\n"
    f"{CARBERRY},{_OTHER_HOME},a@other.example\n"
)
_MIXED_REFUSED = [
    "3: '0000-0002-1825-0098' is not an ORCID iD",
    f"4: {CARBERRY} is linked to another person of {HOME}",
    f"6: eppn=e@uni.example is linked to {OTHER_ORCID}",
    f"7: eppn=a@uni.example belongs to a subject of {HOME}",
    "8: a link needs at least one identifier",
]


@pytest.mark.parametrize(
    ("options", "word", "stored"), [((), "linked", 3), (("--dry-run",), "would be linked", 0)], ids=["import", "dry-run"]
)
def test_good_rows_are_stored_and_bad_ones_named(authority: Authority, options: tuple[str, ...], word: str, stored: int) -> None:
    """Each refused row with file, line and reason, in the order of the file, exit code 1; a dry run says the same and stores nothing."""
    code, said, refused = _import(authority, _MIXED, *options)

    assert (1, f"3 {word}, 5 refused\n", stored) == (code, said, _count(authority))
    assert _MIXED_REFUSED == [line[: len(expected)] for line, expected in zip(refused.splitlines(), _MIXED_REFUSED, strict=True)]


def test_an_import_conflicts_with_what_is_stored(authority: Authority) -> None:
    """A person keeps the iD that is there until it is removed."""
    authority.link("eppn=a@uni.example")
    text = f"{_HEADER}{OTHER_ORCID},{HOME},a@uni.example\n"
    outcomes = [_import(authority, text, "--dry-run"), _import(authority, text)]

    reason = f"2: eppn=a@uni.example is linked to {CARBERRY}, which must be removed before {OTHER_ORCID} can be linked\n"
    assert [(1, "0 would be linked, 1 refused\n", reason), (1, "0 linked, 1 refused\n", reason)] == outcomes


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{_HEADER}{CARBERRY},{HOME},a@uni.example\n",
        f"{_HEADER}{CARBERRY},{HOME},a@uni.example".replace("\n", "\r\n"),
        f'{_HEADER}\n"{CARBERRY}","{HOME}","a@uni.example"\n\n',
    ],
    ids=["byte order mark", "CRLF without a last one", "quoted, with empty lines"],
)
def test_what_other_programs_make_of_csv_is_read(authority: Authority, text: str) -> None:
    """Spreadsheets write a byte order mark, CRLF and quotation marks."""
    assert (0, "1 linked, 0 refused\n", "") == _import(authority, text)


def test_a_file_of_another_encoding_is_no_traceback(authority: Authority) -> None:
    """The row that is not UTF-8 is named, the others are stored."""
    rows = f"{_HEADER}{CARBERRY},{HOME},a@uni.example\n{OTHER_ORCID},{HOME},åsa@uni.example\n".encode("latin-1")

    assert (1, "1 linked, 1 refused\n", "3: the row is not UTF-8\n") == _import(authority, rows)


def test_a_database_that_goes_away_leaves_an_account_of_what_is_stored(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator learns how many rows are stored before the reason why the rest is not."""
    whole = SqlStore.add_links

    def broken(store: SqlStore, news: Iterable[NewLink]) -> Iterator[Link | Conflict]:
        yield from whole(store, list(news)[:1])
        raise CouldNotAsk("the database could not be asked: gone")

    monkeypatch.setattr(SqlStore, "add_links", broken)
    text = f"{_HEADER}{CARBERRY},{HOME},a@uni.example\n{OTHER_ORCID},{HOME},b@uni.example\n"

    assert (1, "1 linked, 0 refused\n", "Error: the database could not be asked: gone\n") == _import(authority, text)


def test_a_file_with_other_columns_is_a_fault(authority: Authority) -> None:
    """Nothing is stored, and the columns are named."""
    code, said, fault = _import(authority, f"orcid;idp;eppn\n{CARBERRY};{HOME};a@uni.example\n")

    assert (1, "", True) == (code, said, fault.startswith("Error: "))
    assert "separated by commas. Here: unknown: 'orcid;idp;eppn'" in fault


def test_standard_output_holds_nothing_but_the_export(authority: Authority) -> None:
    """No progress among the rows, none on standard error where nobody watches, and UTF-8 in every locale."""
    authority.link("eppn=åsa@uni.example")
    done = run_process(authority.config, "link", "export", PYTHONIOENCODING="ascii", LC_ALL="C")

    lines = done.stdout.decode().splitlines()
    assert (0, b"", 2) == (done.returncode, done.stderr, len(lines))
    assert lines[1].startswith(f"{CARBERRY},{HOME},åsa@uni.example,")


def test_a_terminal_that_is_not_utf_8_is_no_traceback(authority: Authority) -> None:
    """A letter that it cannot show is shown as an escape."""
    authority.link("eppn=漢@uni.example")
    done = run_process(authority.config, "link", "list", PYTHONIOENCODING="latin-1")

    assert (0, b"") == (done.returncode, done.stderr)
    assert b"eppn=\\u6f22@uni.example" in done.stdout


@pytest.mark.parametrize("subcommand", ["export", "list"])
def test_a_reader_that_goes_away_is_no_traceback(authority: Authority, subcommand: str) -> None:
    """`link export | head -1`: the pipe breaks, and nothing is said about it."""
    authority.link(*(f"eppn={number:0>200}@uni.example" for number in range(2000)))
    with subprocess.Popen([*command(authority.config), "link", subcommand], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()

    assert b"" == said
