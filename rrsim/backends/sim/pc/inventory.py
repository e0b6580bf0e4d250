"""Everything on the modelled PC that a session could leave behind, as names (rule 7, I7).

Taken before the agent joins and after the end, and compared by :func:`rrsim.machine.inventory.difference`. It looks at
the machine only and never asks the agent.
"""

from __future__ import annotations

from rrsim.backends.sim.pc.state import RIGHT, Autostart, Disk, PcState


def items(state: PcState) -> tuple[str, ...]:
    """Return the sorted names of what stands on the machine now."""
    disk = state.disk
    names = {_name(entry) for entry in disk.entries}
    if disk.record is not None:
        names.add("file:ticket" if disk.record.ticket else "file:record")
    if disk.flag:
        names.add("boot:safeboot=network")
    if disk.safe_key:
        names.add("registry:HKLM/SafeBoot/Network/rragent")
    if state.setup.logon != "by hand":
        names.add("registry:HKLM/Winlogon/AutoAdminLogon")
        names.add("registry:HKLM/Winlogon/DefaultPassword")
    if disk.service:
        names.add("service:rragent")
    if state.going is not None and state.going.cause == "agent":
        names.add("schedule:restart by the agent")
    if state.faults.scheduled:
        names.add("schedule:restart by another program")
    return tuple(sorted(names))


def exposed(disk: Disk) -> tuple[str, ...]:
    """Return where the saved ticket stands in plain sight: a record that everyone can read, a command line (rule 5)."""
    record = disk.record
    if record is None:
        return ()
    found = ["file:ticket"] if disk.readable else []
    if record.ticket:
        found += [f"command line of {_name(entry)}" for entry in disk.entries if record.ticket in entry.command]
    return tuple(found)


def _name(entry: Autostart) -> str:
    owner = f"{entry.hive}({entry.user})" if entry.user not in ("", RIGHT) else entry.hive
    return f"registry:{owner}/{entry.key}/{entry.name}"
