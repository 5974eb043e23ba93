"""ORCID attribute authority: a SAML 2.0 service that answers with a person's authenticated ORCID iD."""

__version__ = "0.1.0"
