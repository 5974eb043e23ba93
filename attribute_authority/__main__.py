"""`python -m attribute_authority` is `attribute-authority`."""

from attribute_authority.cli import main

main()
