"""What the parts of a store share: its connections."""

from dataclasses import dataclass

from sqlalchemy import Engine

from attribute_authority.storage.kept import KeptConnections


@dataclass(frozen=True, slots=True)
class Connections:
    """The connections of a store: `kept` and `answering` for what somebody waits for, `working` for everything else."""

    working: Engine
    answering: Engine
    kept: KeptConnections


class StorePart:
    """One port of a store."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
