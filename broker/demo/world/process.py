"""The world as one process of its own: every source on a port of its own, and a door to stop and revive them.

On standard output it prints one line of JSON, `{"control": "http://…", "sources": {"RJ1-epr": "http://…/fhir"}}`, when
all listen; it ends when its standard input is closed, so that it never outlives whoever started it.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from broker.demo.world.organisations import DOWN, ORGANISATIONS
from broker.demo.world.records import fill
from broker.demo.world.server import FhirServer
from broker.demo.world.stories import STORIES

__all__ = ["World", "main", "open_world"]

HOST = "127.0.0.1"


class Server:
    """One source on its port, which it keeps while it is down."""

    def __init__(self, app: web.Application, bound: socket.socket) -> None:
        self._app = app
        self._bound = bound
        self._port: int = bound.getsockname()[1]
        self._runner: web.AppRunner | None = None

    async def revive(self) -> None:
        """Listen. Does nothing where it listens already."""
        if self._runner is None:
            self._runner = web.AppRunner(self._app, access_log=None)
            await self._runner.setup()
            await web.SockSite(self._runner, self._bound).start()

    async def stop(self) -> None:
        """Refuse connections, from now on."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self._bound = bind(self._port)

    async def close(self) -> None:
        """For good."""
        await self.stop()
        self._bound.close()


@dataclass(frozen=True, slots=True)
class World:
    """Where everything is.

    Attributes:
        control: address of the door: `POST {control}/stop/{source}` and `POST {control}/revive/{source}`, where an
            ODS code stands for all sources of an organisation.
        sources: source to the base address of its server.
    """

    control: str
    sources: Mapping[str, str]


def bind(port: int = 0) -> socket.socket:
    """A socket that holds a port without listening, so that connections to it are refused."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound


@contextlib.asynccontextmanager
async def open_world(*, down: tuple[str, ...] = (DOWN,), hurry: bool = False) -> AsyncIterator[World]:
    """Every source listening but those that are down, and the control door. `hurry`: none of them takes its time."""
    servers: dict[str, Server] = {}
    bases: dict[str, str] = {}
    async with contextlib.AsyncExitStack() as stack:
        for organisation in ORGANISATIONS:
            for site in organisation.sites:
                source = organisation.source(site)
                bound = bind()
                bases[source] = f"http://{HOST}:{bound.getsockname()[1]}/fhir"
                habits = replace(site.habits, delay=0.0) if hurry else site.habits
                app = FhirServer(replace(site, habits=habits), fill(organisation, site, STORIES), bases[source]).app()
                servers[source] = Server(app, bound)
                stack.push_async_callback(servers[source].close)
                if source not in down:
                    await servers[source].revive()
        door = bind()
        runner = web.AppRunner(control(servers), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, door).start()
        yield World(f"http://{HOST}:{door.getsockname()[1]}", bases)


def control(servers: Mapping[str, Server]) -> web.Application:
    """The door by which somebody at a terminal stops and revives sources."""

    async def act(request: web.Request) -> web.Response:
        action, named = request.match_info["action"], request.match_info["named"]
        chosen = {
            source: server for source, server in servers.items() if named in {source, source.split("-", maxsplit=1)[0]}
        }
        if not chosen:
            raise web.HTTPNotFound(text=f"No such source. There are: {', '.join(servers)}\n")
        for server in chosen.values():
            await (server.revive() if action == "revive" else server.stop())
        return web.Response(text=f"{', '.join(chosen)}: {'answering' if action == 'revive' else 'down'}\n")

    app = web.Application()
    app.add_routes([web.post("/{action:revive|stop}/{named}", act)])
    return app


async def serve() -> None:
    """Open the world, say where it is, and stay until told to go."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, told.set)
    try:
        loop.add_reader(sys.stdin, told.set)
    except (OSError, ValueError):  # a file, /dev/null, or closed
        sys.exit("broker.demo.world: can't see when standard input ends: give it a terminal or a pipe")
    async with open_world() as world:
        sys.stdout.write(json.dumps({"control": world.control, "sources": dict(world.sources)}) + "\n")
        sys.stdout.flush()
        await told.wait()


def main() -> None:
    """Entry of `python -m broker.demo.world`."""
    argparse.ArgumentParser(
        prog="python -m broker.demo.world",
        description="The organisations of the demo alone: FHIR servers on this machine, without a broker. Prints where "
        "they listen as one line of JSON; ends at Ctrl-C, or when standard input closes or anything comes on it.",
        epilog="With a broker before them: broker demo",
    ).parse_args()
    asyncio.run(serve())
