"""What is no fault, and yet makes a federation do less than somebody may expect."""

from collections.abc import Iterator
from datetime import date

from broker.registry.loading import Registry
from broker.registry.organisations import Organisation
from broker.settings import Settings

__all__ = ["notices"]


def notices(registry: Registry, settings: Settings, today: date) -> list[str]:
    """A line for each thing that an operator may want to know on this day: file, what follows, and what to write."""
    return [*_of_the_whole(registry, settings), *(line for each in registry.live for line in _of_one(each, today))]


def _of_the_whole(registry: Registry, settings: Settings) -> Iterator[str]:
    operator = settings.file.name
    if not registry.live:
        yield f'{settings.organisations.directory.name}: no organisation has state = "live": nobody takes part'
    if not settings.issuers and not any(each.issuer for each in registry.organisations.values()):
        yield f"{operator}: no issuer here or in any manifest: nobody can call; write [issuer] in a manifest"
    if settings.objections.lead_controller and not settings.issuers:
        yield (
            f"{operator}: objections.lead_controller is there and no issuer of the operator's: nobody can decide whole "
            "objections, and they are honoured; write [[issuers]]"
        )


def _of_one(organisation: Organisation, today: date) -> Iterator[str]:
    agreement = organisation.agreement
    follows = "it takes no part: it is not asked, and its staff can't look anybody up"
    if today < agreement.isa_signed:
        yield f"{organisation.file.name}: agreement.isa_signed is {agreement.isa_signed}: until then {follows}"
    for name, last in (("isa_expires", agreement.isa_expires), ("dspt_expires", agreement.dspt_expires)):
        if last < today:
            yield f"{organisation.file.name}: agreement.{name} was {last}: {follows}; write the new date"
