"""Bad input: a clear error with a stable code, recorded where the caller is known, and no source asked."""

import asyncio
import json
import sys

import pytest

from broker.app import running
from broker.errors import ConfigurationError
from broker.settings import load

WHO = {"nhs_number": "9990000018", "birth_date": "1948-03-02"}


def body(**changes):
    return json.dumps({"patient": WHO, **changes}).encode()


BAD = {
    "a number that fails Modulus 11": (body(patient=WHO | {"nhs_number": "9990000019"}), 400, "invalid-nhs-number"),
    "a number with letters": (body(patient=WHO | {"nhs_number": "99900000X8"}), 400, "invalid-nhs-number"),
    "no birth date": (body(patient={"nhs_number": "9990000018"}), 400, "invalid-birth-date"),
    "a birth date that never was": (body(patient=WHO | {"birth_date": "1948-02-31"}), 400, "invalid-birth-date"),
    "a birth date in another form": (body(patient=WHO | {"birth_date": "02/03/1948"}), 400, "invalid-birth-date"),
    "nobody": (b"{}", 400, "patient-required"),
    "an unknown category": (body(categories=["allergies", "horoscopes"]), 400, "unknown-category"),
    "no category": (body(categories=[]), 400, "invalid-request"),
    "a timeout longer than allowed": (body(timeout="6s"), 400, "timeout-too-long"),
    "a timeout without a unit": (body(timeout="3"), 400, "invalid-request"),
    "an organisation that takes no part": (body(require=["ZZ9"]), 400, "unknown-organisation"),
    "an unknown key": (body(pateint={}), 400, "invalid-request"),
    "a key that stands twice": (b'{"patient": {}, "patient": {}}', 400, "invalid-request"),
    "not JSON": (b"nhs_number=9990000018", 400, "invalid-request"),
    "nothing": (b"", 400, "invalid-request"),
    "too deep": (b'{"patient": ' + b"[" * 50_000, 400, "invalid-request"),
    "too large": (b'{"patient": "' + b"9990000018" * 7000 + b'"}', 413, "too-large"),
    "a relationship without a reason": (body(relationship={"basis": "self-declared"}), 400, "invalid-request"),
    "an override without words": (body(override={"reason": "04", "text": ""}), 400, "invalid-request"),
    "an override for no reason there is": (body(override={"reason": "07", "text": "x"}), 400, "invalid-request"),
}


async def test_each_fault_has_its_code_is_written_down_and_asks_nobody(world, doctor, house):
    token = doctor.token(world.mrs_okafor)
    for name, (data, status, code) in BAD.items():
        reply = await doctor.look_up(world.mrs_okafor, token=token, data=data)
        assert (reply.status, reply.code) == (status, code), name
        assert reply.json["error"]["message"], name
        assert reply.json["sources"] == [], name
        assert "999000001" not in reply.text, name
        assert "Traceback" not in reply.text, name
        stream = await doctor.stream(world.mrs_okafor, token=token, data=data)
        assert (stream.status, stream.code) == (status, code), name
    await house.eventually(lambda: sum(one["count"] for one in world.journal("request.refused")) == 2 * len(BAD))
    refused = world.journal("request.refused")
    assert {one["code"] for one in refused} == {code for _, _, code in BAD.values()}
    assert {one["user"]["subject"] for one in refused} == {"555254240100"}
    assert "999000001" not in json.dumps(refused)
    assert world.lookups() == []
    assert world.nobody_was_asked()
    assert world.verify().ok
    assert (await doctor.look_up(world.mrs_okafor, token=token)).complete


async def test_what_is_required_and_not_definite_is_said_and_the_rest_still_given(world, doctor):
    await world.other_hospital.stop()
    met = await doctor.look_up(world.mrs_okafor, require=["RJ1"])
    unmet = await doctor.look_up(world.mrs_okafor, require=["RJ1", "RJZ"])
    assert (met.json["required_met"], unmet.json["required_met"]) == (True, False)
    assert unmet.sources_of("AllergyIntolerance") == {"RJ1-epr", "G85001-epr"}


FAULTS = {
    "an empty configuration": ("broker.toml", lambda _: ""),
    "a setting that there is not": ("broker.toml", lambda text: text + "\n[lookups]\ndeadline = 5\n"),
    "a time without a unit": ("broker.toml", lambda text: text.replace('"5s"', "5")),
    "a listener beyond loopback with a demo issuer": (
        "broker.toml",
        lambda text: text.replace("127.0.0.1:0", "0.0.0.0:0"),
    ),
    "a manifest that is not TOML": ("organisations/RJ1.toml", lambda text: text + "\n= nothing"),
    "a manifest without an agreement": (
        "organisations/RJ1.toml",
        lambda text: "\n".join(line for line in text.splitlines() if not line.startswith("agreement")),
    ),
    "a kind of source that there is not": ("organisations/RJ1.toml", lambda text: text.replace("fhir-r4", "fihr-r4")),
    "plain http beyond loopback": (
        "organisations/RJ1.toml",
        lambda text: text.replace("http://127.0.0.1", "http://ehr.example"),
    ),
    "two manifests of one organisation": ("organisations/RJZ.toml", lambda text: text.replace('"RJZ"', '"RJ1"')),
    "a policy set that is not there": ("broker.toml", lambda text: text + '\n[policies]\ndirectory = "nowhere"\n'),
    "an identity service without its directory": (
        "broker.toml",
        lambda text: text.replace('kind = "none"', 'kind = "file"'),
    ),
}


@pytest.mark.parametrize(("file", "spoil"), FAULTS.values(), ids=FAULTS.keys())
async def test_a_fault_in_the_configuration_stops_the_start_and_is_named(tmp_path, house, file, spoil):
    organisations = house.usual()
    config = house.write(tmp_path / "broker", organisations)
    spoilt = config.parent / file
    spoilt.write_text(spoil(spoilt.read_text()))
    with pytest.raises(ConfigurationError) as stopped:
        async with running(load(config, {})):
            pass
    assert str(stopped.value).startswith(str(tmp_path / "broker"))
    assert stopped.value.message
    for one in organisations:
        await one.close()


@pytest.mark.blocking
async def test_the_command_says_it_in_one_line_and_ends(tmp_path, house):
    organisations = house.usual()
    config = house.write(tmp_path / "broker", organisations)
    spoilt = config.parent / "organisations" / "RJ1.toml"
    spoilt.write_text(spoilt.read_text().replace("fhir-r4", "fihr-r4"))
    for one in organisations:
        await one.close()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import sys; from broker.cli import main; sys.exit(main())"),
        *("serve", "--config", str(config)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    (line,) = err.decode().splitlines()
    assert process.returncode in {1, 2}
    assert "RJ1.toml:" in line
    assert "fhir-r4" in line
