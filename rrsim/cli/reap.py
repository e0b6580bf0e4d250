"""``rrsim reap``: what killed live runs left on this computer, and on hosts of virtual machines, is cleared away."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec

from rrsim.cli.errors import environment_error, say
from rrsim.cli.exit_codes import HARNESS, OK
from rrsim.report import json_out
from rrsim.report.phrases import plural

if TYPE_CHECKING:
    from rrsim.backends.live.vm.reap import Reaped


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    format: str = "text"
    uri: str = ""
    """Host of virtual machines; empty: this computer's libvirt, if there is one."""
    kept: bool = False
    """Also machines that were kept to be looked at."""
    only_list: bool = False
    """Change nothing on the host of virtual machines, and say what is there."""
    images: bool = False
    """Also the images and kept states that later runs would start from, if no machine is in use."""


def reap(wanted: Wanted) -> int:
    """Clear away every run whose owner is gone, and every machine whose lease is over, and print what that was.

    Raises:
        CommandError: the packages for live runs are not installed, so there cannot have been any.
    """
    try:
        from rrsim.backends.live import state
    except ImportError as error:
        raise environment_error(
            "the packages for live runs", f"no module {error.name}", "pip install 'rrsim[live]'"
        ) from None
    gone = state.Reaped() if wanted.only_list else state.reap()
    host, why = _host(wanted)
    found: dict[str, Any] = {
        "runs": list(gone.runs), "machines": list(gone.machines), "processes": gone.processes,
        "host": msgspec.to_builtins(host) if host is not None else None, "host_not_looked_at": why,
    }
    if wanted.format == "json":
        print(json_out.dumps(found))
    else:
        _print_runs(gone, str(state.runs_home()))
        _print_host(host, why, only_list=wanted.only_list)
    return HARNESS if (host is not None and host.failed) or (why and wanted.uri) else OK


def _host(wanted: Wanted) -> tuple[Reaped | None, str]:
    """Return what was found on the host of virtual machines, or why nobody looked."""
    if find_spec("libvirt") is None:
        return None, "libvirt's binding for Python is not installed"
    from rrsim.backends.live.vm.errors import VmError

    try:
        return asyncio.run(_on_host(wanted)), ""
    except VmError as error:
        return None, str(error)


async def _on_host(wanted: Wanted) -> Reaped:
    from rrsim.backends.live.vm.host import Host
    from rrsim.backends.live.vm.reap import clear_images
    from rrsim.backends.live.vm.reap import reap as reap_host

    host = await Host.open(wanted.uri)
    try:
        if wanted.images and not wanted.only_list:
            return await clear_images(host)
        return await reap_host(host, kept=wanted.kept, only_list=wanted.only_list)
    finally:
        await host.close()


def _print_runs(gone: Any, home: str) -> None:
    if not gone.runs:
        print(f"nothing to clear away under {home}")
        return
    others = f"{gone.processes} other {'process' if gone.processes == 1 else 'processes'}"
    print(f"cleared away {plural(len(gone.runs), 'run')}, {plural(len(gone.machines), 'machine')} and {others}:")
    for name in (*gone.runs, *gone.machines):
        print(f"  {name}")


def _print_host(host: Reaped | None, why: str, *, only_list: bool) -> None:
    if host is None:
        say(f"virtual machines were not looked at: {why}")
        return
    verb = "would be removed" if only_list else "removed"
    for title, lines in (
        (f"virtual machines whose lease is over, {verb}", host.domains), (f"files, {verb}", host.volumes),
        ("in use or kept", host.left), ("could not be removed", host.failed),
    ):
        if lines:
            print(f"{title}:")
            for line in lines:
                print(f"  {line}")
    if only_list:
        for line in host.images:
            print(f"  kept for later runs: {line}")
    if not (host.domains or host.volumes or host.left or host.failed):
        print("no virtual machine of rrsim's is on the host")
