"""What every sink must do, SQL sinks too: by statements and by columns, in each of the three databases."""

from pathlib import Path

import pytest

from attribute_authority.domain.identifiers import Environment, OrcidId
from connectors.sink_conformance import SINK_CHECKS, SinkCheck, SinkSpecimen
from connectors.sql import SQL
from tests.connectors.sql_sink_databases import LINK, WITHDRAW, SinkDatabase, eppn, of_file, of_ids
from tests.factories.sink_deliveries import sink_surroundings
from tests.peers.mariadb import PASSWORD

_TEPPO = "teppo.testaaja@uni.example"
_TIMEOUT = 2.0
_GUARDED = f"{LINK} AND (orcid IS NULL OR orcid = :orcid OR orcid = :former)"
_WAYS: dict[str, dict[str, object]] = {
    "statements": {"link": _GUARDED, "withdraw": WITHDRAW},
    "columns": {"table": "person", "columns": {"eppn": "eppn", "orcid": "orcid"}, "key": "eppn", "mode": "update"},
}


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> SinkDatabase:
    """Each of the three, with one person."""
    file = tmp_path / "people.db"
    made = of_file(file) if request.param == "sqlite" else of_ids(request.getfixturevalue(f"{request.param}_ids"))
    made.add(_TEPPO)
    return made


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("check", SINK_CHECKS)
def test_sql_sinks_do_what_every_sink_must(database: SinkDatabase, way: str, check: SinkCheck) -> None:
    """The checks for third parties hold here, those of outages too: stopped and held still."""
    settings = database.settings(timeout=_TIMEOUT, connections=3, **_WAYS[way])

    def held() -> list[OrcidId]:
        found = database.people[_TEPPO]
        return [] if found is None else [OrcidId.parse(found, Environment.PRODUCTION)]

    def write(orcid: str | None) -> None:
        database.run("UPDATE person SET orcid = :orcid WHERE eppn = :eppn", orcid=orcid, eppn=_TEPPO)

    check(
        SinkSpecimen(
            open_sink=lambda: SQL.open(settings, sink_surroundings()),
            known=(eppn(_TEPPO),),
            held=held,
            forget=lambda: write(None),
            add_foreign=lambda orcid: write(orcid.uri(Environment.PRODUCTION)),
            unknown=(eppn("matti.meikalainen@uni.example"),),
            secrets=(PASSWORD,),
            outages=database.outages,
            timeout=_TIMEOUT,
        )
    )
