"""The companion page: a researcher signs in with the home organisation and links the ORCID iD once."""
