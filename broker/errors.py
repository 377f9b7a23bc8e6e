"""What the broker says when it can't or won't do what was asked.

    BrokerError
    ├── RequestError            400  the request itself is wrong; no source was asked
    │   ├── InvalidRequest · InvalidNhsNumber · InvalidBirthDate · UnknownCategory · UnknownOrganisation
    │   └── TimeoutTooLong · PatientRequired · NotSupported
    ├── NotAuthenticated        401  every fault of a token or an issuer, in one message
    ├── Forbidden               403
    │   ├── PatientMismatch · RoleNotPermitted · PurposeNotPermitted · RelationshipNeeded
    │   └── OrganisationNotTakingPart · OwnRecord · Withheld
    ├── NotFound 404 · MethodNotAllowed 405 · IdentityNotConfirmed 409 · Conflict 409
    ├── PageExpired 410 · TooLarge 413 · TooManyRequests 429 · NotBuilt 501
    ├── NothingAnswered              nothing to show, and not because there is nothing; carries the rows
    │   └── SourcesFailed 502 · SourcesUnavailable 503 · SourcesTimedOut 504
    ├── Unavailable             503  try again; `retry_after` says when
    │   └── JournalUnavailable · RegisterUnavailable · Overloaded
    └── ConfigurationError           stops the start, naming file, line and what to write

Every leaf but the last has a stable `code` and the HTTP `status` that it becomes on every surface. Messages say what to
do; they never hold an identifier, a token or a word of a source.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

__all__ = [
    "BrokerError",
    "ConfigurationError",
    "Conflict",
    "Forbidden",
    "IdentityNotConfirmed",
    "InvalidBirthDate",
    "InvalidNhsNumber",
    "InvalidRequest",
    "JournalUnavailable",
    "MethodNotAllowed",
    "NotAuthenticated",
    "NotBuilt",
    "NotFound",
    "NotSupported",
    "NothingAnswered",
    "OrganisationNotTakingPart",
    "Overloaded",
    "OwnRecord",
    "PageExpired",
    "PatientMismatch",
    "PatientRequired",
    "PurposeNotPermitted",
    "RegisterUnavailable",
    "RelationshipNeeded",
    "RequestError",
    "RoleNotPermitted",
    "SourcesFailed",
    "SourcesTimedOut",
    "SourcesUnavailable",
    "TimeoutTooLong",
    "TooLarge",
    "TooManyRequests",
    "Unavailable",
    "UnknownCategory",
    "UnknownOrganisation",
    "Withheld",
]


class BrokerError(Exception):
    """The broker can't or won't do what was asked.

    Attributes:
        code: stable, for programs.
        status: the HTTP status that it becomes.
        message: for people: what to do.
        private: the message is for the operator; the caller gets the default.
        sources: rows, where there are any, in the form of the reply.
        retry_after: seconds, where another try may help.
    """

    code: ClassVar[str] = "failed"
    status: ClassVar[int] = 500
    default: ClassVar[str] = "The broker could not do this. Tell its operator."
    private: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        sources: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        self.message = message or self.default
        self.sources = tuple(sources)
        self.retry_after = retry_after
        super().__init__(self.message)


class RequestError(BrokerError):
    """The request itself is wrong; no source was asked."""

    status = 400


class InvalidRequest(RequestError):
    """Not JSON, a duplicate or unknown key, too deep, a wrong or empty field: the message names it."""

    code = "invalid-request"


class InvalidNhsNumber(RequestError):
    """Not ten digits, or the Modulus 11 check fails."""

    code = "invalid-nhs-number"
    default = "Write the NHS number as ten digits whose last is the Modulus 11 check digit."


class InvalidBirthDate(RequestError):
    """Missing, not a whole date, or in the future."""

    code = "invalid-birth-date"
    default = "Write the date of birth as YYYY-MM-DD, not in the future."


class UnknownCategory(RequestError):
    """A category that the broker does not have: the message names those it has."""

    code = "unknown-category"


class UnknownOrganisation(RequestError):
    """`require` names an organisation that takes no part."""

    code = "unknown-organisation"
    default = "`require` may name only organisations that take part: see /about."


class TimeoutTooLong(RequestError):
    """A caller may only shorten the deadline."""

    code = "timeout-too-long"


class PatientRequired(RequestError):
    """A search without a patient."""

    code = "patient-required"
    default = "Name the patient: nothing is searched across patients."


class NotSupported(RequestError):
    """A parameter or form that the broker does not know."""

    code = "not-supported"


class NotAuthenticated(BrokerError):
    """Every fault of a token or an issuer, in one message that helps no attacker.

    Attributes:
        reason: which it was, for the operator: of the closed set in the journal's `FORMAT.md`, never for the caller.
    """

    code = "not-authenticated"
    status = 401
    default = "A valid token of a registered issuer is needed."

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class Forbidden(BrokerError):
    """The caller is known, and may not."""

    status = 403


class PatientMismatch(Forbidden):
    """The patient asked for is not the patient in the token."""

    code = "patient-mismatch"
    default = "The patient asked for must be the patient that the token names, with the same date of birth."


class RoleNotPermitted(Forbidden):
    """The role may see none of the categories asked, or is not one that the policies know."""

    code = "role-not-permitted"
    default = "This role may see none of what was asked for."


class PurposeNotPermitted(Forbidden):
    """Anything but direct care."""

    code = "purpose-not-permitted"
    default = "Only direct care is a purpose here: TREAT or ETREAT, or BTG with an `override`."


class RelationshipNeeded(Forbidden):
    """The token asserts no relationship with the patient."""

    code = "relationship-needed"
    default = (
        "The token must say how the reader's organisation is caring for this patient: "
        "relationship.basis encounter, referral, registration or caseload."
    )


class OrganisationNotTakingPart(Forbidden):
    """The reader's organisation is not registered and live, or its agreement or DSP Toolkit status has lapsed."""

    code = "organisation-not-taking-part"
    default = "The reader's organisation takes no part at present: its registration, agreement or DSP Toolkit."


class OwnRecord(Forbidden):
    """Looking oneself up."""

    code = "own-record"
    default = "Nobody may look up their own record here. Ask the organisations involved for a copy."


class Withheld(Forbidden):
    """`/fhir`: no match, and all that is not known is withheld. Carries the rows."""

    code = "withheld"
    default = "There is nothing that may be shown, and something is withheld: ask the patient."


class NotFound(BrokerError):
    """No such thing, or not for this caller: the two are told apart nowhere."""

    code = "not-found"
    status = 404
    default = "There is no such thing here."


class MethodNotAllowed(BrokerError):
    """This address takes another method."""

    code = "method-not-allowed"
    status = 405
    default = "This address takes another method: see /openapi.json."


class IdentityNotConfirmed(BrokerError):
    """The identity service, or every source that knows the number, has another date of birth."""

    code = "identity-not-confirmed"
    status = 409
    default = "Number and date of birth do not belong together. Check the patient's identity."


class Conflict(BrokerError):
    """Somebody else changed it first, or its state does not allow this."""

    code = "conflict"
    status = 409


class PageExpired(BrokerError):
    """`/fhir`: the answer that a page belongs to is not the same any more."""

    code = "page-expired"
    status = 410
    default = "What is known has changed since the first page: search again from the start."


class TooLarge(BrokerError):
    """The request body is larger than the broker takes."""

    code = "too-large"
    status = 413
    default = "The request body is too large."


class TooManyRequests(BrokerError):
    """More requests than this caller may make."""

    code = "too-many-requests"
    status = 429
    default = "Too many requests: wait, then try again."


class NotBuilt(BrokerError):
    """An operation of FHIR that the broker does not have."""

    code = "not-supported"
    status = 501
    default = "This operation is not available here: search by patient, or read by id."


class NothingAnswered(BrokerError):
    """Nothing to show, because sources failed: never an empty success. Carries the rows."""


class SourcesFailed(NothingAnswered):
    """Every source that was asked failed, not all by running out of time."""

    code = "sources-failed"
    status = 502
    default = "No source could answer: the rows say why. This is not an empty record."


class SourcesTimedOut(NothingAnswered):
    """Every source that was asked ran out of time."""

    code = "sources-timed-out"
    status = 504
    default = "No source answered in time. This is not an empty record."


class SourcesUnavailable(NothingAnswered):
    """`/fhir`: no match, and another try may bring one."""

    code = "sources-unavailable"
    status = 503
    default = "Nothing was found, and not every source could answer now: try again. This is not an empty record."


class Unavailable(BrokerError):
    """The broker itself can't serve now."""

    status = 503
    private = True


class JournalUnavailable(Unavailable):
    """What can't be recorded is not released."""

    code = "journal-unavailable"
    default = "Nothing can be released while the journal can't be written. Tell the broker's operator."


class RegisterUnavailable(Unavailable):
    """The objection register has not been heard from for longer than `[objections] max_age`."""

    code = "register-unavailable"
    default = "Nothing can be released while the objection register can't be read. Tell the broker's operator."


class Overloaded(Unavailable):
    """More lookups at once than this node takes, or it is being stopped."""

    code = "overloaded"
    private = False
    default = "This node has as many lookups as it takes: try again."


class ConfigurationError(Exception):
    """A configuration, manifest, identity or policy file with a fault: the start stops.

    The text is `file:line: what is wrong and what to write instead`, the line left out where there is none.
    """

    def __init__(self, file: Path | str, message: str, *, line: int | None = None) -> None:
        self.file = Path(file)
        self.line = line
        self.message = message
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")
