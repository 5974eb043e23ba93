"""Files in a real directory: whole or not at all, never overwritten, and once more where a crash left it open whether they are there."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_ISDIR
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import connectors._csv_directory as directory_module
from attribute_authority.delivery_ports import Sink
from attribute_authority.domain.delivery import Receipt
from attribute_authority.errors import DeliveryRefused, OperatorError, SinkUnavailable
from connectors.csv_file import CSV_FILE, CsvSettings, CsvSink
from tests.factories.sink_deliveries import NOW, ORCID, handed, person, sink_surroundings
from tests.faults.dying import survives

SLOT = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
NAME = "orcid-20261121T060000Z.csv"
_NOBODY = 65_534


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """A directory for the files, with none in it."""
    path = tmp_path / "drop"
    path.mkdir()
    return path


@pytest.fixture
def public_drop() -> Iterator[Path]:
    """A directory that is reached by everybody."""
    with TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o777)
        yield path
        path.chmod(0o700)


def _opened(drop: Path, **keys: Any) -> CsvSink:
    table = {"kind": "csv", "directory": str(drop), "every": 360, "value": "bare", **keys}
    sink = CSV_FILE.open(CsvSettings.model_validate(table), sink_surroundings())
    assert isinstance(sink, CsvSink)
    return sink


def _names(drop: Path) -> list[str]:
    return sorted(os.listdir(drop))


@contextmanager
def _as_nobody() -> Iterator[None]:
    # Root may write everywhere.
    before = os.geteuid()
    if before == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def _full_after(octets: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_one_file_has_a_row_for_each_delivery(drop: Path) -> None:
    """All that was written until the slot comes in one file named after it, the earliest change first."""
    later = handed(*person("maija@uni.example"), orcid=None, changed_at=NOW + timedelta(hours=1), reference="B")

    receipts = _opened(drop).deliver_all([later, handed(reference="A")], SLOT)

    assert [Receipt(remark=NAME)] * 2 == list(receipts)
    assert (drop / NAME).read_bytes() == (
        b"effective_date,event,eppn,orcid,former,reference\r\n"
        b"2026-11-21,linked,teppo@uni.example," + ORCID.encode() + b",,A\r\n"
        b"2026-11-21,withdrawn,maija@uni.example,,,B\r\n"
    )
    assert [NAME] == _names(drop)


def test_one_delivery_alone_is_a_file_of_the_present_slot(drop: Path) -> None:
    """It is the sink's own clock that tells which."""
    assert _opened(drop).deliver(handed()) == Receipt(remark=NAME)
    assert [NAME] == _names(drop)


def test_nothing_to_deliver_makes_no_file(drop: Path) -> None:
    """A slot without changes leaves the directory as it is."""
    assert _opened(drop).deliver_all([], SLOT) == []
    assert [] == _names(drop)


def test_the_permissions_are_those_of_the_configuration(drop: Path) -> None:
    """Whatever the process would give a file, it has what is configured."""
    before = os.umask(0o777)
    try:
        _opened(drop, mode="0664").deliver_all([handed()], SLOT)
        _opened(drop).deliver_all([handed()], SLOT + timedelta(hours=6))
    finally:
        os.umask(before)

    assert [0o664, 0o640] == [(drop / name).stat().st_mode & 0o7777 for name in _names(drop)]


def test_excel_is_told_the_encoding(drop: Path) -> None:
    """With utf-8-sig the file begins with the sign that Excel knows UTF-8 by, once."""
    _opened(drop, encoding="utf-8-sig").deliver_all([handed(*person("säde@uni.example"))], SLOT)

    content = (drop / NAME).read_bytes()
    assert content.startswith(b"\xef\xbb\xbfeffective_date,")
    assert content.count(b"\xef\xbb\xbf") == 1
    assert "säde@uni.example".encode() in content


def test_the_same_again_is_done_already(drop: Path) -> None:
    """Who delivers the same once more, in any order, finds the file there and leaves it alone."""
    deliveries = [handed(reference="A"), handed(*person("maija@uni.example"), reference="B")]
    _opened(drop).deliver_all(deliveries, SLOT)
    before = (drop / NAME).stat()

    receipts = _opened(drop).deliver_all(deliveries[::-1], SLOT)

    assert [Receipt(remark=NAME)] * 2 == list(receipts)
    assert [NAME] == _names(drop)
    assert (before.st_ino, before.st_mtime_ns) == ((drop / NAME).stat().st_ino, (drop / NAME).stat().st_mtime_ns)


def test_no_file_is_ever_overwritten(drop: Path) -> None:
    """Other rows of the same slot come in files with a number."""
    sink = _opened(drop)

    names = [sink.deliver(handed(reference=reference)).remark for reference in "ABCB"]

    assert [NAME, NAME.replace(".", "-2."), NAME.replace(".", "-3."), NAME.replace(".", "-2.")] == names
    assert [b"A", b"B", b"C"] == [(drop / name).read_bytes().rstrip()[-1:] for name in names[:3] if name]


def test_a_name_without_an_ending_takes_its_number_at_the_end(drop: Path) -> None:
    """There is nothing after which the number could be in the way."""
    sink = _opened(drop, file_name="orcid-{slot}")

    assert "orcid-20261121T060000Z" == sink.deliver(handed(reference="A")).remark
    assert "orcid-20261121T060000Z-2" == sink.deliver(handed(reference="B")).remark


def test_when_every_name_is_taken_nothing_is_lost(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that nobody empties takes no more files of one slot."""
    monkeypatch.setattr(directory_module, "_MOST_OF_ONE_NAME", 2)
    sink = _opened(drop)
    sink.deliver(handed(reference="A"))
    sink.deliver(handed(reference="B"))

    with pytest.raises(SinkUnavailable, match="2 files of one name are there"):
        sink.deliver(handed(reference="C"))
    assert len(_names(drop)) == 2


@pytest.mark.parametrize(
    "occupy",
    [
        lambda path: path.mkdir(),
        os.mkfifo,
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to(path.with_name("nowhere")),
        lambda path: path.symlink_to(path),
    ],
    ids=["directory", "pipe", "link", "link to nothing", "link to itself"],
)
def test_whatever_has_the_name_is_left_alone(drop: Path, occupy: Callable[[Path], None]) -> None:
    """Somebody who may write there can neither have the rows written elsewhere nor hold the worker."""
    occupy(drop / NAME)
    before = os.lstat(drop / NAME)

    assert _opened(drop).deliver(handed()).remark == NAME.replace(".", "-2.")
    assert os.lstat(drop / NAME) == before
    assert not (drop / "nowhere").exists()


def test_one_who_cannot_be_written_is_left_out(drop: Path) -> None:
    """A person without a row is refused, in their place, and the others have theirs."""
    sink = _opened(drop)
    faulty = handed(*person(None, unique_id="ab12@uni.example"))

    first, second, third = sink.deliver_all([handed(reference="A"), faulty, handed(reference="B")], SLOT)

    assert Receipt(remark=NAME) == first == third
    assert isinstance(second, DeliveryRefused)
    assert ["A", "B"] == [row.rpartition(",")[2] for row in (drop / NAME).read_text().splitlines()[1:]]


def test_nobody_with_a_row_makes_no_file(drop: Path) -> None:
    """Where all are refused nothing is put there, and one alone, or a rehearsal, is told so."""
    sink = _opened(drop)
    faulty = handed(*person(None, unique_id="ab12@uni.example"))

    assert [DeliveryRefused] == [type(told) for told in sink.deliver_all([faulty], SLOT)]
    for attempt in (sink.deliver, sink.rehearse):
        with pytest.raises(DeliveryRefused):
            attempt(faulty)
    assert [] == _names(drop)


def test_a_rehearsal_says_which_row_and_where(drop: Path) -> None:
    """The file and the columns are told, and nothing is written."""
    told = _opened(drop).rehearse(handed(orcid=None))

    assert told == (
        f"would put a row into {drop / NAME}: effective_date 2026-11-21, event withdrawn, eppn teppo@uni.example, orcid (empty), "
        "former (empty), reference 7KQ2-MZ4D"
    )
    assert [] == _names(drop)


def test_a_directory_that_is_gone_takes_nothing(drop: Path) -> None:
    """Whether rows are delivered, rehearsed or tried, the directory is named and nobody is."""
    sink = _opened(drop)
    drop.rmdir()

    for attempt in (sink.deliver, sink.rehearse):
        with pytest.raises(SinkUnavailable) as caught:
            attempt(handed())
        assert caught.value.cause.startswith(f"{drop}: no file can be put there: ")
    with pytest.raises(OperatorError, match="No such file or directory"):
        sink.check()


def test_a_directory_without_rights_takes_nothing(public_drop: Path) -> None:
    """Missing rights are told as such, and are the operator's business."""
    sink = _opened(public_drop)
    public_drop.chmod(0o555)

    with _as_nobody():
        with pytest.raises(SinkUnavailable, match="Permission denied"):
            sink.deliver(handed())
        with pytest.raises(OperatorError, match="Permission denied"):
            sink.check()
    assert [] == _names(public_drop)


def test_a_full_disk_leaves_nothing_half_written(drop: Path) -> None:
    """A file that does not fit is not there at all, under no name, and the next attempt makes it."""
    sink = _opened(drop)

    with _full_after(40), pytest.raises(SinkUnavailable) as caught:
        sink.deliver(handed())

    assert caught.value.cause == f"{drop}: no file can be put there: File too large"
    assert [] == _names(drop)
    assert sink.deliver(handed()) == Receipt(remark=NAME)


def test_after_the_time_out_nothing_appears(drop: Path) -> None:
    """A disk that took too long to write leaves no file that nobody counts on."""
    sink = _opened(drop, timeout=1e-9)

    with pytest.raises(SinkUnavailable, match="it took too long"):
        sink.deliver(handed())
    assert [] == _names(drop)


def test_a_directory_that_takes_files_passes_the_check(drop: Path) -> None:
    """Trying it leaves nothing behind."""
    sink: Sink = _opened(drop)

    sink.check()
    sink.close()

    assert [] == _names(drop)


def test_a_file_system_without_links_is_told_by_the_check(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a name cannot be given without overwriting another file, the operator learns what is missing."""
    sink = _opened(drop)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OperatorError, match="on a file system with hard links and permissions"):
        sink.check()
    with pytest.raises(SinkUnavailable, match="on a file system with hard links and permissions"):
        sink.deliver(handed())
    assert [] == _names(drop)


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_killed_before_the_file_has_its_name_there_is_none(drop: Path, call: str) -> None:
    """Who looks for files after the crash sees none, what is left is removed at the next start, and delivering again makes it whole."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert not survives(lambda: _deliver_with(drop, call, die))
    assert [] == [name for name in _names(drop) if not name.startswith(".")]
    assert len(_names(drop)) == 1

    sink = _opened(drop)
    assert [] == _names(drop)
    assert sink.deliver(handed()).remark == NAME


@pytest.mark.parametrize("taken_away", [False, True])
def test_killed_before_it_is_recorded_the_rows_come_at_least_once(drop: Path, taken_away: bool) -> None:
    """The file is whole; delivering again finds it, or, where it was taken away meanwhile, makes it once more."""
    link = os.link

    def link_and_die(*arguments: Any, **keys: Any) -> None:
        link(*arguments, **keys)
        os.kill(os.getpid(), signal.SIGKILL)

    assert not survives(lambda: _deliver_with(drop, "link", link_and_die))
    first = (drop / NAME).read_bytes()
    if taken_away:
        (drop / NAME).unlink()

    assert _opened(drop).deliver(handed()).remark == NAME
    assert (drop / NAME).read_bytes() == first
    assert [NAME] == _names(drop)


def test_the_disk_has_the_file_before_its_name_and_the_name_before_it_counts(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss of power leaves a whole file or none, and none is missing that was recorded."""
    steps: list[str] = []
    fsync, link = os.fsync, os.link

    def note_fsync(descriptor: int) -> None:
        steps.append("directory" if S_ISDIR(os.fstat(descriptor).st_mode) else f"file of {os.fstat(descriptor).st_size}")
        fsync(descriptor)

    def note_link(*arguments: Any, **keys: Any) -> None:
        steps.append("name")
        link(*arguments, **keys)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "link", note_link)
    _opened(drop).deliver(handed())

    assert [f"file of {(drop / NAME).stat().st_size}", "name", "directory"] == steps


def test_a_directory_that_cannot_be_listed_is_found_by_the_check(public_drop: Path) -> None:
    """Without the right to read it nothing could be brought to the disk: no file appears of which nobody knows whether it stays."""
    sink = _opened(public_drop)
    public_drop.chmod(0o333)
    with _as_nobody():
        with pytest.raises(OperatorError, match="Permission denied"):
            sink.check()
        with pytest.raises(SinkUnavailable, match="Permission denied"):
            sink.deliver(handed())
    public_drop.chmod(0o700)
    assert [] == _names(public_drop)


def test_what_another_process_is_writing_is_no_leftover(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that starts while another one delivers leaves the unfinished file alone."""
    link = os.link

    def start_another(*arguments: Any, **keys: Any) -> None:
        _opened(drop)
        link(*arguments, **keys)

    monkeypatch.setattr(os, "link", start_another)

    assert _opened(drop).deliver(handed()).remark == NAME
    assert [NAME] == _names(drop)


def test_files_of_others_are_no_leftovers(drop: Path) -> None:
    """Only names that are our own are removed at the start, and no link is followed."""
    aside = drop / "kept"
    aside.touch()
    (drop / ".hidden").touch()
    (drop / f".link{directory_module.UNFINISHED}").symlink_to(aside)
    (drop / f"seen{directory_module.UNFINISHED}").touch()
    before = _names(drop)

    _opened(drop)

    assert before == _names(drop)


def test_many_at_once_lose_no_row(drop: Path) -> None:
    """Threads that deliver for the same slot make a file each, all of them whole."""
    sinks = [_opened(drop), _opened(drop)]
    with ThreadPoolExecutor(8) as pool:
        attempts = [pool.submit(sinks[number % 2].deliver, handed(reference=f"R{number:02}")) for number in range(24)]
        names = {attempt.result().remark for attempt in attempts}

    assert names == set(_names(drop))
    rows = sorted((drop / name).read_text().splitlines()[1].rpartition(",")[2] for name in _names(drop))
    assert [f"R{number:02}" for number in range(24)] == rows


def _deliver_with(drop: Path, call: str, instead: Callable[..., None]) -> None:
    # In a process of its own, which ends with it.
    setattr(os, call, instead)
    _opened(drop).deliver(handed())
