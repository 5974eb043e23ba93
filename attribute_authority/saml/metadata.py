"""Metadata sources to the index that the workers ask.

The facade of `metadata_reader`, which decides what is trusted, and `metadata_index`, which keeps it. Reading a whole federation takes
some hundred MiB for a moment, so a long-lived process does it in a child process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from attribute_authority.errors import FaultyConfiguration, OperatorError
from attribute_authority.saml.metadata_index import IndexReport, IndexWriter
from attribute_authority.saml.metadata_reader import Warn, read_metadata


@dataclass(frozen=True, slots=True)
class MetadataSource:
    """A file of metadata, and the PEM certificate by whose key it must be signed; None trusts the file as it is."""

    file: Path
    signing_certificate: Path | None = None

    def __str__(self) -> str:
        """Name the source in sentences for the operator."""
        return str(self.file) if self.signing_certificate is None else f"{self.file} (signing certificate {self.signing_certificate})"


def build_index(sources: Sequence[MetadataSource], path: Path, now: datetime) -> IndexReport:
    """Read all sources and replace the index at `path`.

    Where several sources have one entityID the first source counts, save that the affiliations of all are united.
    Raises OperatorError naming each file that cannot be trusted and why; the index then stays as it was.
    """
    warnings: list[str] = []
    faults: list[str] = []
    writer = IndexWriter(path)
    try:
        for source in sources:
            try:
                _read_source(source, writer, now, warnings.append)
            except OperatorError as fault:
                faults.append(f"{source}: {fault.cause}")
        if faults:
            raise FaultyConfiguration(tuple(faults))
        return writer.finish(tuple(warnings))
    finally:
        writer.discard()


def _read_source(source: MetadataSource, writer: IndexWriter, now: datetime, warn: Warn) -> None:
    def warn_of_file(sentence: str) -> None:
        warn(f"{source.file}: {sentence}")

    certificate = None if source.signing_certificate is None else _read_file(source.signing_certificate)
    metadata = read_metadata(_read_file(source.file), certificate, now, warn_of_file)
    for entity in metadata.entities():
        if not writer.add_entity(entity):
            warn_of_file(f"{entity.entity_id}: left out, an earlier source has this entityID")
    for affiliation in metadata.affiliations():
        writer.add_affiliation(affiliation)


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise OperatorError(f"cannot read {file.name}: {error.strerror}") from error
