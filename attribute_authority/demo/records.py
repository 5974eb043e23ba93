"""The records of the demo's ORCID registry: invented people, with iDs from a range that ORCID gives to nobody."""

from typing import Final

from attribute_authority.demo.registry_ledger import Researcher, Standing

AINO: Final = "0000-0000-1000-0013"
BJORN: Final = "0000-0000-1000-0021"
CHEN: Final = "0000-0000-1000-003X"
DANA: Final = "0000-0000-1000-0048"
DANA_BEFORE: Final = "0000-0000-1000-0056"
GITA: Final = "0000-0000-1000-0064"
HENRIK: Final = "0000-0000-1000-0072"

RECORDS: Final = (
    Researcher(AINO, "Aino", "Virtanen", "Aino Virtanen"),
    Researcher(BJORN, "Björn", "Lindström", None),
    Researcher(CHEN, "Chen", "Li", "Chen Li"),
    Researcher(DANA, "Dana", "Novak", "Dana Novak"),
    Researcher(DANA_BEFORE, "Dana", "Novak, an older record", "Dana Novak", Standing.DEPRECATED, DANA),
    Researcher(GITA, "Gita", "Rao", "Gita Rao"),
    Researcher(HENRIK, "Henrik", "Salo, a locked record", "Henrik Salo", Standing.LOCKED),
)
