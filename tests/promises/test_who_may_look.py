"""Seed questions 7, 11, 12, 15, 20, 23 and 24: who may look, for what, and that it can be told who did."""

import tomllib
from datetime import datetime
from importlib.resources import files

from broker.keys import Keys

NOT_CARE = [
    *("HMARKT", "HOPERAT", "CAREMGT", "DONAT", "FRAUD", "GOV", "HACCRED", "HCOMPL", "HDIRECT", "HLEGAL"),
    *("HOUTCOMS", "HQUALIMP", "HSYSADMIN", "PATADMIN", "PERFMSR", "RECORDMGT", "TRAIN", "PUBHLTH", "HRESCH"),
    *("CLINTRCH", "HPAYMT", "CLMATTCH", "COVAUTH", "COVERAGE", "ELIGDTRM", "ELIGVER", "ENROLLM", "REMITADV"),
    *("PATRQT", "FAMRQT", "PWATRNY", "SUPNWK"),
]
"""What HL7 has a code for and is not this patient's treatment: research, insurance, benefits, the government ..."""


async def test_it_can_be_told_who_looked_at_a_record_at_what_and_when(open_world, house):
    """Seed questions 7 and 19: from the journal alone, with the key that opens the patient's number."""
    world = await open_world(*house.usual())
    doctor = world.doctor("RJ1", user="555000000001", name="Dr One")
    nurse = world.doctor("RJZ", user="555000000002", name="Nurse Two", role_code="R8001")
    asked = [
        await doctor.look_up(house.mrs_okafor, categories=["allergies"]),
        await doctor.look_up(house.mr_reyes),
        await nurse.look_up(house.mrs_okafor, token=nurse.token(house.mrs_okafor, relationship=None)),
        await nurse.look_up(house.mrs_okafor),
    ]
    assert [reply.status for reply in asked] == [200, 200, 403, 200]
    keys = Keys.open(world.settings.audit.keys)
    hers = keys.seal_patient(house.mrs_okafor.nhs_number)
    outcomes = {one["lookup_id"]: one for one in world.journal("lookup.outcome")}
    looked = [(one, outcomes[one["lookup_id"]]) for one in world.journal("lookup.intent") if one["patient"] == hers]
    assert [
        (who["user"]["name"], who["user"]["organisation"], who["user"]["role"], what["outcome"]) for who, what in looked
    ] == [
        ("Dr One", "RJ1", "clinician", "released"),
        ("Nurse Two", "RJZ", "nurse", "refused"),
        ("Nurse Two", "RJZ", "nurse", "released"),
    ]
    shown = {row["source"]: set(row["categories"]) for row in looked[0][1]["sources"]}
    assert shown == {source: {"allergies"} for source in ("RJ1-epr", "RJZ-epr", "G85001-epr")}
    times = [datetime.fromisoformat(one["time"]) for pair in looked for one in pair]
    assert times == sorted(times)
    assert keys.open_patient(hers) == house.mrs_okafor.nhs_number
    assert world.verify().ok


async def test_no_purpose_but_treatment_is_served(open_world, house):
    """Seed questions 11, 12 and 23; hazard use-beyond-direct-care. Asked by somebody who does treat the patient."""
    world = await open_world(*house.usual())
    doctor = world.doctor()
    for purpose in NOT_CARE:
        token = doctor.token(house.mrs_okafor, purpose=purpose)
        reply = await doctor.look_up(house.mrs_okafor, token=token)
        assert (reply.status, reply.code) == (403, "purpose-not-permitted"), purpose
    assert world.nobody_was_asked()
    assert [one["purpose"] for one in world.journal("lookup.intent")] == NOT_CARE
    assert {one["outcome"] for one in world.journal("lookup.outcome")} == {"refused"}
    assert (await doctor.look_up(house.mrs_okafor)).complete


async def test_only_registered_professionals_may_look_whatever_their_organisation(open_world, house):
    """Seed questions 15 and 20; hazard role-sees-too-much: by job role, as the board's own table has it."""
    world = await open_world(*house.usual())
    roles = tomllib.loads(files("policies").joinpath("roles.toml").read_text(encoding="utf-8"))["role"]
    for organisation in ("RJ1", "G85001"):
        for role in roles:
            code = next(iter(role["job_roles"]), None)
            if code is None:
                continue
            doctor = world.doctor(organisation, role_code=code)
            reply = await doctor.look_up(house.mrs_okafor, categories=["allergies"])
            if "safety" in role["sees"]:
                assert reply.status == 200, role["id"]
            else:
                assert (reply.status, reply.code) == (403, "role-not-permitted"), role["id"]
    assert any(not role["sees"] and role["job_roles"] for role in roles)


async def test_wherever_they_work_only_those_who_care_for_the_patient_now_may_look(open_world, house, edit):
    """Seed questions 18 and 24: it is the relationship that decides, not the region."""
    organisations = house.usual()
    edit(organisations[1], "south-east-london", "north-west-london")
    world = await open_world(*organisations)
    for organisation in ("RJ1", "RJZ"):
        doctor = world.doctor(organisation)
        assert (await doctor.look_up(house.mrs_okafor)).complete
        world.forget()
        stranger = await doctor.look_up(house.mrs_okafor, token=doctor.token(house.mrs_okafor, relationship=None))
        assert (stranger.status, stranger.code) == (403, "relationship-needed")
        asked = {one.code for one in world.organisations.values() if one.seen}
        assert asked <= {organisation}, "their own organisation may know, and nobody else is asked"
