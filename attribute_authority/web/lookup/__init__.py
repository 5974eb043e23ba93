"""The lookup door: JSON over the same core, for identity providers, proxies and service providers that do not query by SAML."""
