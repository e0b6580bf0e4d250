"""I4, I5: nothing happens to the customer's PC without the people who must agree."""

from __future__ import annotations

from typing import ClassVar

from rrsim.machine import observations as seen
from rrsim.protocol import records as r
from rrsim.protocol.messages import Confirm
from rrsim.scenario.checks.base import Check, Context, Hears, clock
from rrsim.scenario.tracker import SessionTrack, customer_of_source


class RestartConsent(Check):
    """I4: no restart without the representative's Yes (R4), and the customer's where the account asks for it (R7).

    The witnesses are outside both cores: the representative's message from the console and the customer's click.
    Automatic acceptance exists only where the account has it, and only recorded as *no human consent* (rule 6).
    """

    __slots__ = ("_asked_at", "_automatic", "_click", "_rep_yes", "_yes_used", "_yeses")
    name: ClassVar[str] = "I4"
    needs: ClassVar[tuple[str, ...]] = ("server", "pc", "console", "clicked")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._yeses: dict[int, int] = {}
        """Restart number -> how many Yes came from consoles (a console message names no session)."""
        self._yes_used: dict[int, int] = {}
        self._rep_yes: set[tuple[str, int]] = set()
        self._automatic: set[tuple[str, int]] = set()
        self._asked_at: dict[str, int] = {}
        self._click: dict[int, tuple[int, str]] = {}
        """Customer -> the latest click at a restart prompt."""

    def _confirm(self, _at: int, _t: int, _source: str, message: Confirm) -> None:
        if message.answer == "yes":
            self._yeses[message.order] = self._yeses.get(message.order, 0) + 1

    def _asked(self, at: int, _t: int, _source: str, record: r.RestartAsked) -> None:
        self._asked_at[record.session] = at

    def _confirmed(self, at: int, t_us: int, _source: str, record: r.RestartConfirmed) -> None:
        if record.answer != "yes":
            return
        used = self._yes_used[record.restart] = self._yes_used.get(record.restart, 0) + 1
        if used > self._yeses.get(record.restart, 0):
            self.fail(
                at,
                "confirmation nobody gave",
                f"expected the representative's Yes to restart {record.restart} at the console before it is recorded "
                f"for {record.session}; seen: none by {clock(t_us)}; check what the server takes for one (R4)",
            )
            return
        self._rep_yes.add((record.session, record.restart))

    def _answered(self, _at: int, _t: int, _source: str, record: r.CustomerAnswered) -> None:
        if record.kind == "restart" and not record.human:
            self._automatic.add((record.session, record.restart))

    def _clicked(self, at: int, _t: int, source: str, event: seen.Clicked) -> None:
        if event.who == "customer" and event.window == "restart prompt":
            self._click[customer_of_source(source)] = (at, event.button)

    def _began(self, at: int, t_us: int, source: str, event: seen.RestartBegan) -> None:
        if event.cause != "agent":
            return
        track = self.context.restarting(source)
        order = track.order if track is not None else None
        if track is None or order is None:
            self.fail(
                at,
                "restart without an order",
                f"expected no restart by the agent on {source} without an order; seen at {clock(t_us)}; "
                "check what makes the agent request a restart",
            )
            return
        if (order.session, order.restart) not in self._rep_yes:
            self.fail(
                at,
                "no confirmation by the representative",
                f"expected the representative's Yes before {source} restarts for {order.session}; "
                f"seen: restart {order.restart} began at {clock(t_us)} without it; check the confirmation (R4)",
            )
        if track.account.ask_before_restart:
            self._customer(at, t_us, source, track, order)

    def _customer(self, at: int, t_us: int, source: str, track: SessionTrack, order: r.OrderGiven) -> None:
        click_at, button = self._click.get(track.customer, (-1, ""))
        if click_at > self._asked_at.get(order.session, -1):
            if button == "yes":
                return
        elif track.account.auto_accept_silence and (order.session, order.restart) in self._automatic:
            return
        said = f"the customer pressed {button!r}" if click_at > self._asked_at.get(order.session, -1) else "no click"
        self.fail(
            at,
            "no consent of the customer",
            f"expected the customer's click on Yes before {source} restarts (R7); seen: {said}, and the restart began "
            f"at {clock(t_us)}; check how silence and No are treated (rule 6)",
        )

    hears: ClassVar[Hears] = {
        Confirm: _confirm,
        r.RestartAsked: _asked,
        r.RestartConfirmed: _confirmed,
        r.CustomerAnswered: _answered,
        seen.Clicked: _clicked,
        seen.RestartBegan: _began,
    }


class SharingConsent(Check):
    """I5: no screen is shared after a restart without consent where the account asks for it (R9).

    A boot of a live session takes the consent away; the customer's click on the sharing prompt gives it back. A new
    session begins without a restart behind it.
    """

    __slots__ = ("_due",)
    name: ClassVar[str] = "I5"
    needs: ClassVar[tuple[str, ...]] = ("server", "pc", "clicked", "screen capture")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._due: set[int] = set()
        """Customers whose consent is due."""

    def _booted(self, _at: int, _t: int, source: str, event: seen.BootBegan) -> None:
        track = self.context.session_at(source)
        if event.cause != "probe" and track is not None and track.live and track.account.ask_before_sharing:
            self._due.add(track.customer)

    def _joined(self, _at: int, _t: int, _source: str, record: r.EndpointJoined) -> None:
        self._due.discard(self.context.tracker.track(record.session).customer)

    def _clicked(self, _at: int, _t: int, source: str, event: seen.Clicked) -> None:
        if event.who == "customer" and event.window == "sharing prompt" and event.button == "yes":
            self._due.discard(customer_of_source(source))

    def _captured(self, at: int, t_us: int, source: str, event: seen.ScreenSeen) -> None:
        if event.on and customer_of_source(source) in self._due:
            self.fail(
                at,
                "screen shared without consent",
                f"expected the customer's click on Yes before the screen of {source} is captured after a restart; "
                f"seen: captured at {clock(t_us)} without one; check when sharing resumes (R9)",
            )

    hears: ClassVar[Hears] = {
        seen.BootBegan: _booted,
        r.EndpointJoined: _joined,
        seen.Clicked: _clicked,
        seen.ScreenSeen: _captured,
    }
