"""What a patient is told whose objection is not upheld."""

from datetime import date

import pytest

from broker.clock import london_today
from broker.errors import ConfigurationError, Conflict, NotFound
from broker.objections import Letter, ObjectionRecord, Scope, Status

REASON = "Sharing is needed to keep a child safe.\nYou were told so on the telephone."


async def test_the_letter_says_why_who_decided_and_how_to_complain(world, doctor, officer):
    made = await world.record(scope=Scope.stated(category="mental-health"))
    await world.decide(made.id, "under-review")
    await world.decide(made.id, "not-upheld", reason=REASON, ico_route_told=True)
    today = london_today()
    for reader in (doctor, officer):
        letter = await world.register.letter(reader, made.id)
        assert letter.startswith("South East London ICB\n")
        assert f"{today.day} {today:%B %Y}" in letter
        assert "    Sharing is needed to keep a child safe.\n    You were told so on the telephone.\n" in letter
        assert "Wycliffe House, Water Lane, Wilmslow, Cheshire SK9 5AF" in letter
        assert "0303 123 1113" in letter
        assert "https://ico.org.uk/make-a-complaint/" in letter
        assert made.id in letter
        assert "$" not in letter


async def test_the_letter_names_neither_the_patient_nor_what_the_objection_is_about(world, officer, patient):
    made = await world.record(scope=Scope.stated(category="mental-health"))
    await world.decide(made.id, "under-review")
    await world.decide(made.id, "not-upheld", reason=REASON, ico_route_told=True)
    letter = await world.register.letter(officer, made.id)
    assert patient not in letter
    assert "mental" not in letter


async def test_there_is_a_letter_for_not_upheld_alone_and_for_who_may_see_it(world, officer, person):
    made = await world.record()
    for status in (None, "under-review", "upheld"):
        if status:
            await world.decide(made.id, status)
        with pytest.raises(Conflict, match="for not-upheld alone"):
            await world.register.letter(officer, made.id)
    with pytest.raises(NotFound):
        await world.register.letter(person(organisation="RRV", subject="stranger"), made.id)


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        ("Why: $reason\n\n$commissioner\n\nDear $patient\n", 5, r"\$patient is not known: there are \$reason"),
        ("$reason costs 5$ and more\n$commissioner", 1, r"write \$\$"),
        ("$reason", None, r"\$commissioner is missing"),
        ("$commissioner", None, r"\$reason is missing"),
        ("", None, "missing"),
    ],
)
def test_a_template_with_a_fault_is_refused_with_its_line(tmp_path, template, line, words):
    file = tmp_path / "letter.txt"
    file.write_text(template, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=words) as caught:
        Letter.load(file)
    assert (caught.value.file, caught.value.line) == (file, line)


def test_a_template_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "letter.txt"
    file.write_bytes(b"\xff\xfe$reason $commissioner")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        Letter.load(file)


def test_a_board_may_write_its_own(tmp_path):
    file = tmp_path / "letter.txt"
    file.write_text("$organisation, $date. $reason ($$5) $decided_on $recorded_on\n$commissioner", encoding="utf-8")
    decided = ObjectionRecord(
        id="1",
        version=3,
        status=Status.NOT_UPHELD,
        scope=Scope(),
        recorded_by={},
        recorded_at="2026-06-30T23:30:00Z",
        decided_by={"organisation": "ZZZ"},
        decided_at="2026-12-01T09:00:00Z",
    )
    letter = Letter.load(file).written(decided, "Because of $money.", {}, date(2026, 12, 2))
    first, *_ = letter.splitlines()
    assert first == "ZZZ, 2 December 2026.     Because of $money. ($5) 1 December 2026 1 July 2026"
