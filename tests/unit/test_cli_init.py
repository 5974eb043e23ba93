"""`init`, `check`, `metadata` and `database upgrade`: from an empty directory to an authority that may be started."""

import stat
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from lxml import etree

from attribute_authority.cli import cli
from attribute_authority.commands import init
from attribute_authority.keys import FreshKey, make_key
from tests.factories import metadata as md
from tests.factories.authority import ENTITY_ID, HOME, SELF_TEST, Authority, new_authority, run_process


@pytest.fixture
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes small keys: here it does not matter how strong they are."""

    def make_small_key(common_name: str, now: datetime, hosts: tuple[str, ...] = ()) -> FreshKey:
        return make_key(common_name, now, hosts, bits=2048)

    monkeypatch.setattr(init, "make_key", make_small_key)


def _init(directory: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["init", str(directory), *arguments])
    return result.exit_code, result.output


@pytest.mark.usefixtures("quick_keys")
def test_what_init_writes_passes_check(tmp_path: Path) -> None:
    """A fresh authority has no fault, and init says what comes next."""
    code, said = _init(tmp_path / "new" / "aa", "--base-url", "https://aa.example.org/")
    checked = Authority(tmp_path / "new" / "aa").run("check")

    assert (0, True) == (code, "link add" in said)
    assert (0, "") == (checked.exit_code, checked.stderr)
    assert f"{tmp_path}/new/aa/authority.toml: no fault found" in checked.stdout


@pytest.mark.usefixtures("quick_keys")
@pytest.mark.parametrize("name", ["a b", "100%20sure", "what?", "n#1", "ääni"])
def test_the_directory_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Characters that mean something in a URL are nothing special in the name of a directory."""
    code, _ = _init(tmp_path / name)
    checked = Authority(tmp_path / name).run("check")

    assert (0, 0, "") == (code, checked.exit_code, checked.stderr)


@pytest.mark.usefixtures("quick_keys")
def test_private_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Keys and the database are not readable by others, whatever the umask."""
    _init(tmp_path / "aa")

    private = ("keys/signing.key", "keys/tls.key", "keys/pseudonym.key", "self-test/requester.key", "links.db")
    assert {0o600} == {stat.S_IMODE((tmp_path / "aa" / name).stat().st_mode) for name in private}


@pytest.mark.usefixtures("quick_keys")
@pytest.mark.parametrize(
    ("base_url", "port"),
    [("https://aa.example.org", 443), ("https://aa.example.org:8443/saml", 8443), ("https://[::1]:9443", 9443)],
)
def test_the_port_is_that_of_the_base_url(tmp_path: Path, base_url: str, port: int) -> None:
    """What our metadata will say is where we listen."""
    code, _ = _init(tmp_path / "aa", "--base-url", base_url)

    assert 0 == code
    assert f"\nport = {port}\n" in (tmp_path / "aa" / "authority.toml").read_text()


@pytest.mark.usefixtures("quick_keys")
@pytest.mark.parametrize("present_already", ["authority.toml", "links.db", "keys/tls.key"])
def test_nothing_is_overwritten(tmp_path: Path, present_already: str) -> None:
    """One file that is there is named, and nothing at all is written."""
    file = tmp_path / present_already
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, said = _init(tmp_path)

    assert (1, "mine", before) == (code, file.read_text(), sorted(tmp_path.rglob("*")))
    assert f"Error: {tmp_path}: {present_already} would be overwritten: choose an empty directory\n" == said


@pytest.mark.parametrize(
    "arguments",
    [
        ("--base-url", "aa.example.org"),
        ("--base-url", "http://aa.example.org"),
        ("--base-url", "ftp://aa.example.org"),
        ("--base-url", "https://[::1"),
        ("--base-url", "https://aa.example.org:port"),
        ("--base-url", "https://ää.example.org"),
        ("--entity-id", "orcid"),
        ("--entity-id", "https://aa.example.org/a b"),
    ],
)
def test_addresses_that_cannot_work_are_wrong_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 2, before anything is written."""
    code, said = _init(tmp_path / "aa", *arguments)

    assert (2, True, False) == (code, "expected an absolute" in said, (tmp_path / "aa").exists())


def test_a_file_in_place_of_the_directory_is_wrong_usage(tmp_path: Path) -> None:
    """DIRECTORY cannot be a file."""
    (tmp_path / "aa").write_text("")
    code, said = _init(tmp_path / "aa")

    assert (2, True) == (code, "is a file" in said)


@pytest.mark.usefixtures("quick_keys")
def test_a_place_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    """Below a file nothing can be made; the file system's reason is given."""
    (tmp_path / "file").write_text("")
    code, said = _init(tmp_path / "file" / "aa")

    assert (1, f"Error: {tmp_path}/file/aa: cannot be written: Not a directory\n") == (code, said)


@pytest.mark.usefixtures("quick_keys")
def test_an_entity_id_with_quotation_marks_survives_the_configuration(tmp_path: Path) -> None:
    """What TOML would understand otherwise is escaped."""
    entity_id = 'urn:example:"quoted"\\back'
    code, _ = _init(tmp_path / "aa", "--entity-id", entity_id)
    metadata = Authority(tmp_path / "aa").run("metadata")

    assert 0 == code
    assert entity_id == etree.fromstring(metadata.stdout.encode()).get("entityID")


def test_check_names_every_fault_with_file_and_key(tmp_path: Path) -> None:
    """Keys, certificates, database and metadata are all looked at, and nothing is told twice."""
    authority = new_authority(tmp_path)
    authority.change(
        ("links.db", "other.db"),
        ("keys/tls.crt", "keys/none.crt"),
        ('signing.crt" }]', 'signing.crt" }, { key = "keys/tls.key", certificate = "keys/signing.crt" }]'),
        ("self-test/requester.xml", "self-test/none.xml"),
    )
    result = authority.run("check")

    at = authority.directory
    expected = [
        f"back_channel.tls.certificate: {at}/keys/none.crt: cannot be read: No such file or directory",
        f"authority.signing: {at}/keys/tls.key, {at}/keys/signing.crt: the key and the certificate do not belong together",
        "database.url: the database is not there, or of an older version: run `attribute-authority database upgrade`",
        f"metadata: {at}/self-test/none.xml: cannot read none.xml: No such file or directory",
    ]
    assert (1, "") == (result.exit_code, result.stdout)
    assert [f"{authority.config}: {fault}" for fault in expected] == result.stderr.splitlines()


def test_check_warns_of_rules_that_come_to_nothing(tmp_path: Path) -> None:
    """A requester that no metadata has is no fault, but the operator will want to know."""
    authority = new_authority(tmp_path)
    authority.append('[[release]]\nrequesters = ["https://sp.example.org/sp"]')
    result = authority.run("check")

    warning = (
        "warning: release[2].requesters: https://sp.example.org/sp is not in valid metadata: it can ask by a token of `client add` alone\n"
    )
    assert (0, warning) == (result.exit_code, result.stderr)


def test_check_warns_of_sources_that_no_scope_leads_to(tmp_path: Path) -> None:
    """A home organisation whose scopes nobody tells, or that is given more time than anybody waits, is asked less than one may think."""
    authority = new_authority(tmp_path)
    (authority.directory / "uni.salt").write_bytes(b"sixteen octets are enough")
    authority.append(
        '[[organisation]]\nidentity_provider = "https://idp.uni.example/idp"\n'
        '[[organisation.source]]\nkind = "computed-id"\nsalt_file = "uni.salt"\ntimeout = 9'
    )
    result = authority.run("check")

    assert 0 == result.exit_code
    assert "warning: organisation[1].identity_provider: https://idp.uni.example/idp is not in valid metadata" in result.stderr
    assert "warning: organisation[1].source[1].timeout: 9.0 is more than sources.deadline" in result.stderr


_SINK = '[[organisation]]\nidentity_provider = "{home}"\n[[organisation.sink]]\nkind = "csv"\ndirectory = "."\nevery = 60\n'


def test_check_warns_where_nobody_is_told_of_parked_deliveries(tmp_path: Path) -> None:
    """A sink of an organisation that cannot be written to is no fault, but the operator will want to know."""
    authority = new_authority(tmp_path)
    authority.append(_SINK.format(home=HOME))
    result = authority.run("check")

    warning = "warning: organisation[1]: nobody is told of deliveries that its sinks refuse: expected contact, and [mail]\n"
    assert (0, warning) == (result.exit_code, result.stderr)


def test_check_warns_of_deliveries_that_nobody_makes_any_more(tmp_path: Path) -> None:
    """What waits for a sink that was taken out of the configuration is told, with the command that ends it."""
    authority = new_authority(tmp_path)
    before = authority.config.read_text()
    authority.append(_SINK.format(home=HOME))
    assert 0 == authority.run("link", "add", "--orcid", "0000-0002-1825-0097", "--idp", HOME, "--id", "eppn=left@uni.example").exit_code
    authority.config.write_text(before)
    result = authority.run("check")

    assert 0 == result.exit_code
    assert f"warning: 1 deliveries wait for {HOME} sink csv, which is not configured" in result.stderr
    assert f"`deliveries cancel --organisation {HOME} --sink csv`" in result.stderr


def _with_identity_provider(tmp_path: Path, entity_id: str) -> Authority:
    authority = new_authority(tmp_path)
    role = md.identity_provider(md.key_descriptor(md.rsa_pair("namesake")))
    (tmp_path / "idps.xml").write_text(md.entity(entity_id, role))
    authority.append(f'[[metadata]]\nfile = "{tmp_path}/idps.xml"')
    return authority


def test_an_identity_provider_with_our_entity_id_is_a_fault(tmp_path: Path) -> None:
    """`check` and `serve` refuse it: its assertions and ours could not be told apart."""
    authority = _with_identity_provider(tmp_path, ENTITY_ID)
    checked, served = authority.run("check"), authority.run("serve")

    sentence = (
        f"{authority.config}: metadata: {ENTITY_ID} is an identity provider there: "
        "authority.entity_id is expected to differ from every one of them\n"
    )
    assert (1, sentence) == (checked.exit_code, checked.stderr)
    assert (1, f"Error: {sentence}") == (served.exit_code, served.stderr)


def test_other_identity_providers_are_no_fault(tmp_path: Path) -> None:
    """A federation's metadata is full of them."""
    assert 0 == _with_identity_provider(tmp_path, HOME).run("check").exit_code


def test_our_own_metadata_among_the_federations_is_no_fault(tmp_path: Path) -> None:
    """Once we are registered, the federation's metadata has us in it, in the role that we have."""
    authority = new_authority(tmp_path)
    (tmp_path / "own.xml").write_text(authority.run("metadata").stdout)
    authority.append(f'[[metadata]]\nfile = "{tmp_path}/own.xml"')

    assert 0 == authority.run("check").exit_code


def test_serve_refuses_with_all_faults_and_without_traceback(tmp_path: Path) -> None:
    """What `check` would name, `serve` names, before it opens any door."""
    authority = new_authority(tmp_path)
    authority.change(("links.db", "other.db"), ("keys/signing.key", "keys/none.key"))
    done = run_process(authority.config, "serve")

    lines, absent = done.stderr.decode().splitlines(), authority.directory / "keys" / "none.key"
    assert (1, b"") == (done.returncode, done.stdout)
    assert [
        f"Error: {authority.config}: authority.signing[1].key: {absent}: cannot be read: No such file or directory",
        f"{authority.config}: database.url: the database is not there, or of an older version: run `attribute-authority database upgrade`",
    ] == lines


def test_serve_names_an_address_that_it_cannot_have(tmp_path: Path) -> None:
    """The door is named by host and port."""
    authority = new_authority(tmp_path)
    authority.change(('host = "0.0.0.0"', 'host = "192.0.2.1"'))
    result = authority.run("serve", "--workers", "1")

    assert 1 == result.exit_code
    assert "Error: cannot listen at 192.0.2.1:8443: Cannot assign requested address" == result.stderr.splitlines()[-1]


def test_database_upgrade_makes_a_database_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    """The advice of `check` works, and may be followed twice."""
    authority = new_authority(tmp_path)
    (authority.directory / "links.db").unlink()
    results = [authority.run(*arguments) for arguments in (("check",), ("database", "upgrade"), ("database", "upgrade"), ("check",))]

    assert [1, 0, 0, 0] == [result.exit_code for result in results]
    assert "applied " in results[1].stdout
    assert "The database is up to date.\n" == results[2].stdout


@pytest.mark.parametrize(
    "arguments", [("link", "list"), ("link", "export"), ("explain", "--requester", SELF_TEST, "--id", "eppn=a@b.example")]
)
def test_commands_refuse_a_database_without_tables_with_the_advice(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Not a driver's message, but what to do."""
    authority = new_authority(tmp_path)
    (authority.directory / "links.db").write_bytes(b"")
    result = authority.run(*arguments)

    advice = "Error: the database is not there, or of an older version: run `attribute-authority database upgrade`\n"
    assert (1, advice) == (result.exit_code, result.stderr)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "mysql://aa:open-sesame@db/orcid",
            "the database url names 'mysql': expected sqlite:///FILE or postgresql+psycopg://NAME@HOST/DATABASE",
        ),
        ("open-sesame", "the database url cannot be read: expected sqlite:///FILE or postgresql+psycopg://NAME@HOST/DATABASE"),
        ("postgresql+psycopg://aa:open-sesame@127.0.0.1:1/orcid", "Connection refused"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path: Path, url: str, expected: str) -> None:
    """The key, the reason and what was expected, never the URL."""
    authority = new_authority(tmp_path)
    authority.change(("sqlite:///links.db", url))
    result = authority.run("check")

    assert (1, True, False) == (result.exit_code, f"{authority.config}: database.url: " in result.stderr, "sesame" in result.output)
    assert expected in result.stderr


def test_metadata_is_one_entity_descriptor(tmp_path: Path) -> None:
    """What is printed can be saved and handed on as it is."""
    result = new_authority(tmp_path).run("metadata")

    root = etree.fromstring(result.stdout.encode())
    assert (0, "EntityDescriptor", ENTITY_ID) == (result.exit_code, etree.QName(root).localname, root.get("entityID"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--workers", "0"),
        ("check", "more"),
        ("no-such-command",),
        ("link", "add", "--orcid", "0000-0002-1825-0097"),
        ("link", "show"),
        ("link", "import", "/no/such/file.csv"),
        ("explain", "--id", "eppn=a@b.example"),
        ("query",),
        ("query", "--id", "eppn=a@b.example", "--as", "https://sp.example.org/"),
        ("query", "--id", "eppn=a@b.example", "localhost:8443"),
        ("query", "--id", "eppn=a\udcff@b.example"),
    ],
)
def test_wrong_usage_ends_with_exit_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A sentence that begins with Error, no traceback, and nothing on standard output."""
    result = new_authority(tmp_path).run(*arguments)

    assert (2, "", True) == (result.exit_code, result.stdout, "Error: " in result.stderr)


@pytest.mark.parametrize(
    "arguments",
    [("check",), ("serve",), ("metadata",), ("link", "list"), ("database", "upgrade"), ("query", "--id", "eppn=a@b.example")],
)
def test_without_a_configuration_every_command_says_what_to_do(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 1, the file's name, and the way to make one; the environment variable names the file here."""
    missing = tmp_path / "none.toml"
    result = CliRunner().invoke(cli, list(arguments), env={"ATTRIBUTE_AUTHORITY_CONFIG": str(missing)})

    assert 1 == result.exit_code
    assert result.stderr.startswith(f"Error: {missing}: cannot be read: ")
    assert "attribute-authority init" in result.stderr
