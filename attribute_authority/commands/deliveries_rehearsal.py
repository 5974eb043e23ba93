"""Rehearsing deliveries: what each sink says that it would do."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from attribute_authority.commands.deliveries_table import printable
from attribute_authority.core.cleaning import clean_answer
from attribute_authority.delivery_ports import Sink
from attribute_authority.domain.delivery import DueDelivery, SinkName
from attribute_authority.errors import CouldNotAsk, DeliveryDeferred, DeliveryRefused
from connectors import telling_defects


@dataclass(slots=True)
class Rehearsal:
    """Asks sinks what they would do. `failed` counts deliveries that would not be made; a sink that is away is not asked again."""

    sinks: Mapping[SinkName, Sink]
    named: Callable[[DueDelivery], str]
    rehearsed: int = 0
    failed: int = 0
    _away: set[SinkName] = field(default_factory=set)

    def lines(self, dues: Iterable[DueDelivery]) -> Iterator[str]:
        """Yield a line for each delivery, one for all to a sink that takes none. Raises OperatorError for a connector with a defect."""
        for due in dues:
            self.rehearsed += 1
            sentence = self._rehearse(due)
            if sentence is not None:
                yield printable(f"{self.named(due)}\t{due.sink}\t{sentence}")

    def _rehearse(self, due: DueDelivery) -> str | None:
        sink = self.sinks[due.sink]
        if due.sink in self._away:
            self.failed += 1
            return None
        try:
            with telling_defects(f"{due.sink}: the connector has a defect"):
                return sink.rehearse(due.delivery)
        except DeliveryRefused as refused:
            answer = clean_answer(refused.answer, due.delivery)
            sentence = f"would be parked: {refused.cause}{f': {answer}' if answer else ''}"
        except DeliveryDeferred as deferred:
            sentence = f"would be tried again later: {deferred.cause}"
        except CouldNotAsk as away:
            self._away.add(due.sink)
            sentence = f"takes no deliveries at the moment, and is asked no further: {away.cause}"
        self.failed += 1
        return sentence
