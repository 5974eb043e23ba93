"""A response micro-service for SATOSA: looks the ORCID iD of whoever logs in up at the attribute authority, and adds it to the attributes.

It fails open: whatever goes wrong is logged, and the login goes on without the attribute. No identifier and no iD reaches the log.
"""

import json
import logging
import re
import time

import requests
from satosa.micro_services.base import ResponseMicroService

logger = logging.getLogger(__name__)

_MAX_BYTES = 16384
_ORCID_URI = re.compile(r"https://(?:sandbox\.)?orcid\.org/(?:[0-9]{4}-){3}[0-9]{3}[0-9X]")


class LookupFailed(Exception):
    """The authority was not reached, or what came is not its answer."""


class OrcidLookup(ResponseMicroService):
    """Adds eduPersonOrcid; `config` is explained in orcid_lookup.yaml."""

    def __init__(self, config, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._url = config["url"]
        self._identifiers = dict(config["identifiers"])
        self._attribute = config["attribute"]
        self._scopes = config.get("scopes")
        self._timeout = float(config.get("timeout", 2))
        self._pause = float(config.get("pause", 30))
        self._closed_until = 0.0
        self._trusted = config["certificate"]
        self._own = (config["client_certificate"], config["client_key"]) if "client_key" in config else None
        self._headers = {"Accept": "application/json"}
        if "token" in config:
            self._headers["Authorization"] = f"Bearer {config['token'].strip()}"
        if self._own is None and "token" not in config:
            raise ValueError("orcid_lookup: either token, or client_certificate and client_key, must be set")

    def process(self, context, data):
        """Add the attribute where there is an iD, take away one that came from elsewhere, and go on in any case."""
        data.attributes.pop(self._attribute, None)
        asked = self._identifier(data)
        if asked is not None and time.monotonic() >= self._closed_until:
            try:
                orcids = self._look_up(*asked)
            except LookupFailed as failure:
                self._closed_until = time.monotonic() + self._pause
                logger.warning("orcid_lookup: no answer, and no more questions for %s s: %s", self._pause, failure)
            else:
                if orcids:
                    data.attributes[self._attribute] = orcids
        return super().process(context, data)

    def _identifier(self, data):
        """The first identifier that the login brought with exactly one value, in a scope of the issuer's, or None."""
        for parameter, attribute in self._identifiers.items():
            values = data.attributes.get(attribute) or []
            values = [values] if isinstance(values, str) else values
            if len(values) == 1 and self._in_scope(values[0], data.auth_info.issuer):
                return parameter, values[0]
        return None

    def _in_scope(self, value, issuer):
        return self._scopes is None or value.rpartition("@")[2].lower() in self._scopes.get(issuer, ())

    def _look_up(self, parameter, value):
        deadline = time.monotonic() + self._timeout
        try:
            with requests.get(
                self._url,
                params={parameter: value},
                headers=self._headers,
                timeout=self._timeout,
                verify=self._trusted,
                cert=self._own,
                allow_redirects=False,
                stream=True,
            ) as response:
                return self._read(response, deadline)
        # The message of an exception of requests may hold the URL, and so the identifier: only its type is told.
        except (requests.RequestException, ValueError, OSError) as error:
            raise LookupFailed(type(error).__name__) from None

    @staticmethod
    def _read(response, deadline):
        if response.status_code == 400:
            # It is about this one person, whose identifier the authority cannot read; others have no need to wait.
            return []
        if response.status_code != 200:
            raise LookupFailed(f"status {response.status_code}")
        body = b""
        for part in response.iter_content(4096):
            body += part
            if len(body) > _MAX_BYTES or time.monotonic() > deadline:
                raise LookupFailed("the answer is too long, or too slow")
        answer = json.loads(body)
        values = answer.get("eduPersonOrcid") if isinstance(answer, dict) else None
        return [value for value in values if isinstance(value, str) and _ORCID_URI.fullmatch(value)] if isinstance(values, list) else []
