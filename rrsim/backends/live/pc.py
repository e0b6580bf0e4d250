"""One customer's PC in a live run: a machine, the agent on it, and what a person or a scenario does there.

Eyes are the machine's window list, named by the agent's adapter or by the machine; hands are real input. A click is
written down when the hand presses. Calls to the operating system are told by witnesses on the machine (files,
registry, boot options), never by the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

from rrsim.backends.live.timers import pause
from rrsim.live_clock import monotonic_us
from rrsim.machine import inventory
from rrsim.machine import observations as seen
from rrsim.machine.adapters import Address, AgentAdapter, Watch
from rrsim.machine.desktop import CannotPress, DesktopWindow
from rrsim.people import vocabulary as said
from rrsim.protocol.messages import AgentMode
from rrsim.scenario import actions

MOST_PICTURES: Final = 50
LOOKS: Final = 40
LOOK_EVERY_US: Final = 50_000
PROCESSES_EVERY_US: Final = 100_000
CLICK_OWNER_US: Final = 3_000_000
"""A window that goes away within this time of a click in it went because of the click."""
SETTLE_TIMEOUT_S: Final = 30.0
CHAT_TIMEOUT_S: Final = 10.0


_SET_UP: Final = (
    actions.AppBlocks, actions.AppLetsGo, actions.InstallerRuns, actions.WindowsAsksRestart, actions.PrivilegeTaken,
    actions.PrivilegeGiven,
)
"""Actions that put something on the machine and are over as soon as it is there."""


class NotPossible(RuntimeError):
    """What a person or a scenario wants cannot be done at this PC now; the text says why."""


class RealMachine(Protocol):
    """What a live run needs of a real machine (``rrsim.backends.live.wine`` is one)."""

    name: str
    phase: str
    patience: float
    """How many times longer than usual things may take here; 1 on this computer."""

    async def power_on(self) -> None:
        """Start the PC; returns when it is at the welcome screen."""

    async def log_on(self, user: str = "customer") -> None:
        """Sign somebody in at the welcome screen; returns when the desktop is there."""

    async def log_off(self) -> None:
        """Sign the customer out; programs are told to end first."""

    async def power_cut(self) -> None:
        """Take the power away: nothing is told, nothing is flushed."""

    async def crash(self) -> None:
        """Let the kernel stop; the PC then starts by itself."""

    async def shut_down(self) -> None:
        """Shut down in order and stay off."""

    async def restart(self, cause: str) -> None:
        """Restart in order; ``cause`` is what observations name as the one who asked."""

    async def owner_sets_boot_flag(self) -> None:
        """Let the owner have Windows start in safe mode with networking from the next boot on."""

    async def show_restart_dialog(self) -> None:
        """Let Windows ask whether to restart now."""

    async def run_installer(self, **how: Any) -> None:
        """Run an installer that wants a restart in the end; ``shows_dialog``: it asks first."""

    async def click(self, hwnd: int, control: int | str) -> None:
        """Press the mouse button in the middle of a control, named by its id or its text."""

    async def type_text(self, text: str) -> None:
        """Type on the keyboard, into whatever has the focus."""

    async def press_key(self, key: str) -> None:
        """Press one key, such as ``Return``."""

    async def inventory(self) -> tuple[str, ...]:
        """List what is on the PC: files, registry values, services, boot options."""

    def window_kind(self, window: DesktopWindow) -> seen.Window | None:
        """Name a window of Windows' own or of the harness's, if it is one."""

    def dialog_controls(self, window: seen.Window, button: str) -> tuple[int | str, ...]:
        """Return what has to be pressed, in order, for a button of such a window; nothing if it has no such button."""

    def screenshot(self) -> bytes:
        """Return the screen as a picture, for the bundle."""

    def when_failed(self, hear: Callable[[Any], None]) -> None:
        """Have it told at once when the harness loses this machine: the run has nothing more to prove."""

    async def fetch(self) -> None:
        """Bring what the agent's adapter reads logs from to this computer, where it is not there anyway."""

    async def close(self) -> None:
        """End the PC and everything that belongs to it."""


class LivePc:
    """A PC, as people and scenarios see it."""

    def __init__(
        self, number: int, machine: Any, adapter: AgentAdapter, mode: AgentMode, observe: Callable[[Any], None],
    ) -> None:
        """``observe`` takes every observation, in order."""
        self.number = number
        self.machine = machine
        self.adapter = adapter
        self.mode = mode
        self._observe = observe
        self._open: dict[int, tuple[seen.Window, DesktopWindow]] = {}
        self._by_hand: dict[int, tuple[str, int]] = {}
        """Windows somebody pressed a button in: who, and when."""
        self._shared = False
        self._ending = False
        self._endings = 0
        """How often Windows began to end the customer's session, or the PC went down."""
        self._hands = asyncio.Lock()
        self._chat_shown = asyncio.Event()
        self._before: tuple[str, ...] = ()
        self.pictures: dict[str, bytes] = {}
        """The screen at every press, as PNG, by number and button."""
        self._handlers: dict[type, Callable[[Any], Awaitable[None]]] = {
            actions.PowerCut: self._power_cut, actions.PowerReturns: self._power_returns,
            actions.PcCrashes: self._crashes, actions.WindowsAsksRestart: self._windows_asks,
            actions.InstallerRuns: self._installer, actions.AppBlocks: self._app_blocks,
            actions.AppLetsGo: self._app_lets_go, actions.OtherSchedules: self._other_schedules,
            actions.PrivilegeTaken: self._privilege, actions.PrivilegeGiven: self._privilege,
            actions.OthersSignedIn: self._others, actions.AgentDies: self._agent_dies,
            actions.HelperDies: self._helper_dies, actions.WindowsUpdateRestarts: self._update_restarts,
            actions.CustomerRestartsFromStart: self._start_menu, actions.CustomerShutsDown: self._shuts_down,
            actions.CustomerPowersOn: self._powers_on, actions.CustomerLogsOff: self._logs_off,
            actions.RepTypesPassword: self._rep_signs_in,
        }

    # --- before a session -----------------------------------------------------------------------------------------

    async def prepare(self, address: Address, language: str, *, owners_flag: bool = False) -> None:
        """Switch the machine on, look at it, install the agent, sign the customer in.

        ``owners_flag``: before that, the owner sets the boot flag.
        """
        await self.machine.power_on()
        if owners_flag:
            await self.machine.owner_sets_boot_flag()
        self._before = await self._look_at_machine()
        self._observe(seen.InventoryTaken("before", self._before))
        await self.adapter.install(self.machine, self.mode, address, language)
        await self.machine.watch(self.adapter.watches(self.mode))
        await self.machine.log_on()

    async def look_before(self, moment_us: int) -> None:
        """Have the machine tell what it saw before the moment of a witness elsewhere, as ``monotonic_us`` counts."""
        await self.machine.look_before(moment_us)

    async def watch_processes(self) -> None:
        """Tell when a process that decides for the agent begins or ends, until cancelled."""
        known: dict[int, str] = {}
        while True:
            now = {pid: line for pid, line in self.machine.processes().items() if self._decides(line)}
            for _ in known.keys() - now.keys():
                self._observe(seen.AgentStopped("the machine went down" if self._ending else "it ended"))
            for pid in now.keys() - known.keys():
                self._observe(self._started(now[pid]))
            known = now
            await pause(PROCESSES_EVERY_US)

    def _decides(self, command_line: str) -> bool:
        """Say whether this process decides: where the service is the agent, what the customer starts only asks it."""
        if not self.adapter.core_process(command_line):
            return False
        return self.mode != "service" or self.adapter.started_by(command_line, self.mode) != "customer"

    def _started(self, command_line: str) -> seen.AgentStarted:
        signed_in = self.machine.signed_in
        why = self.adapter.started_by(command_line, self.mode)
        return seen.AgentStarted(
            boot=self.machine.boot, user="customer" if signed_in else "", elevated=True,
            desktop="visible" if signed_in else "none", safe_mode=self.machine.safe_mode, why=why,
        )

    async def start_support(self, code: str) -> None:
        """The customer starts the program and types the code."""
        async with self._hands:
            await self.adapter.start_support(self.machine, code)

    @property
    def _patience(self) -> float:
        return float(self.machine.patience) if self.machine is not None else 1.0

    async def settled(self) -> None:
        """Wait until the hands are free and the customer sees the session: before that no scenario starts.

        An agent that shows no chat window is not waited for longer than a busy host takes to show one.
        """
        async with asyncio.timeout(SETTLE_TIMEOUT_S * self._patience):
            async with self._hands:
                pass
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHAT_TIMEOUT_S * self._patience):
                await self._chat_shown.wait()

    # --- what is seen -----------------------------------------------------------------------------------------------

    def machine_saw(self, what: Any) -> None:
        """Take an observation of the machine's up."""
        match what:
            case seen.SessionEnds():
                self._ending = True
                self._endings += 1
            case seen.WentDown():
                self._windows_change((), down=True)
                self._ending = False
                self._endings += 1
            case seen.RestartStopped():
                self._ending = False
            case _:
                pass
        self._observe(what)

    def eyes_saw(self, windows: tuple[DesktopWindow, ...]) -> None:
        """Take the list of windows up, and tell what came and went."""
        self._windows_change(windows)

    def _windows_change(self, windows: tuple[DesktopWindow, ...], down: bool = False) -> None:
        if self._ending and not down:
            return  # who closed what is known when the machine is down
        there = {one.hwnd: one for one in windows}
        for hwnd in [h for h in self._open if h not in there]:
            kind, _ = self._open.pop(hwnd)
            self._observe(seen.WindowGone(kind, self._who_closed(hwnd)))
        for hwnd, window in there.items():
            if hwnd in self._open:
                self._open[hwnd] = (self._open[hwnd][0], window)
                continue
            kind = self.adapter.window(window) or self.machine.window_kind(window)
            if kind is not None:
                self._open[hwnd] = (kind, window)
                if kind == "chat":
                    self._chat_shown.set()
                self._by_hand.clear()  # a click that brought a window up has closed none
                self._observe(seen.WindowShown(kind))
        shared = any(self.adapter.shows_sharing(window) for _, window in self._open.values())
        if shared != self._shared:
            self._shared = shared
            self._observe(seen.ScreenSeen(shared))

    def _who_closed(self, hwnd: int) -> Any:
        who, at_us = self._by_hand.pop(hwnd, ("", 0))
        if who and monotonic_us() - at_us < CLICK_OWNER_US * self._patience:
            return who
        return "windows" if self._ending and hwnd not in self.machine.closed_by_program else "agent"

    # --- what people do -------------------------------------------------------------------------------------------

    def person_does(self, what: Any) -> Coroutine[Any, Any, None]:
        """Carry out what a person does at this PC; what they see at the moment of the call is what they go by.

        Raises:
            NotPossible: there is no such window or nowhere to sign in.
        """
        if isinstance(what, said.Press):
            return self._press(what, saw_it=self._hwnd(what.window) is not None, endings=self._endings)
        return self._person_does(what)

    async def _person_does(self, what: Any) -> None:
        match what:
            case said.SignIn():
                await self._sign_in(what.how)
            case said.TypeChat():
                await self._type_chat(what.text)
            case said.TypeSecret():
                raise NotPossible("this machine asks for no start-up secret")
            case _:
                await self.do(what)

    async def _press(self, press: said.Press, *, saw_it: bool, endings: int) -> None:
        """``saw_it``, ``endings``: what the person went by: the window was there, and so often Windows had ended.

        A reflex ends where its window does. A step of the scenario is different: one that was not played is told.
        """
        def missed() -> bool:
            return press.by_habit and saw_it and self._endings != endings

        async with self._hands:
            found = None if missed() else await self._find(press.window)  # what is missed is not waited for
            if missed():
                return  # Windows took it away before a hand was free; one of the next boot is not what they meant
            if found is None:
                open_ones = ", ".join(kind for kind, _ in self._open.values()) or "none"
                raise NotPossible(
                    f"press {press.button!r} in the {press.window}: it is not on the desktop; there are: {open_ones}"
                )
            hwnd = found
            control = self.adapter.control(press.window, press.button)
            controls = (control,) if control is not None else self.machine.dialog_controls(press.window, press.button)
            if not controls:
                raise NotPossible(f"the {press.window} has no button {press.button!r} that is known here")
            await self._picture(f"{press.window} {press.button}")
            self._by_hand[hwnd] = (press.who, monotonic_us())
            self._observe(seen.Clicked(press.who, press.window, press.button))
            for one in controls:
                try:
                    await self.machine.click(hwnd, one)
                except CannotPress as error:
                    if self._ending or self._endings != endings:
                        return  # Windows took the window away under the hand: a person shrugs. It may boot by now
                    raise NotPossible(str(error)) from error

    async def _picture(self, what: str) -> None:
        """Keep a picture of the screen as it was when somebody pressed something; not every machine has one."""
        if len(self.pictures) < MOST_PICTURES:
            with contextlib.suppress(NotPossible, OSError):
                picture = await asyncio.to_thread(self.machine.screenshot)
                self.pictures[f"press-{len(self.pictures) + 1:02d}-{what.replace(' ', '-')}.png"] = picture

    async def _find(self, kind: seen.Window) -> int | None:
        """Return the window that is meant; one that is just being drawn is waited for, as a person would."""
        for _ in range(int(LOOKS * self._patience)):
            found = self._hwnd(kind)
            if found is not None:
                return found
            await pause(LOOK_EVERY_US)
        return None

    def _hwnd(self, kind: seen.Window) -> int | None:
        return next((hwnd for hwnd, (one, _) in self._open.items() if one == kind), None)

    async def _type_chat(self, text: str) -> None:
        async with self._hands:
            hwnd = self._hwnd("chat")
            if hwnd is None:
                raise NotPossible("type a line: the chat window is not open")
            line, send = self.adapter.chat_controls()
            await self.machine.click(hwnd, line)
            await self.machine.type_text(text)
            await self.machine.click(hwnd, send)

    async def _sign_in(self, how: str) -> None:
        if how == "wrong password":
            self._observe(seen.LogonFailed("customer"))
            return
        if how not in ("right user", "remote desktop"):
            raise NotPossible(f"sign in as {how!r}: this machine knows one customer only")
        if self.machine.phase != "welcome":
            if self.machine.phase in ("desktop", "shell", "shutdown asked", "shutting down", "off"):
                return  # somebody typed while the PC went down, or is signed in already
            raise NotPossible(f"sign in: the PC is in phase {self.machine.phase!r}, not at the welcome screen")
        await self.machine.log_on()

    # --- what a scenario does ---------------------------------------------------------------------------------------

    async def do(self, action: Any) -> None:
        """Carry out an action that happens to the PC.

        Raises:
            NotPossible: this machine cannot do it, or not now.
        """
        handler = self._handlers.get(type(action))
        if handler is None:
            raise NotPossible(f"this machine cannot do: {type(action).__struct_config__.tag}")
        if isinstance(action, _SET_UP):
            async with self._hands:  # the next step waits until it is there
                await handler(action)
        else:
            await handler(action)

    async def _rep_signs_in(self, action: actions.RepTypesPassword) -> None:
        await self._sign_in("right user" if action.right else "wrong password")

    async def _power_cut(self, action: actions.PowerCut) -> None:
        await self.machine.power_cut()
        if action.returns_after_us is not None:
            await pause(int(action.returns_after_us))
            await self._power_returns(action)

    async def _power_returns(self, _: Any) -> None:
        if self.machine.phase == "off":
            await self.machine.power_on()

    async def _crashes(self, _: Any) -> None:
        await self.machine.crash()

    async def _windows_asks(self, _: Any) -> None:
        await self.machine.show_restart_dialog()

    async def _installer(self, action: actions.InstallerRuns) -> None:
        if action.deletes_agent or action.survives_boots:
            raise NotPossible("this machine's installer neither removes the agent nor leaves work for several boots")
        await self.machine.run_installer(silent=not action.shows_dialog, restarts=False)

    async def _app_blocks(self, _: Any) -> None:
        await self.machine.block_shutdown(True)

    async def _app_lets_go(self, _: Any) -> None:
        await self.machine.block_shutdown(False)

    async def _other_schedules(self, action: actions.OtherSchedules) -> None:
        await self.machine.answer_restarts_with(1190)
        del action

    async def _privilege(self, action: Any) -> None:
        await self.machine.answer_restarts_with(5 if isinstance(action, actions.PrivilegeTaken) else 0)

    async def _others(self, _: Any) -> None:
        await self.machine.answer_restarts_with(1191)

    async def _agent_dies(self, _: actions.AgentDies) -> None:
        await self.machine.kill_program(self._decides)

    async def _helper_dies(self, _: Any) -> None:
        await self.machine.kill_program(self.adapter.helper_process)

    async def _update_restarts(self, _: Any) -> None:
        await self.machine.restart("windows update")

    async def _start_menu(self, _: Any) -> None:
        await self.machine.restart("start menu")

    async def _shuts_down(self, _: Any) -> None:
        await self.machine.shut_down()

    async def _powers_on(self, _: Any) -> None:
        if self.machine.phase != "off":
            raise NotPossible(f"switch the PC on: it is in phase {self.machine.phase!r}")
        await self.machine.power_on()

    async def _logs_off(self, _: Any) -> None:
        self._ending = True  # Windows ends the session, and with it the programs
        self._endings += 1
        try:
            await self.machine.log_off()
            self._windows_change((), down=True)
        finally:
            self._ending = False

    # --- after the steps ---------------------------------------------------------------------------------------------

    async def heal(self) -> None:
        """Take every fault at this machine back."""
        await self.machine.block_shutdown(False)
        await self.machine.answer_restarts_with(0)
        if self.machine.phase == "off":
            await self.machine.power_on()

    async def probe(self) -> None:
        """The harness's own clean restart, whatever state the PC is in; afterwards the right user signs in."""
        await self.machine.out_of_the_block_screen()
        if self.machine.phase == "off":
            await self.machine.power_on()
        else:
            await self.machine.restart("probe")
        await self.machine.reach("welcome")
        await self.machine.log_on()

    async def _look_at_machine(self) -> tuple[str, ...]:
        items = await self.machine.inventory()
        return tuple(sorted({self.adapter.plain_name(one) for one in items if not self.adapter.belongs(one)}))

    async def inventory(self) -> tuple[str, ...]:
        """List what a session could leave behind, without the installed product itself."""
        return await self._look_at_machine()

    async def is_clean(self) -> bool:
        """Say whether the machine is as it was before the agent came."""
        return not inventory.difference(self._before, await self._look_at_machine())


__all__ = ["LivePc", "NotPossible", "RealMachine", "Watch"]
