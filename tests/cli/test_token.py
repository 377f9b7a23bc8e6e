"""`broker token`: a token to try the service with, and nothing else on standard output."""

import jwt
import pytest

CLAIMS = {"options": {"verify_signature": False}}


def claims(out):
    assert out.count("\n") == 1
    return jwt.decode(out.strip(), **CLAIMS)


def test_a_token_says_what_was_asked_for(broker, config):
    code, out, err = broker(
        *("token", "--config", config, "--role", "R8000", "--organisation", "RJ1"),
        *("--patient", "9990000018", "--birth-date", "1948-03-02", "--practice", "G85001"),
    )
    assert (code, err) == (0, "")
    found = claims(out)
    assert found["iss"] == "https://ehr.rj1.example"
    assert found["aud"] == "http://127.0.0.1:8080"
    assert len(found["sub"]) == 12
    assert found["sub"].isdigit()
    assert found["exp"] - found["iat"] == 300
    iua, own = found["extensions"]["ihe_iua"], found["extensions"]["care_record_broker"]
    assert iua["subject_organization"] == "Guy's and St Thomas'"
    assert iua["subject_organization_id"].endswith("|RJ1")
    assert iua["subject_role"][0]["code"] == "R8000"
    assert iua["purpose_of_use"][0]["code"] == "TREAT"
    assert iua["person_id"].endswith("|9990000018")
    assert own["birth_date"] == "1948-03-02"
    assert own["registered_practice"] == "G85001"
    assert own["relationship"] == {"basis": "encounter"}


def test_whoever_has_another_role_is_somebody_else_and_the_same_each_time(broker, config):
    def sub(role, *more):
        return claims(broker("token", "--config", config, "--role", role, "--organisation", "RJ1", *more)[1])["sub"]

    roles = ["R8000", "R8001", "R0001", "R5105", "auditor"]
    made_up = [sub(role) for role in roles]
    assert len(set(made_up)) == len(roles)
    assert made_up == [sub(role) for role in roles]
    assert sub("S8000:G8000:R8000") == made_up[0]
    assert sub("R8000", "--user", "1") == "1"


@pytest.mark.parametrize(("asked", "basis"), [("none", None), ("referral", "referral")])
def test_a_relationship_can_be_another_or_left_out(broker, config, asked, basis):
    _, out, _ = broker(
        *("token", "--config", config, "--role", "R8000", "--organisation", "RJ1", "--relationship", asked),
        *("--patient", "9990000018", "--birth-date", "1948-03-02"),
    )
    assert claims(out)["extensions"]["care_record_broker"].get("relationship", {}).get("basis") == basis


def test_without_a_patient_there_is_no_relationship(broker, config):
    _, out, _ = broker("token", "--config", config, "--role", "R0001", "--organisation", "QKK")
    found = claims(out)
    assert found["iss"] == "https://operator.example", "nobody of the registry: the operator's issuer speaks"
    assert "relationship" not in found["extensions"]["care_record_broker"]


def test_a_role_that_is_not_a_job_role_is_the_brokers_own(broker, config):
    _, out, _ = broker("token", "--config", config, "--role", "auditor", "--organisation", "QKK")
    assert claims(out)["extensions"]["ihe_iua"]["subject_role"][0]["system"] == "urn:care-record-broker:role"


@pytest.mark.parametrize(
    "arguments",
    [("--patient", "9990000018"), ("--birth-date", "1948-03-02"), ("--relationship", "encounter")],
    ids=" ".join,
)
def test_half_a_patient_is_bad_usage(broker, config, arguments):
    code, out, err = broker("token", "--config", config, "--role", "R8000", "--organisation", "RJ1", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_no_token_is_made_beside_a_real_issuer(broker, config, tmp_path):
    config.write_text(
        config.read_text() + '[[issuers]]\niss = "https://real.example"\njwks_url = "https://real.example/jwks.json"\n'
    )
    code, out, err = broker("token", "--config", config, "--role", "R8000", "--organisation", "RJ1")
    assert (code, out) == (1, "")
    assert "demo" in err


def test_without_any_issuer_it_says_what_to_write(broker, config):
    config.write_text(config.read_text().partition("[[issuers]]")[0])
    manifest = config.parent / "organisations" / "rj1.toml"
    manifest.write_text(manifest.read_text().partition("[issuer]")[0])
    code, _, err = broker("token", "--config", config, "--role", "R8000", "--organisation", "RJ1")
    assert code == 1
    assert "[[issuers]]" in err


def test_a_token_in_the_shape_of_cis2_names_the_user_and_the_selected_role(broker, config):
    asked = ("token", "--config", config, "--organisation", "RJ1", "--shape", "cis2")
    found = claims(broker(*asked, "--role", "R8000", "--activity", "B0360", "--activity", "B1611")[1])
    (role,) = found["nhsid_nrbac_roles"]
    assert found["selected_roleid"] == role["person_roleid"]
    assert (role["org_code"], role["role_code"]) == ("RJ1", "S8000:G8000:R8000")
    assert role["activity_codes"] == ["B0360", "B1611"]
    assert found["nhsid_useruid"] == found["sub"]
    assert "subject_role" not in found["extensions"]["ihe_iua"]
    for wrong in (("--role", "auditor"), ("--role", "R8000", "--user", "ada")):
        code, out, err = broker(*asked, *wrong)
        assert (code, out) == (2, "")
        assert "SDS user ids, which have twelve digits" in err


def test_activities_stand_in_a_token_of_the_usual_shape_too(broker, config):
    asked = ("token", "--config", config, "--organisation", "RJ1", "--role", "R8000")
    assert "activities" not in claims(broker(*asked)[1])["extensions"]["care_record_broker"]
    found = claims(broker(*asked, "--activity", "B1611")[1])
    assert found["extensions"]["care_record_broker"]["activities"] == ["B1611"]
