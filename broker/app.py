"""The broker as one application: every room opened in order, and closed in the opposite one."""

import asyncio
import logging
import math
import resource
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from adapters.auth import AuthNotUsable
from adapters.contract import Adapter
from adapters.kinds import load_kind
from adapters.transport import Transport
from broker.alerts import Alerting, Receiver, Undecided, read_secrets
from broker.auth import Authenticator, Issuer, Refusals
from broker.clock import london_today
from broker.collector import collecting
from broker.errors import ConfigurationError, JournalUnavailable
from broker.identity import FileIdentity, IdentityService, NoIdentity, PdsIdentity
from broker.journal import Journal
from broker.keys import Keys
from broker.lookup import Limits, LookupService, Quota, Quotas, SparedIdentity
from broker.objections import Known, Letter, ObjectionIndex, ObjectionRegister
from broker.registry import Registry, RegistryWatch, unknown_services
from broker.settings import AlertSettings, IssuerSettings, LimitSettings, Settings
from broker.store import open_store
from broker.surfaces import add_surfaces, rooms
from broker.surfaces.callers import REPEATS, Repeats, record_outstanding
from broker.surfaces.door import Door, backlog, most_connections
from broker.surfaces.objections import Counting
from broker.surfaces.operations import Operation, forwarding_logger, log, log_to_stderr, take_over
from policies import Policies, check_set

__all__ = [
    "check_policies",
    "create_app",
    "identity_service",
    "issuers",
    "known_to_objections",
    "load_policies",
    "node_name",
    "open_journal",
    "running",
    "serve",
]

_LAST_WORDS: Final = 2.0
"""Seconds beyond the grace time in which those that were closed hear of it."""

_OF_THE_DEADLINE: Final = 0.25
"""Share of a lookup's time that the national identity service gets: sources must have theirs without it."""

_OWN_FILES: Final = 64
"""Open files that the journal, the store and the process itself need."""

_SERVICE: Final = web.AppKey("service", LookupService)
_log = logging.getLogger(__name__)


def create_app(settings: Settings) -> web.Application:
    """The application, not started. Its start raises `ConfigurationError` for whatever stops it."""
    app = web.Application()
    app[rooms.SETTINGS] = settings
    add_surfaces(app)
    app.cleanup_ctx.append(_rooms)
    return app


@asynccontextmanager
async def running(settings: Settings, hurry: asyncio.Event | None = None) -> AsyncIterator[str]:
    """The service, listening while inside; gives the address at which it does (of the port given where it was 0).

    Left, it goes on listening for as long as lookups are finished, so that whoever comes is told to go elsewhere.

    Args:
        settings: the configuration.
        hurry: set where the grace time is not to be waited for.

    Raises:
        ConfigurationError: the configuration has a fault, or somebody else listens there.
    """
    log_to_stderr()
    app = create_app(settings)
    async with _listening(app, shutdown_timeout=_LAST_WORDS) as runner:
        listen = settings.server.listen
        try:
            await web.TCPSite(runner, listen.host, listen.port, backlog=backlog()).start()
        except OSError as error:
            words = f"[server] listen: can't listen there ({error.strerror}): write another address"
            raise ConfigurationError(settings.file, words) from None
        port = runner.addresses[0][1]
        try:
            yield f"http://{type(listen)(listen.host, port)}"
        finally:
            await app[_SERVICE].close(hurry)


@asynccontextmanager
async def _listening(app: web.Application, *, shutdown_timeout: float) -> AsyncIterator[web.BaseRunner]:
    """`app` with every room open, behind its door; left, the requests end first and then the rooms."""
    rooms_open = web.AppRunner(app)
    await rooms_open.setup()
    try:
        if rooms_open.server is None:
            raise RuntimeError
        door = Door(rooms_open.server, most_connections(), access_log=None, logger=forwarding_logger("aiohttp.server"))
        runner = web.ServerRunner(door, shutdown_timeout=shutdown_timeout)
        await runner.setup()
        try:
            yield runner
        finally:
            await runner.cleanup()
    finally:
        await rooms_open.cleanup()


async def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; then end in order, at a second one in a hurry."""
    take_over()
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    async with running(settings, hurry) as address, collecting():
        log(Operation.STARTED, listening=address)
        await stop.wait()
        log(Operation.STOPPING)
    log(Operation.STOPPED)


async def _rooms(app: web.Application) -> AsyncIterator[None]:
    """Open every room. What fails half way closes those that were open already."""
    settings = app[rooms.SETTINGS]
    async with AsyncExitStack() as house:
        registry = Registry.load(settings.organisations.directory, settings=settings)
        policies = load_policies(settings)
        if faults := unknown_services(registry, policies.tables.excluded_services):
            raise faults[0]
        authenticator = Authenticator(issuers(settings, registry), settings.server.public_url)
        await house.enter_async_context(authenticator)
        keys = Keys.open(settings.audit.keys)
        journal = await open_journal(settings, keys)
        house.push_async_callback(journal.close)
        store = await open_store(settings.store.url, settings.audit.keys)
        house.push_async_callback(store.dispose)
        alerts = Alerting(journal, store, node=node_name(), receiver=_receiver(settings.alerts))
        await house.enter_async_context(alerts)
        lead = settings.objections.lead_controller
        policies.on_undecidable = Undecided(alerts, to=() if lead is None else (lead,))
        objections = await house.enter_async_context(ObjectionIndex(store, keys, max_age=settings.objections.max_age))
        pool = Transport(connections=_connections(settings), in_flight=settings.lookup.memory)
        transport = await house.enter_async_context(pool)
        identity = identity_service(settings, transport)
        lookups = LookupService(
            registry=registry,
            policies=policies,
            identity=identity,
            objections=objections,
            journal=journal,
            keys=keys,
            adapters=_adapters(registry, transport),
            limits=Limits(
                deadline=settings.lookup.deadline,
                practices_if_unknown=settings.lookup.practices_if_unknown,
                concurrency=settings.lookup.concurrency,
                memory=settings.lookup.memory,
                grace=settings.server.grace,
            ),
            quotas=_quotas(settings.limits),
            today=london_today,
            alerts=alerts,
            lead=lead,
        )
        house.push_async_callback(lookups.close)

        refusals = Refusals()
        repeats = Repeats(journal)
        house.push_async_callback(record_outstanding, journal, refusals, repeats)
        app[rooms.REGISTRY] = registry
        app[rooms.POLICIES] = policies
        app[rooms.AUTHENTICATOR] = authenticator
        app[rooms.JOURNAL] = journal
        app[rooms.KEYS] = keys
        app[rooms.OBJECTIONS] = objections
        app[rooms.REGISTER] = ObjectionRegister(
            store,
            keys,
            Counting(journal, repeats),
            policies,
            lead_controller=settings.objections.lead_controller,
            known=known_to_objections(settings, registry, policies),
            letter=Letter.load(settings.objections.letter),
        )
        app[rooms.REFUSALS] = refusals
        app[REPEATS] = repeats
        app[rooms.LOOKUPS] = app[_SERVICE] = lookups
        for notice in policies.notices:
            log(Operation.NOTICE, message=notice)
        await house.enter_async_context(RegistryWatch(registry, settings, alerts))
        yield


def _adapters(registry: Registry, transport: Transport) -> dict[str, Adapter]:
    """The adapter of each source of each live organisation, by the source's name."""
    sources = [each.source for organisation in registry.live for each in organisation.sources]
    return {source.name: load_kind(source.kind)(source, transport) for source in sources}


def _receiver(alerts: AlertSettings) -> Receiver | None:
    """Who is told of alerts. Raises `ConfigurationError` where the secret is none."""
    if alerts.webhook is None or alerts.secret_file is None:
        return None
    return Receiver(url=alerts.webhook, secrets=read_secrets(alerts.secret_file))


def _quotas(limits: LimitSettings) -> Quotas:
    return Quotas(
        user=Quota(per_minute=limits.user_per_minute, at_once=limits.user_at_once),
        organisation=Quota(per_minute=limits.organisation_per_minute, at_once=limits.organisation_at_once),
        unconfirmed=limits.unconfirmed_per_user,
    )


def _connections(settings: Settings) -> int:
    """Requests at once to all sources, of which each needs an open file. The door leaves half of the files to them."""
    wanted = settings.lookup.connections
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY or wanted <= files // 2 - _OWN_FILES:
        return wanted
    usable = max(1, files // 2 - _OWN_FILES)
    _log.warning(
        "[lookup] connections: this process may not open %d: %d are used. Raise its limit (ulimit -n %d).",
        wanted,
        usable,
        2 * (wanted + _OWN_FILES),
    )
    return usable


def load_policies(settings: Settings) -> Policies:
    """The policy set that the configuration names, whole, and deciding as its scenarios expect.

    Raises:
        ConfigurationError: the first fault; `check_policies` tells them all.
    """
    policies, faults = check_policies(settings)
    if faults or policies is None:
        raise faults[0]
    return policies


def check_policies(settings: Settings) -> tuple[Policies | None, list[ConfigurationError]]:
    """The policy set that the configuration names, and every fault of it that can be told."""
    directory = settings.policies.directory
    policies, faults = check_set(directory)
    place = directory or Path("policies")
    return policies, [ConfigurationError(place / each.file, each.message, line=each.line) for each in faults]


def identity_service(settings: Settings, transport: Transport | None = None) -> IdentityService:
    """The identity service that the configuration names, checked; without a transport that is all that can be done.

    Raises:
        ConfigurationError: it could not be asked.
    """
    declared = settings.identity
    if declared.kind == "file" and declared.directory is not None:
        identity = FileIdentity(declared.directory, today=london_today)
        identity.check()
        return identity
    if declared.kind != "pds" or declared.base_url is None:
        return NoIdentity()
    timeout = min(declared.timeout or math.inf, settings.lookup.deadline * _OF_THE_DEADLINE)
    try:
        service = PdsIdentity(
            transport or Transport(),
            base_url=declared.base_url,
            auth=declared.auth,
            timeout=timeout,
            organisation=declared.organisation,
            connections=settings.lookup.concurrency,
            today=london_today,
        )
    except AuthNotUsable as fault:
        raise ConfigurationError(settings.file, f"[identity] auth: {fault}") from None
    return SparedIdentity(service, base_url=declared.base_url, timeout=timeout)


def issuers(settings: Settings, registry: Registry) -> list[Issuer]:
    """Everybody whose tokens count: the operator's issuers, then each organisation's."""
    operator = [_issuer(each, None, settings.file) for each in settings.issuers]
    return [
        *operator,
        *(
            _issuer(each.issuer, each.ods_code, each.file)
            for each in registry.organisations.values()
            if each.issuer is not None
        ),
    ]


def known_to_objections(settings: Settings, registry: Registry, policies: Policies) -> Known:
    """What a patient's objection may name."""
    return Known(
        organisations={code: each.name for code, each in registry.organisations.items()},
        categories=policies.tables.categories,
        issuers=frozenset(each.iss for each in issuers(settings, registry)),
    )


def node_name() -> str:
    """This machine, as records of the journal name it."""
    return (
        "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in socket.gethostname()) or "node"
    )


async def open_journal(settings: Settings, keys: Keys) -> Journal:
    """The journal, opened for writing by this process. Raises `ConfigurationError` where it can't be."""
    try:
        return await Journal.open(settings.audit.directory, keys, node=node_name())
    except JournalUnavailable as fault:
        raise ConfigurationError(settings.audit.directory, fault.message) from None


def _issuer(declared: IssuerSettings, organisation: str | None, file: object) -> Issuer:
    return Issuer(
        iss=declared.iss,
        organisation=organisation,
        jwks_url=declared.jwks_url,
        jwks_file=declared.jwks_file,
        demo=declared.demo,
        declared_in=str(file),
    )
