"""The consent of a linking: the version of its text, which is stored with every consent that is given."""

from typing import Final

CONSENT_VERSION: Final = "2026-11-21"
"""The day on which the text took its present form, in any language; a test pins each version to its text."""
