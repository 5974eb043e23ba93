"""A worker in a process of its own: claims one delivery, prints its reference, and never comes to record how it ended.

usage: claiming_process.py URL
"""

import sys

from attribute_authority.storage.deliveries import open_delivery_store
from tests.conformance.delivery_samples import claim_one


def main(url: str) -> None:
    """Claim and wait to be killed."""
    due = claim_one(open_delivery_store(url))
    print(due.delivery.reference, flush=True)  # noqa: T201 - that is what the test reads
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
