"""Is this all of it, unchanged? Pure reading, line by line; may run beside the brokers that write.

A change inside a chain shows at the next record's `previous`. The end of a segment shows where a later record names it
(`journal.segment-closed`, `journal.segment-failed`). What no record names yet can't be known: `Verification` says so.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.journal.chain import digest
from broker.journal.reading import ChainReading, End, Fault
from broker.journal.segment import Name, segments_of

__all__ = ["Fault", "Verification", "verify"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading the whole journal showed.

    Attributes:
        ok: no fault was found.
        records: how many records were read.
        faults: what is wrong, in order of files and lines.
        cannot_know: sentences on what reading these files alone can't show.
    """

    ok: bool
    records: int
    faults: tuple[Fault, ...]
    cannot_know: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """In the form that `broker audit verify` prints."""
        return {
            "ok": self.ok,
            "records": self.records,
            "faults": [asdict(fault) for fault in self.faults],
            "cannot_know": list(self.cannot_know),
        }


def verify(directory: Path, public_key: Ed25519PublicKey | None = None) -> Verification:
    """Read every segment and check chain, ends and the order of each lookup.

    Args:
        directory: of the journal.
        public_key: `journal.pub`; with it, chains begun under another key are faults.

    Raises:
        OSError: no such directory, or it can't be read.
    """
    key = digest(public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)) if public_key else None
    read: dict[str, ChainReading] = {}
    seen: list[Name] | None = None
    while seen != (names := segments_of(directory)):  # a broker may begin, or end another's segment, meanwhile
        for chain, parts in _chains(names).items():
            if chain not in read or read[chain].live or read[chain].parts != parts:
                read[chain] = ChainReading.of(directory, parts, key)
        seen = names
    chains = [read[name] for name in sorted(read)]
    faults = [*(fault for chain in chains for fault in chain.faults), *_compare_ends(chains), *_unended(chains)]
    faults.sort(key=lambda fault: (fault.file, fault.line or 0))
    records = sum(chain.records for chain in chains)
    return Verification(not faults, records, tuple(faults), tuple(_cannot_know(chains)))


def _chains(names: list[Name]) -> dict[str, tuple[Name, ...]]:
    chains: dict[str, tuple[Name, ...]] = {}
    for name in names:
        chains[name.chain] = (*chains.get(name.chain, ()), name)
    return chains


def _compare_ends(chains: list[ChainReading]) -> Iterator[Fault]:
    """Every segment that a later one names must be there, and end as it says."""
    ends = {str(name): end for chain in chains for name, end in chain.ends.items()}
    named: set[str] = set()
    for chain in chains:
        for file, line, closing in chain.closings:
            end = ends.get(closing.closed)
            if closing.closed in named:
                yield Fault(file, line, f"names {closing.closed}, which was named before")
            elif end is None:
                yield Fault(closing.closed, None, f"missing: {file} names it, with {closing.records} records")
            elif end != End(closing.records, closing.last, closing.torn, closing.torn_hash):
                yield Fault(
                    closing.closed, None, f"does not end as {file} says: its end was changed, cut off or added to"
                )
            named.add(closing.closed)
    for chain in chains:
        for name, end in chain.ends.items():
            if end.torn and not chain.live and str(name) not in named:
                yield Fault(
                    str(name),
                    end.records + 1,
                    "the last line is torn and no later start has put that down: start the broker, then verify again "
                    "(or this is a copy made while it was being written)",
                )


def _unended(chains: list[ChainReading]) -> Iterator[Fault]:
    """Every intent has an outcome: its own process's, or `unknown` from a later one."""
    unknown = {lookup_id: place for chain in chains for lookup_id, place in chain.stories.unknown}
    for chain in chains:
        for lookup_id, (file, line) in chain.stories.open.items():
            if unknown.pop(lookup_id, None) is None and not chain.live:
                yield Fault(
                    file,
                    line,
                    "an intent without an outcome: the next start of the broker writes `unknown` for a lookup cut "
                    "short (or this is a copy made while it was being written)",
                )
    for file, line in unknown.values():
        yield Fault(file, line, "an outcome `unknown` for a lookup that was not left open")


def _cannot_know(chains: list[ChainReading]) -> Iterator[str]:
    if not chains:
        yield "There is no segment here. Whether there ever was one can't be known without a checkpoint kept elsewhere."
        return
    named = {closing.closed for chain in chains for _, _, closing in chain.closings}
    for chain in chains:
        final = chain.parts[-1]
        if str(final) not in named:
            yield (
                f"{final}: no later record names its end yet. Whether its last record was changed, or records were cut "
                "off its end, can't be known without a checkpoint kept elsewhere."
            )
    yield (
        "Whether the newest segments were removed whole, or all was written anew by somebody who recomputed the "
        "hashes, can't be known without a checkpoint kept elsewhere."
    )
