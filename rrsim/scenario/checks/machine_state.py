"""I6, I7: what is left of us on the customer's PC once the session is over."""

from __future__ import annotations

from typing import ClassVar, Final

from rrsim.machine import observations as seen
from rrsim.machine.inventory import MISSING, difference
from rrsim.protocol import records as r
from rrsim.scenario.checks.base import Check, Context, Hears, clock
from rrsim.scenario.tracker import customer_of_source
from rrsim.scenario.witness import removes

_FLAG: Final = "boot:safeboot"
_ADDS: Final = frozenset({
    "ticket saved", "intent saved", "record saved", "autostart armed", "safe boot key registered", "boot flag set",
})  # fmt: skip


class LeavesSafeMode(Check):
    """I6: the PC is not left in safe mode by us. The harness's own restart at the end shows the next boot.

    A PC whose owner had set the flag before the session is not judged: that flag stays (rule 7). If no boot since our
    flag was set came so far that anybody could clear it (the PC was off, lost power while Windows was loading, or
    waited for a secret, until the session was over), safe mode is what the harness's boot must be: then the boot after
    it has to be normal. *So far* means that a desktop was up, or that a call of the agent's returned; a boot
    that nothing cut short had its chance, even if it hung (SM-15).
    """

    __slots__ = ("_booted_at", "_chance_at", "_down_at", "_first", "_macs", "_owners", "_probed", "_set_at")
    name: ClassVar[str] = "I6"
    needs: ClassVar[tuple[str, ...]] = ("server", "pc", "boot began")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._owners: set[int] = set()
        self._probed: set[int] = set()
        self._first: set[int] = set()
        """Customers whose PC was probed into the first boot that could be of use since our flag was set."""
        self._macs: set[int] = set()
        self._set_at: dict[int, int] = {}
        self._booted_at: dict[int, int] = {}
        self._chance_at: dict[int, int] = {}
        self._down_at: dict[int, int] = {}

    def _inventory(self, at: int, t_us: int, source: str, event: seen.InventoryTaken) -> None:
        if not any(item.startswith(_FLAG) for item in event.items):
            return
        if event.label == "before":
            self._owners.add(customer_of_source(source))
        elif customer_of_source(source) in self._first:
            self._left(at, t_us, source, "the flag still set")

    def _called(self, at: int, _t: int, source: str, event: seen.HostCall) -> None:
        customer = customer_of_source(source)
        if event.verb == "boot flag set" and event.ok:
            self._set_at[customer] = at
        elif self._booted_at.get(customer, -1) > self._set_at.get(customer, -1):
            self._chance_at[customer] = at

    def _phase(self, at: int, _t: int, source: str, event: seen.PhaseBegan) -> None:
        customer = customer_of_source(source)
        if event.phase == "desktop" and self._booted_at.get(customer, -1) > self._set_at.get(customer, -1):
            self._chance_at[customer] = at

    def _joined(self, _at: int, _t: int, _source: str, record: r.EndpointJoined) -> None:
        if record.platform == "mac":
            self._macs.add(self.context.tracker.track(record.session).customer)

    def _booted(self, at: int, t_us: int, source: str, event: seen.BootBegan) -> None:
        customer = customer_of_source(source)
        if event.cause != "probe":
            self._booted_at[customer] = at
            return
        self._probed.add(customer)
        if not event.safe_mode or customer in self._owners:
            return
        still = [track.session for track in self.context.tracker.of_customer(customer) if track.over is None]
        if still:
            self.cannot_tell(
                "session not over",
                f"expected every session of customer {customer} to be over before the probe boot at {clock(t_us)}; "
                f"seen: {', '.join(still)} open; check that the run ends its sessions",
                at,
            )
            return
        set_at, booted_at = self._set_at.get(customer, -1), self._booted_at.get(customer, -1)
        cut_short = booted_at < max(set_at, self._down_at.get(customer, -1))
        if cut_short and set_at > self._chance_at.get(customer, -1):
            self._first.add(customer)
            return
        self._left(at, t_us, source, "safe mode")

    def _down(self, at: int, _t: int, source: str, event: seen.WentDown) -> None:
        if event.cause != "probe":
            self._down_at[customer_of_source(source)] = at

    def _left(self, at: int, t_us: int, source: str, what: str) -> None:
        self.fail(
            at,
            "left in safe mode",
            f"expected the next boot of {source} after the session's end to be normal; seen: {what} at "
            f"{clock(t_us)}; check who clears the safe-boot flag, and when (rule 7, SM-04)",
        )

    def finish(self) -> None:
        """A PC that was never probed cannot be judged."""
        for customer in range(1, self.context.header.customers + 1):
            if customer not in self._probed and customer not in self._macs:
                self.cannot_tell(
                    "no probe boot",
                    f"expected a probe boot of pc-{customer} at the end; seen: none by {clock(self.context.end_us)}; "
                    "check that the run was not cut short",
                )

    hears: ClassVar[Hears] = {
        seen.InventoryTaken: _inventory,
        seen.HostCall: _called,
        seen.PhaseBegan: _phase,
        seen.WentDown: _down,
        r.EndpointJoined: _joined,
        seen.BootBegan: _booted,
    }


class NoResidue(Check):
    """I7: nothing of ours remains (rule 7): the difference between two inventories of the machine, never our word.

    A program that somebody deletes while its session lives cannot clean up: what remains then is excused, with a note,
    unless the agent added something after the deletion. The same holds for one whose autostart entry somebody deletes,
    if it was gone before the session was over and never started afterwards. Items a scenario lists under
    ``left behind`` are allowed.
    """

    __slots__ = (
        "_added_at", "_after", "_before", "_deleted", "_macs", "_over_at", "_removed", "_started_at", "_stopped_at",
        "_unhooked",
    )  # fmt: skip
    name: ClassVar[str] = "I7"
    needs: ClassVar[tuple[str, ...]] = ("pc", "inventory taken")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._before: dict[int, tuple[str, ...]] = {}
        self._after: dict[int, tuple[int, tuple[str, ...]]] = {}
        self._deleted: dict[int, tuple[int, int]] = {}
        self._removed: set[int] = set()
        """Customers whose PC somebody else took something from: what is missing there is not our doing."""
        self._added_at: dict[int, int] = {}
        self._unhooked: dict[int, int] = {}
        """Customer -> when somebody deleted the autostart entry of a live session's agent."""
        self._started_at: dict[int, int] = {}
        self._stopped_at: dict[int, int] = {}
        self._over_at: dict[int, int] = {}
        self._macs: set[int] = set()

    def _inventory(self, at: int, _t: int, source: str, event: seen.InventoryTaken) -> None:
        customer = customer_of_source(source)
        if event.label == "before":
            self._before.setdefault(customer, event.items)
        else:
            self._after[customer] = (at, event.items)

    def _tampered(self, at: int, t_us: int, source: str, event: seen.MachineTampered) -> None:
        what = event.what.lower()
        track = self.context.session_at(source)
        if not removes(what):
            return
        self._removed.add(customer_of_source(source))
        if "agent" in what and track is not None and track.live:
            self._deleted.setdefault(customer_of_source(source), (at, t_us))
        elif "autostart" in what and track is not None and track.live:
            self._unhooked.setdefault(customer_of_source(source), at)

    def _started(self, at: int, _t: int, source: str, _event: seen.AgentStarted) -> None:
        self._started_at[customer_of_source(source)] = at

    def _stopped(self, at: int, _t: int, source: str, _event: seen.AgentStopped) -> None:
        self._stopped_at[customer_of_source(source)] = at

    def _over(
        self, at: int, _t: int, _source: str, record: r.SessionExpired | r.SessionLost | r.SessionEnded
    ) -> None:
        self._over_at[self.context.tracker.track(record.session).customer] = at

    def _called(self, at: int, _t: int, source: str, event: seen.HostCall) -> None:
        if event.ok and event.verb in _ADDS:
            self._added_at[customer_of_source(source)] = at

    def _joined(self, _at: int, _t: int, _source: str, record: r.EndpointJoined) -> None:
        if record.platform == "mac":
            self._macs.add(self.context.tracker.track(record.session).customer)

    def finish(self) -> None:
        """Compare the inventories of every PC."""
        for customer in range(1, self.context.header.customers + 1):
            before, after = self._before.get(customer), self._after.get(customer)
            if before is None or after is None:
                if customer not in self._macs:
                    which = "before" if before is None else "after"
                    self.cannot_tell(
                        "no inventory",
                        f"expected an inventory of pc-{customer} {which} the session; seen: none by "
                        f"{clock(self.context.end_us)}; check that the run was not cut short",
                    )
                continue
            left = difference(before, after[1], self.context.allowed_residue)
            if customer in self._removed:
                left = tuple(item for item in left if not item.startswith(MISSING))
            if left and self._excused(customer):
                self.note = f"excused on pc-{customer}, its agent or the agent's entry was deleted: {', '.join(left)}"
            elif left:
                self.fail(
                    after[0],
                    f"left behind: {left[0]}",
                    f"expected nothing of ours on pc-{customer} after the session; seen: {', '.join(left)}; "
                    "check what each end of a session cleans up (rule 7)",
                )

    def _excused(self, customer: int) -> bool:
        deleted_at, _ = self._deleted.get(customer, (-1, 0))
        unhooked_at, added_at = self._unhooked.get(customer, -1), self._added_at.get(customer, -1)
        never_again = max(added_at, self._started_at.get(customer, -1)) < unhooked_at
        before_the_end = self._stopped_at.get(customer, -1) < self._over_at.get(customer, -1)
        return (never_again and before_the_end) or (deleted_at >= 0 and added_at < deleted_at)

    hears: ClassVar[Hears] = {
        seen.InventoryTaken: _inventory,
        seen.MachineTampered: _tampered,
        seen.AgentStarted: _started,
        seen.AgentStopped: _stopped,
        seen.HostCall: _called,
        r.EndpointJoined: _joined,
        **dict.fromkeys((r.SessionExpired, r.SessionLost, r.SessionEnded), _over),
    }
