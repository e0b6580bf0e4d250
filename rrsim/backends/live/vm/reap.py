"""Clears away on a host what dead runs left there, and nothing else.

Touched are: domains whose lease has ended, with their volumes; volumes of domains that are gone; ready states and
uploads that were never finished and that nobody is making now. Never touched: live leases, kept machines before their
time, and every domain and volume that is not rrsim's.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from rrsim.backends.live.vm import lease
from rrsim.backends.live.vm.errors import HostRefused
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.lease import Lease
from rrsim.backends.live.vm.pool import Pool

_RUN: Final = re.compile(r"run-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-.+")
_READY: Final = re.compile(r"(ready-([0-9a-f]+)-[0-9a-f]{8})-(.+)")
_BASE: Final = re.compile(r"(base-[0-9a-f]+-.+?)(\.ok-[0-9.]+)?")


class Reaped(msgspec.Struct, frozen=True):
    """What was found on a host."""

    domains: tuple[str, ...] = ()
    """Domains that were removed, with what their lease said."""
    volumes: tuple[str, ...] = ()
    """Volumes that were deleted."""
    left: tuple[str, ...] = ()
    """Machines and locks that are in use or kept, with what their lease says."""
    images: tuple[str, ...] = ()
    """Files of images and ready states that are kept for later runs, with their size."""
    failed: tuple[str, ...] = ()
    """What could not be removed, and why."""


async def reap(host: Host, pool: Pool | None = None, *, kept: bool = False, only_list: bool = False) -> Reaped:
    """Remove what has no owner any more.

    Args:
        host: where.
        pool: its pool; found by itself if not given.
        kept: remove machines too that were kept on purpose.
        only_list: change nothing and say what would be removed.
    """
    pool = pool or await Pool.open(host)
    held = await lease.holders(host)
    ended = {one: pair for one, pair in held.items() if _over(pair[1], kept=kept)}
    left = {one: pair for one, pair in held.items() if one not in ended}
    failed: list[str] = []
    if not only_list:
        for domain_uuid, (name, _) in ended.items():
            try:
                await _remove(host, domain_uuid, kept=kept)
            except HostRefused as error:
                failed.append(f"{name}: {error}")
    names = await pool.names()
    orphans = _orphans(names, {one: name for one, (name, _) in left.items()})
    if not only_list:
        for name in orphans:
            try:
                await pool.delete(name)
            except HostRefused as error:
                failed.append(f"{name}: {error}")
    return Reaped(
        domains=tuple(f"{name}: {one.text()}" for name, one in sorted(ended.values(), key=_by_name)),
        volumes=orphans, left=tuple(f"{name}: {one.text()}" for name, one in sorted(left.values(), key=_by_name)),
        images=tuple([await _with_size(pool, name) for name in names if name not in orphans and _is_content(name)]),
        failed=tuple(failed),
    )


async def clear_images(host: Host, pool: Pool | None = None) -> Reaped:
    """Delete every uploaded image and every ready state from a host, unless a machine is in use or kept there.

    Returns:
        What was deleted; nothing, with the machines in ``left``, if there are any.
    """
    pool = pool or await Pool.open(host)
    found = await reap(host, pool)
    if found.left:
        return found
    gone = [name for name in await pool.names() if _READY.fullmatch(name) or _BASE.fullmatch(name)]
    for name in gone:
        await pool.delete(name)
    return msgspec.structs.replace(found, volumes=(*found.volumes, *gone), images=())


def _over(one: Lease, *, kept: bool) -> bool:
    return one.ended or (kept and one.kept)


async def _remove(host: Host, domain_uuid: str, *, kept: bool) -> None:
    """Remove a domain, after a last look: its holder may have renewed the lease meanwhile."""
    now = (await lease.holders(host)).get(domain_uuid)
    if now is not None and _over(now[1], kept=kept):
        await lease.remove_domain(host, domain_uuid)


def _orphans(names: tuple[str, ...], live: dict[str, str]) -> tuple[str, ...]:
    """Volumes without an owner. ``live``: UUID to name of the domains that are in use."""
    locks = {name.removeprefix(f"{lease.PREFIX}lock-") for name in live.values()}
    finished = {match[1] for name in names if (match := _READY.fullmatch(name)) and match[3] == "record"}
    proved = {match[1] for name in names if (match := _BASE.fullmatch(name)) and match[2]}
    found = []
    for name in names:
        if match := _RUN.fullmatch(name):
            orphan = match[1] not in live
        elif match := _READY.fullmatch(name):
            orphan = match[1] not in finished and f"make-{match[2]}" not in locks
        elif match := _BASE.fullmatch(name):
            orphan = match[1] not in proved and match[1] not in locks
        else:
            orphan = False
        if orphan:
            found.append(name)
    return tuple(found)


def _is_content(name: str) -> bool:
    base = _BASE.fullmatch(name)
    return bool(base and not base[2]) or bool(_READY.fullmatch(name) and not re.search(r"-proved-|-record$", name))


async def _with_size(pool: Pool, name: str) -> str:
    volume = await pool.look_at(name)
    return f"{name}: {volume.allocated_bytes / (1 << 20):.0f} MiB" if volume is not None else f"{name}: gone"


def _by_name(pair: tuple[str, Lease]) -> str:
    return pair[0]
