"""`demo`: the whole federation on localhost, for a newcomer with a browser, or walked through without one."""

import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Final

import click
import requests

from attribute_authority.demo.authority import command
from attribute_authority.demo.browser import Browser
from attribute_authority.demo.federation import Federation, demo_federation
from attribute_authority.demo.walk import PERSON, tell, walk

_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option("--once", is_flag=True, help="Walk through everything without a browser, print each step, and end.")
def demo(once: bool) -> None:
    """Start the authority and a small federation around it on localhost, and link an ORCID iD there."""
    for number in _ENDS:
        # Killed, without its terminal, or started where Ctrl-C is ignored: neither the authority nor its keys may stay behind.
        signal.signal(number, _end)
    started = time.perf_counter()
    with TemporaryDirectory(prefix="attribute-authority-demo-") as directory, demo_federation(Path(directory)) as federation:
        try:
            tell(click.echo, 1, "The federation and the authority are up", time.perf_counter() - started)
            if once:
                walk(Browser(requests.Session(), "en"), federation, click.echo, time.perf_counter)
            else:
                _stay(federation)
        finally:
            _end_undisturbed()


def _end(_number: int, _frame: FrameType | None) -> None:
    _end_undisturbed()
    raise KeyboardInterrupt


def _end_undisturbed() -> None:
    # Ending takes a moment, and whoever is impatient must not end that.
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)


def _stay(federation: Federation) -> None:
    with suppress(KeyboardInterrupt):
        click.echo(_guide(federation))
        signal.pause()


def _guide(federation: Federation) -> str:
    university = federation.organisations[0]
    return f"""
Everything is on this computer, and nobody in it is real. There are no passwords.

  1. Open {federation.companion_url}
     Sign in with the {university.names["en"]} as Aino Virtanen, connect her iD at the simulated ORCID, and agree.
  2. Open {federation.service_url}
     Sign in as Aino Virtanen too: the service gets her ORCID iD from the attribute authority.
     The page of step 1 shows how the iD reaches the university's own directory, {federation.directory_url};
     from the next sign-in on, the university releases it too.
  3. Unlink the iD where you linked it, and press "Ask again" at the service: it gets nothing any more.

     ORCID (a simulator)   {federation.registry_url}
     {university.names["en"]:<21} {university.base_url}
     Configuration         {federation.config}

For operators, in another terminal:
  {_line(federation, "query", "--id", PERSON)}
  {_line(federation, "deliveries", "list")}
  {_line(federation, "explain", "--requester", federation.service_entity_id, "--id", PERSON)}

It goes on until Ctrl-C, which removes everything."""


def _line(federation: Federation, *arguments: str) -> str:
    return " ".join(_quoted(command(federation.config, arguments)))


def _quoted(words: Sequence[str]) -> Sequence[str]:
    return [word if word.isascii() and " " not in word else f"'{word}'" for word in words]
