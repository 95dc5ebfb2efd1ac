"""`rrdns serve`: from settings to running processes."""

from __future__ import annotations

import gc
import importlib
import os
import secrets
import socket
import sys
from functools import partial
from pathlib import Path

from rrdns.config import DnsSettings, Settings
from rrdns.config.settings import DEFAULT_DNS
from rrdns.core.model import Endpoint
from rrdns.core.rate_limit import RateLimitState
from rrdns.errors import ListenersFailed, ListenFailed, RrdnsError
from rrdns.net.rlimits import raise_descriptor_limit
from rrdns.net.server.sockets import bind_tcp, bind_udp
from rrdns.service.processes import worker
from rrdns.service.processes.store_lock import StoreLock
from rrdns.service.processes.supervisor import EXIT_CONFIG, Child, Main, Supervisor
from rrdns.service.processes.worker import WorkerParams
from rrdns.service.runtime import log_setup, privileges
from rrdns.service.runtime.applied_config import AppliedConfig, anonymous_file
from rrdns.service.runtime.heartbeat import Heartbeat
from rrdns.service.runtime.log_setup import get_log, set_up
from rrdns.service.runtime.log_writer import DropCounters
from rrdns.service.runtime.served_zones import ServedZones
from rrdns.service.runtime.state_files import last_good_path
from rrdns.shm.counters import Counters
from rrdns.shm.rotation_counter import RotationCounters
from rrdns.shm.shared_rotation import SharedRotationCounters, shared_rate_buckets
from rrdns.web.transport.tls import make_context
from rrdns.wire.dns.cookies import KEY_BYTES, CookieKeys
from rrdns.wire.dns.server_info import ServerInfo

WORKER_HANGS_AFTER = 3.0  # seconds without a heartbeat; a heartbeat is due each half second
CONTROL_HANGS_AFTER = 10.0
# Each probe has a socket, and a silent member keeps it for the time-out: with a shell's usual 1,024
# the loss of one rack would leave none for members that are well, and take them out.
MAX_DESCRIPTORS = 65_536


def run(settings: Settings, path: Path) -> int:
    """Serve until SIGTERM; return the exit status.

    Raises:
        ListenersFailed, PrivilegeDropFailed, StoreInUse, TlsConfigError: the service cannot start.
    """
    count = settings.dns.workers or len(os.sched_getaffinity(0))
    drops = DropCounters(("supervisor", "control", *(f"worker-{n}" for n in range(count))))
    set_up(settings.log.format, settings.log.level, "supervisor", drops)
    raise_descriptor_limit(MAX_DESCRIPTORS)
    tcp, udp, api = _bind_all(settings, count)
    children = _children(settings, path, drops, tcp, udp, api)
    store = None if settings.store.backend == "memory" else settings.store.path
    account = privileges.prepare_state_folder(settings.process.user, settings.process.group, store)
    lock = StoreLock(store) if store is not None else None
    with privileges.acting_as(account):
        if lock is not None:
            lock.take()
        if settings.api.tls_cert is not None and settings.api.tls_key is not None:
            # Read as the user who reads it at each reload: better no start than no API then.
            make_context(settings.api.tls_cert, settings.api.tls_key)
    get_log().info(
        "serving",
        dns=[str(Endpoint(*sock.getsockname()[:2])) for sock in tcp],
        api=str(settings.api.listen),
        workers=len(children) - 1,
        pools=len(settings.pools),
    )
    gc.collect()
    gc.freeze()  # what all processes share stays shared
    return Supervisor(
        children,
        enter=partial(privileges.drop_privileges, account),
        prepare=partial(_prepare_control, account),
        job=lock.keep if lock is not None else None,
    ).run()


def _prepare_control(account: privileges.Account) -> None:
    """Load what the control process alone needs, and drop the rights of this process.

    The workers answer meanwhile: loading takes longer than all that they wait for. It is done in
    this process, so that a control process is back at once, and before the rights are dropped,
    since the user may be unable to read the files of the interpreter.
    """
    importlib.import_module("rrdns.service.control.process")
    gc.collect()
    gc.freeze()
    log_setup.pause()  # capabilities are a thread's: another one would keep what this one gives up
    privileges.drop_privileges(account)
    log_setup.go_on()


def _children(
    settings: Settings,
    path: Path,
    drops: DropCounters,
    tcp: tuple[socket.socket, ...],
    udp: list[tuple[socket.socket, ...]],
    api: socket.socket,
) -> list[Child]:
    """Return the processes, each with what it does with its own sockets."""
    count = len(udp)
    feed, feed_address = _bind_feed()
    rotation = SharedRotationCounters() if count > 1 else RotationCounters()
    server_info = _server_info(settings.dns)
    limits = settings.dns.rate_limit
    quota = RateLimitState(limits, shared_rate_buckets()) if limits is not None else None
    applied = AppliedConfig(anonymous_file())
    counters = tuple(Counters(rotation=rotation) for _ in range(count))
    slots = AppliedConfig(anonymous_file())
    served = ServedZones(settings.zones)
    log = settings.log

    def control_main(restarted: bool) -> Main:
        from rrdns.service.control import process

        set_up(log.format, log.level, "control", drops)
        plan = process.ControlParams(
            settings, path, applied, feed, api, counters, slots, restarted, drops.totals, served
        )
        return partial(_guarded, partial(process.main, plan))

    def worker_main(number: int, restarted: bool) -> Main:
        set_up(log.format, log.level, f"worker-{number}", drops)
        plan = WorkerParams(
            number=number,
            udp=udp[number],
            tcp=tcp,
            limits=settings.dns.tcp,
            feed=feed_address,
            snapshot_path=last_good_path(settings),
            served=served,
            counters=counters[number],
            server_info=server_info,
            rate_limit=quota,
            restarted=restarted,
        )
        return partial(worker.main, plan)

    workers = [
        Child(f"worker-{number}", partial(worker_main, number), WORKER_HANGS_AFTER, early=True)
        for number in range(count)
    ]
    return [*workers, Child("control", control_main, CONTROL_HANGS_AFTER)]


def _bind_all(
    settings: Settings, count: int
) -> tuple[tuple[socket.socket, ...], list[tuple[socket.socket, ...]], socket.socket]:
    """Bind DNS over TCP, DNS over UDP for each of `count` workers, and the API.

    Raises:
        ListenersFailed: some addresses cannot be bound; each is named once.
    """
    free = settings.dns.freebind
    failures: list[ListenFailed] = []
    tcp: list[socket.socket] = []
    udp: list[list[socket.socket]] = [[] for _ in range(count)]
    for endpoint in settings.dns.listen:
        bound: list[socket.socket] = []  # TCP, then UDP for each worker
        try:
            bound.append(bind_tcp(endpoint, freebind=free))
            for _ in range(count):
                bound.append(bind_udp(endpoint, reuse_port=count > 1, freebind=free))  # noqa: PERF401 - those before a failure are closed
        except ListenFailed as failure:
            _close(bound)
            if settings.dns.listen == DEFAULT_DNS and endpoint.host == "::" and failure.is_absent:
                get_log().warning(
                    "DNS is not served over IPv6",
                    because=f"this host has no IPv6, so {endpoint} is left out",
                    so='[dns] listen = ["0.0.0.0:53"] says so in the config',
                )
            else:
                failures.append(failure)
            continue
        tcp.append(bound[0])
        for ours, sock in zip(udp, bound[1:], strict=True):
            ours.append(sock)
    try:
        api = bind_tcp(settings.api.listen, what="the admin API")
    except ListenFailed as failure:
        failures.append(failure)
    if failures:
        _close([*tcp, *(sock for ours in udp for sock in ours)])
        raise ListenersFailed(tuple(failures))
    return tuple(tcp), [tuple(ours) for ours in udp], api


def _close(socks: list[socket.socket]) -> None:
    for sock in socks:
        sock.close()


def _server_info(dns: DnsSettings) -> ServerInfo:
    """Return what the workers tell of themselves; without a secret they share a new one."""
    cookie_keys = (
        CookieKeys(dns.cookie_secrets or (secrets.token_bytes(KEY_BYTES),)) if dns.cookies else None
    )
    return ServerInfo(
        nsid=dns.nsid.encode(),
        chaos_id=dns.chaos.id,
        chaos_version=dns.chaos.version,
        cookie_keys=cookie_keys,
        tcp_idle=dns.tcp.idle,
    )


def _guarded(main: Main, heartbeat: Heartbeat, parent_pipe: int) -> None:
    """Run a child whose start may be hopeless, and say why."""
    try:
        main(heartbeat, parent_pipe)
    except RrdnsError as error:
        get_log().critical("cannot go on", because=str(error))
        sys.exit(EXIT_CONFIG)


def _bind_feed() -> tuple[socket.socket, str]:
    """Listen for workers on an abstract Unix socket: it leaves nothing behind (unix(7))."""
    address = f"\0rrdns-{secrets.token_hex(16)}"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(address)
    sock.listen(64)
    return sock, address
