"""A directory into which whole files are put, for others to take away: none is ever half written, and none is overwritten.

A file is written under a name of our own, brought to the disk, and only then linked under its own, which fails where that is taken.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from attribute_authority.errors import OperatorError, SinkUnavailable
from connectors._deadline import Deadline

UNFINISHED: Final = ".orcid-unfinished"
"""How the names of files end that are still being written, or that a crash left behind."""

_MOST_OF_ONE_NAME: Final = 1000
_NOT_FOR_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP})
_OPERATORS_FAULTS: Final = _NOT_FOR_LINKS | {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EROFS}


@dataclass(frozen=True, slots=True)
class DropDirectory:
    """The directory, and the permissions of the files in it. Several processes and nodes may share it."""

    path: Path
    permissions: int

    def remove_leftovers(self) -> None:
        """Remove what a crash left half written; what somebody is writing at the moment stays."""
        with suppress(OSError):
            self._remove(self.path.glob(f".*{UNFINISHED}"))

    def _remove(self, leftovers: Iterable[Path]) -> None:
        for left in leftovers:
            with suppress(OSError), open(left, "rb", opener=_open_no_trap) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()

    def put(self, name: str, content: bytes, deadline: Deadline) -> str:
        """Put a file there and return its name: `name`, or where that is taken by another content, with -2, -3 and so on in it.

        One of the same content that is there already is enough. Raises SinkUnavailable where the directory takes no file now.
        """
        try:
            with self._kept(), self._written(content) as unfinished:
                return self._link(unfinished, name, content, deadline)
        except OSError as error:
            raise SinkUnavailable(self._cause(error)) from error

    def require(self) -> None:
        """Look whether files can be put there, without doing so. Raises SinkUnavailable."""
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise SinkUnavailable(f"{self.path}: no file can be put there: it is not there, or may not be written to")

    def check(self) -> None:
        """Write a file that nobody takes, and remove it. Raises OperatorError where the directory cannot be used; SinkUnavailable."""
        try:
            with self._kept(), self._written(b"") as unfinished:
                second = unfinished.with_name(f"{unfinished.name}{UNFINISHED}")
                try:
                    os.link(unfinished, second)
                finally:
                    second.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in _OPERATORS_FAULTS:
                raise OperatorError(self._cause(error)) from error
            raise SinkUnavailable(self._cause(error)) from error

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Have every name that was given or taken in the meantime outlast a loss of power."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _written(self, content: bytes) -> Iterator[Path]:
        descriptor, name = mkstemp(UNFINISHED, ".", self.path)
        with os.fdopen(descriptor, "wb") as file:
            try:
                with suppress(OSError):
                    # Tells others that it is no leftover; not every file system can.
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.fchmod(descriptor, self.permissions)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
                yield Path(name)
            finally:
                Path(name).unlink(missing_ok=True)

    def _link(self, unfinished: Path, name: str, content: bytes, deadline: Deadline) -> str:
        for candidate in _candidates(name):
            # Of nothing that comes after the time-out may anybody see anything.
            deadline.remaining()
            try:
                os.link(unfinished, self.path / candidate, follow_symlinks=False)
            except FileExistsError:
                if not _holds(self.path / candidate, content):
                    continue
            return candidate
        raise OSError(errno.EEXIST, f"{_MOST_OF_ONE_NAME} files of one name are there")

    def _cause(self, error: OSError) -> str:
        hint = "; it has to be on a file system with hard links and permissions" if error.errno in _NOT_FOR_LINKS else ""
        return f"{self.path}: no file can be put there: {error.strerror or 'it took too long'}{hint}"


def _candidates(name: str) -> Iterator[str]:
    yield name
    stem, dot, ending = name.rpartition(".")
    for number in range(2, _MOST_OF_ONE_NAME + 1):
        yield f"{stem}-{number}.{ending}" if dot else f"{name}-{number}"


def _holds(path: Path, content: bytes) -> bool:
    try:
        with open(path, "rb", opener=_open_no_trap) as file:
            found = os.fstat(file.fileno())
            return stat.S_ISREG(found.st_mode) and found.st_size == len(content) and file.read(len(content) + 1) == content
    except OSError:
        return False


def _open_no_trap(path: str, flags: int) -> int:
    # Whoever takes the files may write there too: what has the name could be a link or a pipe.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
