"""The consent of a linking: the version of its text, which is stored with every consent that is given."""

from typing import Final

CONSENT_VERSION: Final = "2026-11-21"
"""The day on which the text took its present form, in any language; a test pins each version to its text."""

DELIVERY_CONSENT_VERSION: Final = "2026-11-21-deliveries"
"""The version of the longer text, for people of home organisations to whose own systems the iD is sent."""

_WITH_DELIVERIES: Final = frozenset({DELIVERY_CONSENT_VERSION})


def consent_version(*, delivers: bool) -> str:
    """Return the version of the text that is shown; `delivers` tells whether the iD is sent to systems of the home organisation."""
    return DELIVERY_CONSENT_VERSION if delivers else CONSENT_VERSION


def covers_deliveries(version: str) -> bool:
    """Whether who agreed to this version agreed that the iD is sent to systems of the home organisation."""
    return version in _WITH_DELIVERIES
