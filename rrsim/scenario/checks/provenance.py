"""I13: every prompt, answer and restart is in the history with who, where and when."""

from __future__ import annotations

from typing import ClassVar

from rrsim.machine import observations as seen
from rrsim.protocol import records as r
from rrsim.scenario.checks.base import Check, Context, Hears, clock
from rrsim.scenario.tracker import SessionTrack, customer_of_source


class Provenance(Check):
    """I13, and rule 9 (*back is not resumed*): what the server claims, a witness outside it must have seen.

    * A human answer has the click, in a window that was shown; a customer's No, cancel or leave has one too.
    * A restart by the agent has the order it carries out; a boot by the agent has the request that Windows accepted.
    * A resumption has a new boot, seen at the machine, with another boot mark than the order was given to.
    * A restart that was asked says by whom and from where.
    """

    __slots__ = ("_asked", "_clicks", "_order", "_request", "_shown")
    name: ClassVar[str] = "I13"
    needs: ClassVar[tuple[str, ...]] = ("server", "pc", "clicked", "boot began", "window shown")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._asked: dict[tuple[str, int], int] = {}
        self._shown: dict[tuple[int, str], int] = {}
        self._clicks: dict[tuple[int, str, str], int] = {}
        """(customer, window, button) -> index of the customer's latest click there."""
        self._order: dict[str, int] = {}
        self._request: dict[int, int] = {}

    # --- prompts ------------------------------------------------------------------------------------------------

    def _window(self, at: int, _t: int, source: str, event: seen.WindowShown) -> None:
        self._shown[customer_of_source(source), event.window] = at

    def _clicked(self, at: int, _t: int, source: str, event: seen.Clicked) -> None:
        if event.who == "customer":
            self._clicks[customer_of_source(source), event.window, event.button] = at

    def _question(self, at: int, _t: int, _source: str, record: r.CustomerAsked) -> None:
        self._asked[record.session, record.ask] = at

    def _answered(self, at: int, t_us: int, _source: str, record: r.CustomerAnswered) -> None:
        track = self.context.tracker.track(record.session)
        asked_at = self._asked.get((record.session, record.ask))
        if asked_at is None:
            self.fail(
                at,
                "answer without a question",
                f"expected question {record.ask} of {record.session} before its answer; seen: {record.answer!r} at "
                f"{clock(t_us)} without one; check which answers the server takes",
            )
        elif record.human and record.answer != "silence" and track.platform != "mac":
            window = f"{record.kind} prompt"
            shown_at = self._shown.get((track.customer, window), -1)
            if not shown_at <= self._clicks.get((track.customer, window, record.answer), -1) or shown_at < 0:
                self.fail(
                    at,
                    "answer nobody gave",
                    f"expected the customer's click on {record.answer!r} in a {window} shown on pc-{track.customer}; "
                    f"seen: recorded as a human answer at {clock(t_us)} without it; check what counts as human",
                )
            elif self._clicks[track.customer, window, record.answer] < asked_at:
                self.fail(
                    at,
                    "answer to an earlier question",
                    f"expected a click after question {record.ask} of {record.session} was asked; seen: only an "
                    f"earlier one, recorded at {clock(t_us)}; check how answers are matched with questions",
                )

    def _person(self, track: SessionTrack) -> bool:
        """Say whether the customer pressed anything that ends or stops things since the session's latest restart."""
        pairs = (
            ("leave prompt", "no"), ("cancel option", "cancel"), ("restart prompt", "no"), ("block screen", "cancel"),
        )  # fmt: skip
        pc = self.context.verdicts.pcs.get(track.customer)
        since = pc.joined_at if pc is not None else -1
        return any(self._clicks.get((track.customer, *pair), -1) > since for pair in pairs)

    def _stopped(self, at: int, t_us: int, _source: str, record: r.RestartCancelled | r.SessionEnded) -> None:
        track = self.context.tracker.track(record.session)
        if record.by == "customer" and track.platform != "mac" and not self._person(track):
            self.fail(
                at,
                "customer's decision nobody took",
                f"expected a click by the customer of {record.session} before it is recorded as the customer's "
                f"decision; seen: none by {clock(t_us)}; check what is mistaken for the customer (R5, rule 12)",
            )

    # --- restarts -----------------------------------------------------------------------------------------------

    def _restart_asked(self, at: int, t_us: int, _source: str, record: r.RestartAsked) -> None:
        if not record.rep or not record.place:
            self.fail(
                at,
                "restart without who or where",
                f"expected representative and place of restart {record.restart} of {record.session}; seen: "
                f"{record.rep!r}, {record.place!r} at {clock(t_us)}; check what the console sends (R3)",
            )

    def _ordered(self, at: int, _t: int, _source: str, record: r.OrderGiven) -> None:
        self._order[record.session] = at

    def _began(self, at: int, t_us: int, source: str, event: seen.RestartBegan) -> None:
        if event.cause != "agent":
            return
        self._request[customer_of_source(source)] = at
        track = self.context.restarting(source)
        if track is None or track.session not in self._order:
            self.fail(
                at,
                "restart nobody ordered",
                f"expected an order before the agent restarts {source}; seen: none by {clock(t_us)}; "
                "check what makes the agent request a restart",
            )

    def _booted(self, at: int, t_us: int, source: str, event: seen.BootBegan) -> None:
        if event.cause == "agent":
            pc = self.context.verdicts.pcs.get(customer_of_source(source))
            if self._request.get(customer_of_source(source), -1) < (pc.boot_at if pc is not None else -1) + 1:
                self.fail(
                    at,
                    "boot without a request",
                    f"expected an accepted request of the agent before {source} boots for it; seen: none since the "
                    f"boot before, booted at {clock(t_us)}; check the machine's witnesses",
                )

    def _resumed(self, at: int, t_us: int, _source: str, record: r.EndpointResumed) -> None:
        track = self.context.tracker.track(record.session)
        pc = self.context.verdicts.pcs.get(track.customer)
        since = self._order.get(record.session, -1) if record.restart else (pc.joined_at if pc is not None else -1)
        head = f"{record.session} was resumed at {clock(t_us)}"
        if pc is None or pc.boot_at < since or pc.boot_at < 0:
            self.fail(
                at,
                "resumed without a new boot",
                f"expected a new boot of pc-{track.customer} before resumption; seen: none since the order, and "
                f"{head}; check how a new boot is proved (rule 9)",
            )
        elif track.order is not None and record.restart == track.order.restart and record.boot == track.order.boot:
            self.fail(
                at,
                "resumed from the old boot",
                f"expected another boot mark than {record.boot!r}, which the order was given to; seen: {head} with "
                "it; check the comparison of boot marks (rule 9)",
            )

    hears: ClassVar[Hears] = {
        seen.WindowShown: _window,
        seen.Clicked: _clicked,
        r.CustomerAsked: _question,
        r.CustomerAnswered: _answered,
        r.RestartCancelled: _stopped,
        r.SessionEnded: _stopped,
        r.RestartAsked: _restart_asked,
        r.OrderGiven: _ordered,
        seen.RestartBegan: _began,
        seen.BootBegan: _booted,
        r.EndpointResumed: _resumed,
    }
