"""What lies on the disk."""

import stat
from pathlib import Path

from broker.objections import Scope


async def test_neither_number_nor_reason_stands_in_a_file_in_clear(world, patient, tmp_path):
    made = await world.record()
    for scope in ({"organisation": "RRV"}, {"category": "mental-health"}, {"staff_id": "555254240100"}):
        await world.record(scope=Scope.stated(**scope))
    await world.decide(made.id, "under-review")
    await world.decide(made.id, "not-upheld", reason="Safeguarding of a child", ico_route_told=True)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(file.suffix == ".db" for file in files)
    for file in files:
        content = file.read_bytes()
        assert patient.encode() not in content
        assert b"Safeguarding" not in content
        assert b"mental-health" not in content
        assert b"555254240100" not in content
        assert file.suffix != ".db" or b"RRV" not in content


async def test_the_file_is_its_owners_alone(world):
    file = Path(world.url.partition(":///")[2])
    await world.record()
    assert {stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()} == {0o600}
