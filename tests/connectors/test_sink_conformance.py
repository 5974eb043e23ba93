"""Every kind of sink of the catalogue does what every sink must; here those that have no tests of it elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from connectors import CATALOGUE
from connectors.sink_conformance import SINK_CHECKS, SinkCheck, SinkSpecimen
from tests.connectors.sink_specimens import csv_specimen, soap_idm_specimen

_EXAMINED_IN = {
    "ldap": "tests.connectors.test_ldap_entries",
    "sql": "tests.connectors.test_sql_sink_conformance",
    "rest": "tests.connectors.test_rest_conformance",
    "soap-idm": __name__,
    "scim": "tests.connectors.test_scim",
    "csv": __name__,
}
"""Where the checks run over each kind, against a real peer or a double that keeps state."""

_SPECIMENS: dict[str, Callable[[Path], AbstractContextManager[SinkSpecimen]]] = {
    "soap-idm": partial(soap_idm_specimen, keep_others=False),
    "soap-idm that keeps others": partial(soap_idm_specimen, keep_others=True),
    "csv": lambda directory: nullcontext(csv_specimen(directory)),
}


@pytest.fixture(params=_SPECIMENS)
def specimen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SinkSpecimen]:
    """Each of the sinks that are examined here."""
    with _SPECIMENS[request.param](tmp_path) as described:
        yield described


@pytest.mark.parametrize("check", SINK_CHECKS)
def test_what_every_sink_must_do(check: SinkCheck, specimen: SinkSpecimen) -> None:
    """The checks that third parties are offered hold."""
    check(specimen)


def _checks_run_in(module: str) -> set[SinkCheck]:
    marks = [mark for test in vars(import_module(module)).values() for mark in getattr(test, "pytestmark", ())]
    return {check for mark in marks if mark.args[0] == "check" for check in mark.args[1]}


def test_every_kind_has_a_place_where_it_is_examined() -> None:
    """A kind that comes into the catalogue has to come into the tests too."""
    assert set(CATALOGUE["sink"]) == set(_EXAMINED_IN)


@pytest.mark.parametrize("kind", _EXAMINED_IN)
def test_every_kind_is_examined_by_every_check(kind: str) -> None:
    """Where a kind is examined, none of the checks is left out, nor those that come to be."""
    assert set(SINK_CHECKS) == _checks_run_in(_EXAMINED_IN[kind])
