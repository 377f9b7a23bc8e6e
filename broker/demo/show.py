"""A reply of `POST /lookups`, and what the journal says of it, as text for a terminal. Pure: JSON in, words out."""

import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from broker.demo.describe import HEADINGS, describe, source_of
from broker.lookup.values import Status

__all__ = ["WIDTH", "show_audit", "show_lookup"]

Json = Mapping[str, Any]
WIDTH: Final = 96
SLOW_MS: Final = 1000
DEFINITE: Final = frozenset({Status.ANSWERED.value, Status.NO_RECORD_FOUND.value, Status.NOT_PROVIDED.value})
FEW: Final = 3
"""So many sources without a full answer are named at the top; more are counted."""
LONG: Final = 3
"""From so many measurements of the same thing on, they are shown as one line over time."""
REASONS: Final = {Status.PRACTICE_NOT_ASKED.value: "not asked: it takes no part, or nobody says which one it is"}
"""Statuses that as they stand would not tell a reader why."""


def show_lookup(reply: Json) -> str:
    """The merged record: what came, from whom, what is missing, and where sources disagree."""
    resources = [entry["resource"] for entry in reply["bundle"]["entry"]]
    lines = [
        *_banner(reply, resources),
        *_contradictions(resources),
        *_sources(reply["sources"]),
        *_missing(reply["sources"]),
        *_record(resources),
        "",
        *_wrap(reply["statement"], ""),
    ]
    return "\n".join(lines)


def show_audit(records: Sequence[Json]) -> str:
    """The journal's records of one lookup, in order, one line each."""
    lines = ["", _rule("WHAT WAS WRITTEN DOWN, each line durable before what it speaks of was done")]
    for record in records:
        head = f"  {record['seq']:>4}  {record['time'][11:23]}  {record['event']:<16}  "
        lines += _wrap(_AUDITED[record["event"]](record), head, " " * len(head))
    return "\n".join(lines)


def _banner(reply: Json, resources: Sequence[Json]) -> Iterator[str]:
    patient = reply["patient"]
    one: Json = next((resource for resource in resources if resource["resourceType"] == "Patient"), {})
    names = [
        " ".join([*name.get("prefix", ()), *name.get("given", ()), name.get("family", "")])
        for name in one.get("name", ())
    ]
    number = patient["nhs_number"]
    yield _rule(f"{names[0] if names else 'Patient'}, born {patient['birth_date']}, NHS number {number}")
    if reply["complete"]:
        yield from _wrap("COMPLETE: everybody in scope answered.", "  ")
    else:
        yield from _wrap(f"NOT COMPLETE. No full answer: {_unknown(reply['sources'])}.", "  ")
        yield from _wrap("What is missing below is not the same as nothing being there.", "  ")
    restrictions = reply["restrictions"]
    if restrictions["objection"]:
        yield from _wrap("The patient has objected to sharing.", "  ")
    if restrictions["location_hidden"]:
        yield from _wrap("Where the patient lives and is seen is hidden.", "  ")
    if restrictions["categories_not_permitted"]:
        yield from _wrap(f"Not for this role: {', '.join(restrictions['categories_not_permitted'])}.", "  ")


def _unknown(rows: Sequence[Json]) -> str:
    """Who gave no full answer, and why."""
    why: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        status = str(row["status"])
        if status not in DEFINITE:
            why[row["name"]].append(REASONS.get(status, status))
    if len(why) > FEW:
        return f"{len(why)} of those in scope, each named below"
    return "; ".join(f"{name} ({', '.join(dict.fromkeys(reasons))})" for name, reasons in sorted(why.items()))


def _sources(rows: Sequence[Json]) -> Iterator[str]:
    yield ""
    yield _rule("WHO IS IN SCOPE")
    yield f"  {'source':<17}{'organisation':<41}{'status':<18}{'items':>5}{'time':>6}"
    for row in rows:
        name = textwrap.shorten(row["name"], 40, placeholder=" ...")
        status = row["status"] if row["status"] in DEFINITE else row["status"].upper()
        count = f"{row['resources'] or '-':>5}"
        elapsed = "" if row["elapsed_ms"] is None else f"{row['elapsed_ms'] / 1000:>5.1f} s"
        slow = " slow" if (row["elapsed_ms"] or 0) >= SLOW_MS else ""
        yield f"  {row['source'] or '-':<17}{name:<41}{status:<18}{count}{elapsed}{slow}".rstrip()
        remarks = [*row["notes"]]
        if row["currency"] != "live":
            remarks.append(f"data {row['currency']}" if " " in row["currency"] else f"data up to {row['currency']} old")
        if row["retry_after_s"] is not None:
            remarks.append(f"asked again in {row['retry_after_s']} s")
        if remarks:
            yield from _wrap("; ".join(remarks), " " * 19)


def _missing(rows: Sequence[Json]) -> Iterator[str]:
    """For each kind of information what is not known, kinds with the same gaps together."""
    gaps: dict[tuple[str, ...], list[str]] = defaultdict(list)
    kinds = list(dict.fromkeys(kind for row in rows for kind in row["categories"]))
    for kind in kinds:
        gap = tuple(
            f"{row['source'] or row['name']} {row['categories'][kind]['status']}"
            for row in rows
            if kind in row["categories"] and row["categories"][kind]["status"] not in DEFINITE
        )
        if gap:
            gaps[gap].append(kind)
    whole = [f"{row['source'] or row['name']} {row['status']}" for row in rows if not _known(row)]
    if gaps or whole:
        yield ""
        yield _rule("WHAT IS MISSING from each kind of information")
    for gap, lacking in gaps.items():
        yield from _wrap(f"{', '.join(lacking)}:", "  ")
        yield from _wrap("; ".join(gap), "      ")
    if whole:
        yield from _wrap("of no one kind:", "  ")
        yield from _wrap("; ".join(whole), "      ")


def _known(row: Json) -> bool:
    """Whether a row without categories says nothing is missing."""
    return bool(row["categories"]) or row["status"] in DEFINITE


def _contradictions(resources: Sequence[Json]) -> Iterator[str]:
    """What hurts most where it is not seen: before everything else."""
    issues = [resource for resource in resources if resource["resourceType"] == "DetectedIssue" and _brokers(resource)]
    said = [str(issue.get("detail", "")) for issue in issues]
    if said:
        yield ""
        yield _rule("SOURCES CONTRADICT EACH OTHER", "!")
    for words in said:
        yield from _wrap(words, "  ", "    ")


def _brokers(resource: Json) -> bool:
    return source_of(resource) == "broker"


def _record(resources: Sequence[Json]) -> Iterator[str]:
    """By heading; records of the same thing, linked by the broker, stand together, none of them dropped."""
    linked = _links(resources)
    by_heading: dict[str, list[Json]] = {heading: [] for heading in HEADINGS.values()}
    for resource in resources:
        if resource["resourceType"] in HEADINGS:
            by_heading[HEADINGS[resource["resourceType"]]].append(resource)
    for heading, members in by_heading.items():
        if not members:
            continue
        yield ""
        yield _rule(heading.upper())
        trends, rest = _trends(members)
        for group in _groups(rest, linked):
            yield from _group(group)
        for trend in trends:
            yield from _trend(trend)


def _links(resources: Iterable[Json]) -> dict[str, str]:
    """`Type/id` to the id of the Linkage that names it; what is only possibly the same stays apart."""
    return {
        item["resource"]["reference"]: str(resource["id"])
        for resource in resources
        if resource["resourceType"] == "Linkage" and resource.get("active")
        for item in resource.get("item", ())
    }


def _groups(resources: Sequence[Json], linked: Mapping[str, str]) -> list[list[Json]]:
    """Linked records together, newest first."""
    groups: dict[str, list[Json]] = defaultdict(list)
    for resource in resources:
        reference = f"{resource['resourceType']}/{resource['id']}"
        groups[linked.get(reference, reference)].append(resource)
    ordered = [sorted(group, key=_when, reverse=True) for group in groups.values()]
    return sorted(ordered, key=lambda group: _when(group[0]), reverse=True)


def _when(resource: Json) -> str:
    return describe(resource).when


def _group(group: Sequence[Json]) -> Iterator[str]:
    if len(group) == 1:
        item = describe(group[0])
        yield from _line(item.when, item.what + (f": {item.how}" if item.how else ""), source_of(group[0]))
        return
    differ = ", which DISAGREE" if len({describe(resource).standing for resource in group}) > 1 else ""
    yield from _wrap(f"{describe(group[0]).what}  (the same, recorded {len(group)} times{differ})", " " * 14)
    for resource in group:
        item = describe(resource)
        yield from _line(item.when, f"- {item.how or 'recorded'}", source_of(resource))


def _trends(resources: Sequence[Json]) -> tuple[list[list[Json]], list[Json]]:
    """Numbers of one kind at one source over time, and everything else."""
    series: dict[tuple[str, str], list[Json]] = defaultdict(list)
    for resource in resources:
        if "valueQuantity" in resource:
            series[source_of(resource), describe(resource).what].append(resource)
    trends = [sorted(members, key=_when) for members in series.values() if len(members) >= LONG]
    shown = {id(member) for members in trends for member in members}
    return trends, [resource for resource in resources if id(resource) not in shown]


def _trend(members: Sequence[Json]) -> Iterator[str]:
    first, last = describe(members[0]), describe(members[-1])
    values = " → ".join(str(member["valueQuantity"].get("value", "?")) for member in members)
    unit = members[-1]["valueQuantity"].get("unit", "")
    text = f"{last.what}: {values} {unit} (newest last; since {first.when[:7]})"
    yield from _line(last.when, text, source_of(members[0]))


def _line(when: str, text: str, source: str) -> Iterator[str]:
    yield from _wrap(f"{text}  [{source}]", f"  {when[:10]:<10}  ", " " * 14)


def _intent(record: Json) -> str:
    user, relationship = record["user"], record["relationship"]
    basis = relationship["basis"] if isinstance(relationship, Mapping) else relationship
    kinds = f"{len(record['categories'])} kinds" if record["categories"] else "every kind"
    return (
        f"{user['name']} ({user['role']}, {user['organisation']}) asks for {kinds} of information; "
        f"purpose {record['purpose']}, relationship {basis}; patient sealed as {record['patient'][:10]}..."
    )


def _plan(record: Json) -> str:
    rows = record["sources"]
    said: list[str] = [
        f"{sum(row['status'] == Status.WAITING for row in rows)} of {len(rows)} rows are still to be asked"
    ]
    if record["identity"] == Status.ANSWERED:
        said.append("the identity service has answered already")
    elif record["identity"] is not None:
        said.append(f"identity service {record['identity']}")
    settled = [row for row in rows if row["status"] != Status.WAITING and row["source"] != "identity"]
    if settled:
        said.append("not asked: " + ", ".join(f"{row['source'] or row['name']} {row['status']}" for row in settled))
    return "; ".join(said)


def _part(record: Json) -> str:
    row = record["source"]
    shown = [f"{kind} {one['resources']}" for kind, one in row["categories"].items() if one["resources"]]
    return f"{row['source']} {row['status']}" + (f": {', '.join(shown)}" if shown else "")


def _outcome(record: Json) -> str:
    complete = "complete" if record["complete"] else "not complete"
    decided = f"decided by {', '.join(record['policies']) or 'no policy'}"
    return f"{record['outcome']}, {complete}; {decided} of policy set {str(record['policy_set'])[:10]}..."


_AUDITED: Final[Mapping[str, Callable[[Json], str]]] = {
    "lookup.intent": _intent,
    "lookup.plan": _plan,
    "lookup.part": _part,
    "lookup.wrong-patient": lambda record: f"{record['source']} answered about somebody else: dropped",
    "lookup.outcome": _outcome,
    "lookup.delivered": lambda _: "all bytes of the reply have left",
    "lookup.not-delivered": lambda _: "the caller was gone before all bytes had left",
}
"""Event of a lookup to its words."""


def _rule(title: str, stroke: str = "-") -> str:
    return f"{stroke * 2} {title} ".ljust(WIDTH, stroke)


def _wrap(text: str, first: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
