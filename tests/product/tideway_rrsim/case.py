"""One support case of Tideway Support: who is in it, what was asked, and whether a guest may come back."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Any

PROMPT_GRACE_US = 2_000_000
"""How much longer than the guest's prompt the server waits for its answer."""


class Trip:
    """A restart that is to end in the same case."""

    def __init__(self, number: int, tech: str, mode: str, force: bool) -> None:
        self.number, self.tech, self.mode, self.force = number, tech, mode, force
        self.stage = "confirming"
        """``confirming``, ``asking``, ``ordered``, ``ready``."""
        self.key = ""
        """What the PC proves itself with; empty: nothing is good."""
        self.boot = ""
        self.clock = False
        """The time to come back runs."""

    @property
    def given(self) -> bool:
        """The guest was told to go."""
        return self.stage in ("ordered", "ready")


class Case:
    """A support case."""

    def __init__(self, hub: Any, name: str, kind: str, terms: dict[str, Any]) -> None:
        self.hub, self.name, self.kind, self.terms = hub, name, kind, terms
        self.over = ""
        self.tech = ""
        self.tech_lost = False
        self.guest: Any = None
        self.pc = self.boot = self.live = ""
        self.trip: Trip | None = None
        self.trips = self.asks = 0
        self.question: tuple[int, str] | None = None
        self.said: list[tuple[str, str]] = []
        self.guest_lines = 0
        self.screen_on = self.screen_wanted = self.consent_due = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._shown: dict[str, Any] = {}
        self.tell("case opened", kind=kind, terms=terms)
        self.show()

    # --- telling ---

    def tell(self, what: str, **more: Any) -> None:
        """Say that something happened in this case."""
        self.hub.tell(what, case=self.name, **more)

    def to_tech(self, screen: str, **more: Any) -> None:
        """Show something on a technician's console."""
        self.tell("screen", screen=screen, **more)

    def send(self, verb: str, **values: Any) -> None:
        """Say something to the guest, if there."""
        if self.guest is not None:
            self.guest.say(verb, **values)

    def state(self) -> str:
        """Return the state in a word."""
        if self.over:
            return self.over
        if self.trip and self.trip.clock:
            return "away"
        if self.pc and self.guest is None:
            return "broken"
        return "open" if self.tech and self.pc else "queued"

    def show(self) -> None:
        """Show the case on the console, if what is shown changed."""
        may = not self.over and not (self.trip and self.trip.clock) and not self.why_not(self.tech, "normal")
        now = {"state": self.state(), "restart": may, "sharing": self.screen_on}
        if now != self._shown:
            self._shown = now
            self.to_tech("case", **now)

    def after(self, name: str, us: int, call: Callable[..., None], *arguments: Any) -> None:
        """Do something later; a second timer of the same name replaces the first."""
        self.stop(name)
        self._timers[name] = asyncio.get_running_loop().call_later(us / 1e6, self._fire, name, call, *arguments)

    def _fire(self, name: str, call: Callable[..., None], *arguments: Any) -> None:
        del self._timers[name]
        if not self.over:
            call(*arguments)
            self.show()

    def stop(self, name: str) -> None:
        """Forget a timer."""
        if name in self._timers:
            self._timers.pop(name).cancel()

    # --- guests ---

    def knock(self, guest: Any, verb: str, words: dict[str, str]) -> None:
        """A PC wants in."""
        why = self._turned_away(guest, verb, words)
        if why:
            self.tell("knock refused", how=verb, pc=words.get("pc", ""), why=why)
            guest.say("NO", why=why)
            guest.hang_up()
            return
        old, self.guest = self.guest, None
        if old is not None:
            self.guest_gone("replaced", show=False)
            old.case = None
            old.hang_up()
        salt = os.urandom(16).hex()
        self.live = self.hub.hmac(f"live|{self.name}|{salt}")
        guest.case, self.guest = self, guest
        {"ENTER": self._entered, "RETURN": self._returned, "BACK": self._back}[verb](words)
        terms = self.terms
        going = self.trip.number if self.trip and self.trip.given else 0
        self.send(
            "IN", case=self.name, salt=salt, lines=self.guest_lines, trip=going, ping=terms["ping_us"] // 1000,
            quiet=terms["quiet_us"] // 1000, prompt=terms["prompt_us"] // 1000, limit=terms["limit_us"] // 1000,
            retry=max(50, terms["retry_us"] // 1000), retrymax=max(200, terms["retry_max_us"] // 1000),
            away=terms["away_us"] // 1000,
        )
        if verb != "BACK":
            for number, (who, text) in enumerate(self.said, 1):
                self.send("SAID", seq=number, who=who, text=text)
        self._heard()
        self.share("the guest is back")
        self.show()

    def _turned_away(self, guest: Any, verb: str, words: dict[str, str]) -> str:
        if self.over:
            return f"the case is {self.over}"
        if verb == "ENTER":
            return "another PC is in the case" if self.pc else ""
        if words.get("pc") != self.pc:
            return "another PC"
        if verb == "BACK":
            if not self._proved(guest, self.live, words):
                return "the proof does not match"
            return "" if words.get("boot") == self.boot else "another boot"
        if verb != "RETURN":
            return "knock first"
        trip = self.trip
        if trip is None or not trip.key or words.get("trip") != str(trip.number):
            return "no such trip"
        if not self._proved(guest, trip.key, words):
            return "the proof does not match"
        return "the same boot" if words.get("boot") == trip.boot else ""

    def _proved(self, guest: Any, key: str, words: dict[str, str]) -> bool:
        proof = hmac.new(key.encode(), guest.nonce.encode(), hashlib.sha256).hexdigest()
        return bool(key) and hmac.compare_digest(proof, words.get("proof", ""))

    def _entered(self, words: dict[str, str]) -> None:
        self.pc, self.boot = words["pc"], words["boot"]
        self.tell("guest in", pc=self.pc, boot=self.boot, user=words["user"], seal=seal(self.live))

    def _returned(self, words: dict[str, str]) -> None:
        assert self.trip is not None, "checked at the door"
        number, self.trip = self.trip.number, None
        self.stop("away")
        self.stop("limit")
        self.boot, self.guest_lines = words["boot"], 0
        self.consent_due = bool(self.terms["ask_screen"])
        self.tell(
            "guest returned", trip=number, boot=self.boot, user=words["user"], pc=self.pc, seal=seal(self.live)
        )
        self.to_tech("trip", trip=number, stage="back", why="")

    def _back(self, words: dict[str, str]) -> None:
        trip = self.trip
        going = bool(trip and trip.given and words.get("trip") == str(trip.number))
        self.tell("guest back", going=going, seal=seal(self.live))
        if trip and trip.given and not going:
            self._undone("the old boot is back and no trip is under way")
        if self.trip is None or not self.trip.clock:
            self.stop("away")

    def guest_gone(self, why: str, *, show: bool = True) -> None:
        """The connection is gone; the same boot, or a returning one, has the away time to come back."""
        self.guest = None
        self.screen_on = False
        self.stop("quiet")
        if self.over:
            return
        self.tell("guest gone", why=why)
        if self.question and self.trip and self.trip.stage == "asking":
            self._refused("the guest is not connected")
        if self.trip and self.trip.given:
            self._clock("connection lost")
        elif show:
            self.after("away", self.terms["window_us"], self._away_over)
        self.question = None
        self.show()

    def _clock(self, why: str) -> None:
        trip = self.trip
        if trip is not None and not trip.clock:
            trip.clock = True
            self.after("away", self.terms["window_us"], self._away_over)
            self.tell("away clock", trip=trip.number, why=why)
            self.to_tech("trip", trip=trip.number, stage="away", why="")

    def _away_over(self) -> None:
        if self.trip and self.trip.clock:
            number = self.trip.number
            self.end("expired", "case expired", trip=number)
            self.to_tech("trip", trip=number, stage="expired", why="")
        elif self.guest is None:
            if self.trip:
                self._refused("the guest is gone")
            self.end("lost", "case lost", why="no way back")

    def _heard(self) -> None:
        self.after("quiet", self.terms["quiet_us"], self._quiet)

    def _quiet(self) -> None:
        if self.guest is not None:
            guest = self.guest
            self.guest_gone("silence")
            guest.case = None
            guest.hang_up()

    def guest_says(self, verb: str, words: dict[str, str]) -> None:
        """Take a line of the guest's."""
        self._heard()
        trip = self.trip
        mine = trip is not None and trip.given and words.get("trip") == str(trip.number)
        if verb == "PING":
            self.send("PONG")
        elif verb == "SAY" and int(words["n"]) == self.guest_lines + 1:
            self.guest_lines += 1
            self.line("guest", words["text"], self.guest_lines)
        elif verb == "ANSWER" and self.question and words["q"] == str(self.question[0]):
            self._answered(words["is"], words["human"] == "1")
        elif verb == "BYE":
            if trip and not trip.clock and trip.stage != "ready":
                self._cancelled("customer", "the guest left")
            self.end("closed", "case closed", by="customer", why="the guest left")
        elif verb == "READY" and mine and trip is not None and trip.stage == "ordered":
            trip.stage = "ready"
            self.after("limit", self.terms["limit_us"], self._limit_over)
            self.tell("trip ready", trip=trip.number)
        elif verb == "NOTREADY" and mine:
            self._refused(f"{words['step']}: {words['why']}")
        elif verb == "SINKING" and mine:
            self.stop("limit")
            self._clock("the PC goes down")
        elif verb == "STAYING" and mine:
            self._undone(words["why"])
        self.share("the guest spoke")
        self.show()

    def line(self, who: str, text: str, guest_line: int = 0) -> None:
        """Add a line to the talk of the case."""
        self.said.append((who, text))
        number = len(self.said)
        self.tell("line", seq=number, who=who, text=text, n=guest_line)
        if who == "guest":
            self.to_tech("line", seq=number, who=who, text=text)
        else:
            self.send("SAID", seq=number, who=who, text=text)

    # --- trips ---

    def why_not(self, tech: str, mode: str) -> str:
        """Return why there can be no trip now; empty: there can."""
        if self.kind != "standard":
            return "not a standard case"
        if not self.tech or not self.pc:
            return "the case is queued"
        if tech != self.tech:
            return "another technician has the case"
        if not self.terms["restart_allowed"]:
            return "switched off for this account"
        if mode == "safe":
            return "safe mode is not offered: the program is no service"
        return "" if self.guest is not None else "the guest is not connected"

    def _want(self, tech: str, words: dict[str, Any]) -> None:
        if self.trip:
            self.to_tech("trip", trip=self.trip.number, stage=self.trip.stage, why="a trip is under way")
            return
        self.trips += 1
        why = self.why_not(tech, words["mode"])
        self.tell("trip wanted", trip=self.trips, tech=tech, **words)
        self.trip = Trip(self.trips, tech, words["mode"], words["force"])
        if why:
            self._refused(why)
            return
        self.after("confirm", self.terms["prompt_us"], self._confirmed, tech, "silence")
        self.to_tech("confirm", trip=self.trips, tech=tech, place=words["place"], mode=words["mode"])

    def _confirmed(self, tech: str, answer: str) -> None:
        trip = self.trip
        if trip is None or trip.stage != "confirming" or trip.tech != tech:
            return
        self.stop("confirm")
        self.tell("trip confirmed", trip=trip.number, tech=tech, answer=answer)
        if answer == "no":
            self._cancelled("representative", "not confirmed")
        elif answer == "silence":
            self._refused("no answer from the technician")
        elif self.guest is None:
            self._refused("the guest is not connected")
        elif self.terms["ask_restart"]:
            trip.stage = "asking"
            self._ask("restart", trip.number)
        else:
            self._go()

    def _ask(self, about: str, trip: int) -> None:
        self.asks += 1
        self.question = (self.asks, about)
        self.tell("guest asked", q=self.asks, about=about, trip=trip)
        self.send("ASK", q=self.asks, about=about, ms=self.terms["prompt_us"] // 1000)
        self.after("answer", self.terms["prompt_us"] + PROMPT_GRACE_US, self._answered, "silence", False)

    def _answered(self, answer: str, human: bool) -> None:
        if self.question is None:
            return
        number, about = self.question
        self.question = None
        self.stop("answer")
        trip = self.trip.number if self.trip and about == "restart" else 0
        self.tell("guest answered", q=number, about=about, trip=trip, answer=answer, human=human)
        if about == "screen":
            self.consent_due = self.consent_due and answer != "yes"
            self.screen_wanted = answer == "yes"
            self.share("the guest agreed")
        elif self.trip is None or self.trip.stage != "asking":
            return
        elif answer == "yes":
            self._go()
        elif answer == "no":
            self._cancelled("customer", "declined")
        else:
            self._refused("silence")

    def _go(self) -> None:
        trip = self.trip
        assert trip is not None, "there is one to go on"
        salt = os.urandom(16).hex()
        trip.stage, trip.boot = "ordered", self.boot
        trip.key = self.hub.hmac(f"pass|{self.name}|{trip.number}|{salt}")
        self.after("limit", self.terms["limit_us"], self._limit_over)
        self.tell(
            "trip ordered", trip=trip.number, mode=trip.mode, force=trip.force, boot=trip.boot, seal=seal(trip.key)
        )
        self.send("GO", trip=trip.number, salt=salt, force=int(trip.force))

    def _limit_over(self) -> None:
        if self.trip and self.trip.given and not self.trip.clock:
            self.send("STAY", trip=self.trip.number, why="restart limit")
            self._undone("restart limit")

    def _drop_trip(self, stage: str, why: str) -> int:
        assert self.trip is not None, "there is one to drop"
        number, self.trip = self.trip.number, None
        for timer in ("confirm", "answer", "limit"):
            self.stop(timer)
        if self.guest is not None:
            self.stop("away")
        if self.question and self.question[1] == "restart":
            self.question = None
            self.send("DROP")
        self.to_tech("trip", trip=number, stage=stage, why=why)
        return number

    def _refused(self, why: str) -> None:
        number = self._drop_trip("refused", why)
        self.tell("trip refused", trip=number, why=why)

    def _cancelled(self, by: str, why: str) -> None:
        number = self._drop_trip("cancelled", why)
        self.tell("trip cancelled", trip=number, by=by, why=why)

    def _undone(self, why: str) -> None:
        number = self._drop_trip("refused", why)
        self.tell("trip undone", trip=number, why=why)

    # --- the screen ---

    def share(self, why: str) -> None:
        """Show the screen if it is wanted and may be shown; ask where consent is due."""
        ready = self.screen_wanted and self.guest is not None and not self.screen_on
        if self.over or not ready or (self.trip and self.trip.given) or self.question:
            return
        if self.consent_due:
            self._ask("screen", 0)
            return
        self.screen_on = True
        self.send("SCREEN", on=1)
        self.tell("screen shown", on=True, why=why)

    def _hide(self, why: str) -> None:
        self.screen_wanted = False
        if self.screen_on:
            self.screen_on = False
            self.send("SCREEN", on=0)
            self.tell("screen shown", on=False, why=why)

    # --- technicians ---

    def console(self, tech: str, on: bool) -> None:
        """A technician's console comes or goes."""
        if self.over:
            return
        if on and tech == self.tech and self.tech_lost:
            self.tech_lost = False
            self.stop("tech")
            self.tell("tech back", tech=tech)
        elif not on and tech == self.tech and not self.tech_lost:
            self.tech_lost = True
            self.tell("tech gone", tech=tech)
            self.after("tech", self.terms["grace_us"], self._tech_over)
        if on:
            self._shown = {}
        self.show()

    def _tech_over(self) -> None:
        self.tech, self.tech_lost = "", False
        self.tell("case requeued", why="the technician did not come back")

    def tech_says(self, tech: str, what: str, words: dict[str, Any]) -> None:
        """Take what a technician does at the console."""
        if self.over:
            return
        if what == "pick" and not self.tech:
            self.tech = tech
            self.tell("case picked", tech=tech)
        elif what == "trip":
            self._want(tech, words)
        elif what == "confirm" and self.trip and words["trip"] == self.trip.number:
            self._confirmed(tech, words["answer"])
        elif tech == self.tech or (what == "end" and not self.tech):
            self._owner_says(tech, what, words)
        self.show()

    def _owner_says(self, tech: str, what: str, words: dict[str, Any]) -> None:
        if what == "say":
            self.line(tech, words["text"])
        elif what == "pass":
            self.tech = words["to"]
            self.tell("case passed", tech=self.tech)
            self._shown = {}
        elif what == "screen" and words["on"]:
            self.screen_wanted = True
            self.share("the technician asked")
        elif what == "screen":
            self._hide("the technician stopped it")
        elif what == "end":
            if self.trip:
                self._cancelled("representative", "the technician ended the case")
            self.end("closed", "case closed", by="representative", why="the technician ended it")

    def end(self, how: str, what: str, **more: Any) -> None:
        """The case is over; nobody comes back into it."""
        self.over = how
        self.trip = None
        self.live = ""
        for name in list(self._timers):
            self.stop(name)
        self.tell(what, **more)
        self.send("OVER")
        if self.guest is not None:
            guest, self.guest = self.guest, None
            guest.case = None
            guest.hang_up()
        self.show()


def seal(secret: str) -> str:
    """Return what may be told of a secret: enough to see that two are the same."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]
