"""Clears away on a host what dead runs left there, and nothing else.

Touched are: domains whose lease has ended, with their volumes; volumes of domains that are gone; ready states and
uploads that were never finished and that nobody is making now. Never touched: live leases, kept machines before their
time, and every domain and volume that is not rrsim's.

Other runners go on meanwhile, so that nothing seen a moment ago need be true now. Why nothing of a live runner goes:

* ``run-UUID-…``: made only while the domain UUID is there, and a UUID is used once. Names are listed *before* domains.
  So a listed file's domain was there before the domains were listed; if it is not among them it has ended, and it never
  comes back. A slot that is claimed later has another UUID, and its files are not among the names.
* ``ready-KEY-…`` and ``base-…``: made only by the holder of their lock, who writes the record, or the mark of a whole
  upload, before giving the lock back. The lists only tell where to look: reap takes the lock itself, without waiting,
  and judges by what is listed under it. Who makes one now has the lock, and it is left; who comes later waits for it.
* Whoever holds a slot may use a whole upload without its lock, and uses it on when its mark is lost: so an upload
  without a mark goes only if, under the lock, no slot is held. Who claims one after that look finds no mark, waits for
  the lock, and uploads anew.
* :func:`clear_images` makes uploads such ones first: under the lock it takes the mark away and then looks for slots. If
  one is held, its holder may have seen the mark, so the file stays and gets its mark back. A ready state goes under the
  locks of its maker and of restores, if no slot is held: who claims one later waits for the restore's lock, and is told
  that the ready state is gone.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from typing import Final

import msgspec

from rrsim.backends.live.vm import lease
from rrsim.backends.live.vm.errors import HostRefused, NoFreeSlot
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.lease import Lease
from rrsim.backends.live.vm.pool import Pool

Holders = dict[str, tuple[str, Lease]]
"""UUID of a domain to its name and lease."""
_LOCK: Final = f"{lease.PREFIX}lock-"
_SLOT: Final = f"{lease.PREFIX}slot-"
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
    ended = {one: pair for one, pair in (await lease.holders(host)).items() if _over(pair[1], kept=kept)}
    failed: list[str] = []
    if not only_list:
        ended = await _remove(host, ended, failed, kept=kept)
    names = await pool.names()  # before the domains: see above
    domains = {one: name for one, name in (await lease.domains(host)).items() if one not in ended}
    left = {one: pair for one, pair in (await lease.holders(host)).items() if one not in ended}
    finished = await pool.names()  # after the domains: who gave a lock back before has written the record
    orphans = _orphans(names, domains, finished)
    if not only_list:
        orphans = await _delete(host, pool, orphans, failed)
    return Reaped(
        domains=tuple(f"{name}: {one.text()}" for name, one in sorted(ended.values(), key=_by_name)),
        volumes=orphans, left=tuple(f"{name}: {one.text()}" for name, one in sorted(left.values(), key=_by_name)),
        images=tuple([await _with_size(pool, name) for name in names if name not in orphans and _is_content(name)]),
        failed=tuple(failed),
    )


async def clear_images(host: Host, pool: Pool | None = None) -> Reaped:
    """Delete every uploaded image and every ready state from a host, unless a machine is in use or kept there.

    Returns:
        What was deleted; with the machines in ``left``, if there are any: what they may use stays.
    """
    pool = pool or await Pool.open(host)
    found = await reap(host, pool)
    if found.left:
        return found
    gone: list[str] = []
    left: set[str] = set()
    for prefix, locks in _groups(await pool.names()).items():
        async with _locks(host, locks) as taken:
            if not taken:
                left.add(f"{prefix}: another runner makes it, or starts a machine from it, at this moment")
                continue
            marks = [name for name in await pool.names() if name.startswith(f"{prefix}.ok-")]
            gone += await _delete_each(pool, marks)
            in_use = [pair for pair in (await lease.holders(host)).values() if pair[0] not in locks]
            if in_use:
                left |= {f"{name}: {one.text()}" for name, one in in_use}
                for mark in marks:
                    await pool.create(mark, 0)
                    gone.remove(mark)
                continue
            gone += await _delete_each(pool, [name for name in await pool.names() if _belongs(name, prefix)])
    images = [await _with_size(pool, name) for name in await pool.names() if _is_content(name)]
    return msgspec.structs.replace(
        found, volumes=(*found.volumes, *gone), left=tuple(sorted(left)), images=tuple(images),
    )


def _over(one: Lease, *, kept: bool) -> bool:
    return one.ended or (kept and one.kept)


async def _remove(host: Host, ended: Holders, failed: list[str], *, kept: bool) -> Holders:
    """Remove domains, each after a last look: its holder may have renewed the lease meanwhile; return which went."""
    gone: Holders = {}
    for domain_uuid, (name, _) in ended.items():
        try:
            now = (await lease.holders(host)).get(domain_uuid)
            if now is None or not _over(now[1], kept=kept):
                continue
            if await lease.remove_domain(host, domain_uuid):
                gone[domain_uuid] = now
        except HostRefused as error:
            failed.append(f"{name}: {error}")
    return gone


async def _delete(host: Host, pool: Pool, orphans: tuple[str, ...], failed: list[str]) -> tuple[str, ...]:
    """Delete what has no owner; what others make from is judged again under its lock. Returns what was deleted."""
    gone: list[str] = []

    async def each(names: Iterable[str]) -> None:
        for name in names:
            try:
                gone.extend(await _delete_each(pool, [name]))
            except HostRefused as error:
                failed.append(f"{name}: {error}")

    await each(name for name in orphans if _RUN.fullmatch(name))
    for prefix, locks in _groups(orphans).items():
        async with _locks(host, locks) as taken:
            if taken:
                there = await pool.names()
                others = {one: name for one, name in (await lease.domains(host)).items() if name not in locks}
                await each(name for name in _orphans(there, others, there) if _belongs(name, prefix))
    return tuple(gone)


async def _delete_each(pool: Pool, names: list[str]) -> list[str]:
    """Delete volumes and return which were there; a record goes before what it vouches for."""
    return [name for name in sorted(names, reverse=True) if await pool.delete(name)]


@contextlib.asynccontextmanager
async def _locks(host: Host, names: tuple[str, ...]) -> AsyncIterator[bool]:
    """Hold these locks, if nobody else holds any of them; nobody is waited for."""
    async with contextlib.AsyncExitStack() as held:
        try:
            for name in names:
                await held.enter_async_context(lease.lock(host, name.removeprefix(_LOCK), wait_s=0))
        except NoFreeSlot:
            yield False
            return
        yield True


def _groups(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return what each image and ready state among the names begins with, and the locks of its maker and its users."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        if match := _READY.fullmatch(name):
            found[match[1]] = (f"{_LOCK}make-{match[2]}", f"{_LOCK}restore-{match[1]}")
        elif match := _BASE.fullmatch(name):
            found[match[1]] = (f"{_LOCK}{match[1]}",)
    return found


def _belongs(name: str, prefix: str) -> bool:
    match = _READY.fullmatch(name) or _BASE.fullmatch(name)
    return match is not None and match[1] == prefix


def _orphans(names: tuple[str, ...], domains: dict[str, str], finished: tuple[str, ...]) -> tuple[str, ...]:
    """Return the volumes without an owner.

    Args:
        names: the volumes.
        domains: UUID to name of every domain that was there afterwards, whosesoever.
        finished: the volumes after that: what says that a ready state or an upload is whole.
    """
    there = set(domains.values())
    in_use = any(name.startswith(_SLOT) for name in there)
    whole = {match[1] for name in finished if (match := _READY.fullmatch(name)) and match[3] == "record"}
    whole |= {match[1] for name in finished if (match := _BASE.fullmatch(name)) and match[2]}
    found = []
    for name in names:
        if match := _RUN.fullmatch(name):
            orphan = match[1] not in domains
        else:
            orphan = any(
                prefix not in whole and not there.intersection(locks) and not (in_use and _BASE.fullmatch(name))
                for prefix, locks in _groups((name,)).items()
            )
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
