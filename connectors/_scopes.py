"""Scopes in the tables of sources."""

from typing import Annotated

from pydantic import AfterValidator

from attribute_authority.domain.identifiers import IdentifierKind, parse_identifier
from attribute_authority.errors import InvalidIdentifier


def _scope(text: str) -> str:
    try:
        parse_identifier(IdentifierKind.SUBJECT_ID, f"a@{text}")
    except InvalidIdentifier:
        raise ValueError("expected a scope such as uni.example") from None
    return text.lower()


ScopeText = Annotated[str, AfterValidator(_scope)]
"""A scope of the home organisation, in lower case."""
