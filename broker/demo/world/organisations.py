"""Who takes part: ten organisations in five regions, each with servers that have ways of their own.

Names and ODS codes of NHS trusts are the public ones; the practices, the urgent-care provider and every record are
made up. Each server is honest FHIR R4, within habits that real ones have.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["DOWN", "ORGANISATIONS", "SLOW", "Habits", "Organisation", "Site"]

CLINICAL: Final = (
    "AllergyIntolerance",
    "Appointment",
    "CarePlan",
    "CareTeam",
    "Condition",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "FamilyMemberHistory",
    "Flag",
    "Immunization",
    "MedicationRequest",
    "Observation",
    "Procedure",
    "RelatedPerson",
    "ServiceRequest",
)
"""Types that most servers here can be searched for by patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How one server behaves.

    Attributes:
        everything: offers `Patient/{id}/$everything`.
        batch: offers a batch at its base.
        get: takes searches by GET.
        post: takes searches by POST `_search`.
        page: most entries on a page.
        obeys_count: False: `_count` is ignored, every page has `page` entries.
        links: where the next page is: at the `base` (`?_getpages=`, as HAPI does) or below the `type`.
        total: says how many there are.
        ids: how it makes ids.
        backwards: hands out ids from its newest patient on.
        references: `urn` is for `$everything` alone, where each fullUrl is a `urn:uuid:` and so are the references.
        delay: seconds before each answer.
        warns: adds an OperationOutcome to each search that found something.
        local_codes: system of its own codes, which stand beside the national ones.
        strict: answers 400 to search parameters that it does not know, else ignores them.
    """

    everything: bool = False
    batch: bool = False
    get: bool = True
    post: bool = True
    page: int = 50
    obeys_count: bool = True
    links: Literal["base", "type"] = "type"
    total: bool = True
    ids: Literal["number", "uuid", "prefix"] = "prefix"
    backwards: bool = False
    references: Literal["relative", "absolute", "urn"] = "relative"
    delay: float = 0.03
    warns: bool = False
    local_codes: str | None = None
    strict: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One source of an organisation.

    Attributes:
        name: within the organisation.
        habits: how its server behaves.
        types: FHIR types that can be searched for by patient.
        categories: those it offers, or None for all that its types can carry.
        currency: `live` or `24h`.
    """

    name: str
    habits: Habits
    types: tuple[str, ...] = CLINICAL
    categories: tuple[str, ...] | None = None
    currency: str = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """One organisation, as its manifest describes it.

    Attributes:
        ods_code: as in the manifest.
        name: as in the manifest.
        service_type: as in the manifest.
        region: as in the manifest.
        sites: its sources.
        excluded: kinds of service that it runs and that are never shared.
    """

    ods_code: str
    name: str
    service_type: str
    region: str
    sites: tuple[Site, ...]
    excluded: tuple[str, ...] = field(default=())

    @property
    def issuer(self) -> str:
        """Who signs the tokens of its staff."""
        return f"https://ehr.{self.ods_code.lower()}.example"

    def source(self, site: Site) -> str:
        """The name of a source in rows and ids."""
        return f"{self.ods_code}-{site.name}"


SLOW: Final = "RYX-rio"
"""Takes about a second and a half over a lookup."""

DOWN: Final = "RD8-ecare"
"""Refuses connections until somebody brings it back."""

ORGANISATIONS: Final = (
    Organisation(
        ods_code="RJ1",
        name="Guy's and St Thomas' NHS Foundation Trust",
        service_type="acute",
        region="south-east-london",
        excluded=("sexual-health",),
        sites=(
            Site(
                name="epr",
                habits=Habits(everything=True, page=20, links="base", total=False, ids="number", delay=0.06),
            ),
            Site(
                name="lab",
                types=("DiagnosticReport", "Observation"),
                categories=("results",),
                habits=Habits(post=False, ids="prefix", local_codes="https://lab.rj1.example/tests"),
            ),
        ),
    ),
    Organisation(
        ods_code="RJZ",
        name="King's College Hospital NHS Foundation Trust",
        service_type="acute",
        region="south-east-london",
        sites=(Site(name="epr", habits=Habits(page=3, obeys_count=False, ids="number", backwards=True)),),
    ),
    Organisation(
        ods_code="G85001",
        name="Camberwell Green Demo Practice",
        service_type="gp-practice",
        region="south-east-london",
        sites=(Site(name="gp", habits=Habits(batch=True, ids="uuid", page=100, delay=0.05)),),
    ),
    Organisation(
        ods_code="F84016",
        name="Victoria Park Demo Surgery",
        service_type="gp-practice",
        region="north-east-london",
        sites=(Site(name="gp", habits=Habits(get=False, ids="prefix", warns=True, references="absolute")),),
    ),
    Organisation(
        ods_code="RYX",
        name="Central London Community Healthcare NHS Trust",
        service_type="community",
        region="north-west-london",
        sites=(Site(name="rio", habits=Habits(everything=True, ids="uuid", page=200, references="urn", delay=0.7)),),
    ),
    Organisation(
        ods_code="Y09001",
        name="South Thames Urgent Care (NHS 111 and out-of-hours)",
        service_type="urgent-care",
        region="south-east-london",
        sites=(
            Site(
                name="adastra",
                currency="24h",
                types=(
                    "Appointment",
                    "Condition",
                    "DocumentReference",
                    "Encounter",
                    "MedicationRequest",
                    "Observation",
                ),
                habits=Habits(warns=True, post=False, strict=False, local_codes="https://111.y09001.example/outcomes"),
            ),
        ),
    ),
    Organisation(
        ods_code="710",
        name="Southwark Council Adult Social Care",
        service_type="social-care",
        region="south-east-london",
        sites=(
            Site(
                name="mosaic",
                types=("CarePlan", "CareTeam", "EpisodeOfCare", "Flag", "RelatedPerson", "ServiceRequest"),
                habits=Habits(get=False, ids="prefix", local_codes="https://mosaic.710.example/services"),
            ),
        ),
    ),
    Organisation(
        ods_code="RV5",
        name="South London and Maudsley NHS Foundation Trust",
        service_type="mental-health",
        region="south-east-london",
        sites=(Site(name="epjs", habits=Habits(batch=True, ids="number", page=5, links="base", delay=0.08)),),
    ),
    Organisation(
        ods_code="R1H",
        name="Barts Health NHS Trust",
        service_type="acute",
        region="north-east-london",
        sites=(Site(name="millennium", habits=Habits(references="absolute", page=10, ids="prefix", total=False)),),
    ),
    Organisation(
        ods_code="RD8",
        name="Milton Keynes University Hospital NHS Foundation Trust",
        service_type="acute",
        region="bedfordshire-luton-milton-keynes",
        sites=(Site(name="ecare", habits=Habits(everything=True, ids="number", page=10, links="base")),),
    ),
)
