"""What is no fault, and yet makes a federation do less than somebody may expect."""

from collections.abc import Iterator
from datetime import date
from typing import Final

from broker.registry.loading import Registry
from broker.registry.manifest import Agreement
from broker.registry.organisations import Organisation
from broker.settings import Settings

__all__ = ["ending", "notices"]

_SOON: Final = 30
"""Days before its end in which whoever renews an agreement is told of it."""


def notices(registry: Registry, settings: Settings, today: date) -> list[str]:
    """A line for each thing that an operator may want to know on this day: file, what follows, and what to write."""
    return [*_of_the_whole(registry, settings), *(line for each in registry.live for line in _of_one(each, today))]


def ending(agreement: Agreement, today: date) -> Iterator[tuple[str, date]]:
    """What of an agreement ends within 30 days and has not yet: the name in the manifest, and the last day."""
    for name, last in _ends(agreement):
        if 0 <= (last - today).days <= _SOON:
            yield name, last


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
    for name, last in _ends(agreement):
        if last < today:
            yield f"{organisation.file.name}: agreement.{name} was {last}: {follows}; write the new date"
    for name, last in ending(agreement, today):
        days = (last - today).days
        left = "today is its last day" if days == 0 else f"{days} days are left" if days > 1 else "1 day is left"
        yield f"{organisation.file.name}: agreement.{name} is {last}: {left}; after it, {follows}: renew it"


def _ends(agreement: Agreement) -> tuple[tuple[str, date], ...]:
    return ("isa_expires", agreement.isa_expires), ("dspt_expires", agreement.dspt_expires)
