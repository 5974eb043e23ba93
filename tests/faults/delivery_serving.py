"""The command line, with a supervisor that puts another worker in the place of a dead one at once, however young that one died.

Everything else is as it always is; a suite that kills as often has not the time to wait for longer and longer.
"""

from unittest.mock import patch

from attribute_authority import serving
from attribute_authority.cli import main

if __name__ == "__main__":
    with patch.object(serving, "_STEADY_SECONDS", 0.0):
        main()
