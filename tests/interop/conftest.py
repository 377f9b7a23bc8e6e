"""Software that others wrote, started once for the session, and the broker among it."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from yarl import URL

from broker.demo.world import MRS_OKAFOR, open_world, write_world
from tests.interop.asking import Demo, asked_by, configured
from tests.interop.records import LOADER, SYNTHEA, Patient
from tests.interop.servers import HERE, SPLIT, Hapis, Server, filled, free_ports, hapi, need_hapi, need_node, put


def pytest_collection_modifyitems(items):
    """What stops a server of the session comes last."""
    items.sort(key=lambda item: "stopped" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def hapis(tmp_path_factory) -> Iterator[Hapis]:
    """Two HAPI servers with Synthea's patients split over both; pages of ten, searches kept for a minute."""
    need_hapi()
    room = tmp_path_factory.mktemp("hapi")
    ports = free_ports(2)
    one, two = (Server(f"http://127.0.0.1:{port}/fhir", code) for port, code in zip(ports, ("RJ1", "RJZ"), strict=True))
    two = replace(two, declared="https://fhir.rjz.example/r4")
    try:
        first = hapi("start", ports[0], room, reuseMillis=60_000)
        second = hapi("start", ports[1], room, reuseMillis=60_000, base=two.declared)
        for process, port in ((first, ports[0]), (second, ports[1])):
            assert process.wait(200) == 0, (room / f"{port}.start").read_text()
        yield filled(Hapis(one, two, room))
    finally:
        for process in [hapi("stop", port, room) for port in ports]:
            process.wait(30)


@pytest.fixture(scope="session")
def stopped(hapis):
    """From here on the second HAPI is not there."""
    assert hapi("stop", URL(hapis.two.base).port, hapis.room).wait(30) == 0
    return hapis.two


@pytest.fixture(scope="session")
def medplum():
    """Medplum's FHIR router, with one of Synthea's patients."""
    need_node()
    if not LOADER.is_file() or not SYNTHEA.is_dir():
        pytest.skip("the synthetic records (shared/ beside the checkout) are not here")
    command = ["node", str(HERE / "medplum.mjs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            server = Server(f"http://127.0.0.1:{int(process.stdout.readline())}/fhir", "RD8")
            put(SPLIT[1], server)
            yield server
        finally:
            process.terminate()


@pytest.fixture
async def open_broker(tmp_path):
    """Opens a broker over these servers, for these patients."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(*servers, patients, **source):
            room = Path(tempfile.mkdtemp(dir=tmp_path))
            file = configured(room, servers, patients, **source)
            return await stack.enter_async_context(asked_by(servers[0].code, file))

        yield begin


@pytest.fixture
async def broker(hapis, open_broker):
    """A broker over the two HAPI servers."""
    return await open_broker(*hapis, patients=hapis.patients.values())


@pytest.fixture
async def demo(tmp_path):
    """The demo world, where for once everybody listens and nobody is slow."""
    patient = Patient(MRS_OKAFOR.person.nhs_number, MRS_OKAFOR.person.birth_date)
    async with open_world(down=(), hurry=True) as world:
        file = write_world(tmp_path / "demo", world.sources, port=free_ports(1)[0])
        async with asked_by(MRS_OKAFOR.reader, file) as broker:
            yield Demo(broker, world.control, patient)
