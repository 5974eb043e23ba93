"""Check that each lock still fits what setup.py declares, has a hash for everything, and names no address."""

import re
import sys
from distutils.core import run_setup  # setuptools brings it along
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "deploy" / "requirements"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)((?:[^\\\n]*\\\n\s+--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def read_lock(name: str) -> dict[str, str]:
    """Return version by distribution of the lock `name`; only entries with a hash count."""
    text = (LOCKS / name).read_text(encoding="utf-8")
    return {canonicalize_name(match[1]): match[2] for match in PINNED.finditer(text)}


def find_faults(name: str, declared: list[str]) -> list[str]:
    """Compare the lock `name` with the `declared` requirements; returns a sentence for each that it does not meet."""
    text = (LOCKS / name).read_text(encoding="utf-8")
    pinned = read_lock(name)
    faults = [f"{name}: not {declaration}" for declaration in declared if not _is_met(Requirement(declaration), pinned)]
    if "://" in text or re.search(r"^-|@ ", text, re.MULTILINE):
        faults.append(f"{name}: names an address or an option; a lock holds versions and hashes only")
    if len(pinned) != len(re.findall(r"^[^ ]+==", text, re.MULTILINE)):
        faults.append(f"{name}: an entry has no hash")
    return faults


def _is_met(requirement: Requirement, pinned: dict[str, str]) -> bool:
    version = pinned.get(canonicalize_name(requirement.name))
    return version is not None and requirement.specifier.contains(version)


def main() -> int:
    """Print every fault; 0 where there is none."""
    distribution = run_setup(str(ROOT / "setup.py"), stop_after="init")
    extras = distribution.extras_require
    runtime = [*distribution.install_requires, *extras["build"]]
    faults = find_faults("runtime.txt", runtime) + find_faults("development.txt", [*runtime, *extras["development"]])
    versions = read_lock("development.txt")
    faults += [f"the locks differ in {name}" for name, version in read_lock("runtime.txt").items() if versions.get(name) != version]
    for fault in faults:
        print(fault)
    if faults:
        print("`make lock` makes the locks anew.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
