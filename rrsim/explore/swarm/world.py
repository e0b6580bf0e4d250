"""The world of a random run: account, profile, PC, network and people. Mostly ordinary, each time odd in other ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rrsim.backends.sim.draws import known_draws
from rrsim.explore.swarm.chance import Chance
from rrsim.explore.swarm.edges import MINUTE_US, SECOND_US, beside
from rrsim.protocol.settings import PROFILES, profile
from rrsim.scenario.model import AccountSettings, CustomerHabits, Given, PcSetup, RepHabits
from rrsim.scenario.words import Duration

Parts = dict[str, dict[str, Any]]
"""``account``, ``pc``, ``customer``, ``rep``, ``given``: the fields that differ from their defaults."""

_PROFILES: Final = tuple(PROFILES)
_DRAWS: Final = tuple(sorted(name for name in known_draws() if name != "agent retry jitter"))
MOST_ODDITIES: Final = 4


def draw_world(chance: Chance) -> Given:
    """Return who takes part and how things stand."""
    parts: Parts = {"account": {}, "pc": {}, "customer": {}, "rep": {}, "given": {}}
    given = parts["given"]
    given["agent"] = chance.pick("mode", ("application", "service"))
    given["profile"] = chance.pick("profile", _PROFILES) if chance.one_in("profile", 3) else _PROFILES[0]
    parts["pc"]["network"] = chance.pick("network", ("lan", "lan", "wifi", "vpn", "dial-up"))
    _account(chance, parts["account"])
    _people(chance, parts)
    for odd in chance.some("oddities", ODDITIES, chance.below("oddities", MOST_ODDITIES + 1)):
        odd(chance, parts)
    if chance.one_in("durations", 3):
        given["durations"] = _durations(chance)
    return Given(
        account=AccountSettings(**parts["account"]), pc=PcSetup(**parts["pc"]),
        customer=CustomerHabits(**parts["customer"]), rep=RepHabits(**parts["rep"]), **given,
    )  # fmt: skip


def _account(chance: Chance, account: dict[str, Any]) -> None:
    for name in ("ask_before_restart", "ask_before_sharing"):
        if chance.one_in(name, 3):
            account[name] = True
    if chance.one_in("phone", 8):
        account["phone_mode"] = True
    for name, values in _KNOBS:
        if chance.one_in(name, 5):
            account[name] = Duration(chance.pick(name, values))
    for name, choices in _SWITCHES:
        if chance.one_in(name, 24):
            account[name] = chance.pick(name, choices)


_KNOBS: Final = (
    ("resume_window_us", (30 * SECOND_US, MINUTE_US, 3 * MINUTE_US, 20 * MINUTE_US)),
    ("restart_limit_us", (20 * SECOND_US, MINUTE_US, 15 * MINUTE_US)),
    ("prompt_timeout_us", (SECOND_US, 5 * SECOND_US, 3 * MINUTE_US)),
    ("rep_grace_us", (SECOND_US, 30 * SECOND_US, 15 * MINUTE_US)),
    ("idle_timeout_us", (30 * SECOND_US, 2 * MINUTE_US, 10 * MINUTE_US)),
)
_SWITCHES: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (
    ("restart_allowed", (False,)), ("auto_accept_silence", (True,)), ("decline_ends_session", (True,)),
    ("needs_viewer", (True,)), ("queued_restart", (True,)), ("foreign_resumes", (True,)), ("expiry_final", (False,)),
    ("window_opens", ("order", "disconnect")), ("window_closes", ("connected",)),
)


def _people(chance: Chance, parts: Parts) -> None:
    customer, rep = parts["customer"], parts["rep"]
    window_us = profile(parts["given"]["profile"]).resume_window_us
    window_us = parts["account"].get("resume_window_us", window_us)
    prompt_us = parts["account"].get("prompt_timeout_us", MINUTE_US)
    for name, answers in _ANSWERS:
        if chance.one_in(name, 6):
            customer[name] = chance.pick(name, answers)
    for name in ("logs_on_after_us", "dials_after_us"):
        if chance.one_in(name, 6):
            customer[name] = beside(chance, name, window_us) if chance.one_in(name, 2) else Duration(
                chance.spread(name, SECOND_US, 20 * MINUTE_US)
            )
    if chance.one_in("reacts", 8):
        customer["reacts_in_us"] = beside(chance, "reacts", prompt_us)
    if chance.one_in("confirms", 12):
        rep["confirms"] = chance.pick("confirms", ("no", "ignore"))
    if chance.one_in("shares", 4):
        rep["shares_screen"] = False
    if chance.one_in("rep reacts", 12):
        rep["reacts_in_us"] = Duration(chance.spread("rep reacts", SECOND_US, 2 * MINUTE_US))


_ANSWERS: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (
    ("at_restart_prompt", ("no", "ignore")), ("at_sharing_prompt", ("no", "ignore")),
    ("logs_on", ("other user", "wrong password", "temporary profile", "remote desktop", "nobody")),
    ("wrong_passwords_first", (1, 3)), ("at_block_screen", ("cancel", "restart anyway")),
    ("dials", ("never",)), ("redials", (0, 5)),
)


def _switch(part: str, field: str, *values: Any) -> Callable[[Chance, Parts], None]:
    def odd(chance: Chance, parts: Parts) -> None:
        parts[part][field] = chance.pick(field, values) if len(values) > 1 else values[0]

    return odd


ODDITIES: Final = (
    _switch("pc", "prompts_to_dial", False), _switch("pc", "captive_portal", True),
    _switch("pc", "administrator", False), _switch("pc", "fast_startup", True),
    _switch("pc", "logon", "automatic", "automatic but ignored", "automatic with wrong password"),
    _switch("pc", "locks_after_automatic_logon", True), _switch("pc", "temporary_profile", True),
    _switch("pc", "bitlocker", "pin", "asks after boot change"), _switch("pc", "bios_password", True),
    _switch("pc", "updates", "short", "long", "second restart"), _switch("pc", "safe_boot_set_by_owner", True),
    _switch("pc", "safe_mode_network", False), _switch("pc", "safe_mode_hangs", True),
    _switch("pc", "no_bcdedit", True), _switch("pc", "service_misses_start_limit", True),
    _switch("pc", "service_stays_stopped", True), _switch("pc", "loses_elevation", True),
    _switch("pc", "loses_early_start", True), _switch("pc", "black_screen", True),
    _switch("pc", "terminal_server", True), _switch("pc", "forgets_identity", True),
    _switch("pc", "wifi_returns_after_us", *map(Duration, (SECOND_US, 9 * MINUTE_US, 10 * MINUTE_US, 20 * MINUTE_US))),
    _switch("customer", "types_start_up_secret", False), _switch("customer", "logs_in_to_portal", False),
    _switch("customer", "starts_vpn", False), _switch("customer", "cancels_reconnect", True),
    _switch("rep", "takes_session", False), _switch("given", "session", "queued"),
    _switch("given", "kind", "unattended", "meeting"), _switch("given", "platform", "mac", "linux"),
    _switch("given", "customers", 2, 3),
)  # fmt: skip
"""Everything that can be out of the ordinary; a world has at most :data:`MOST_ODDITIES` of them."""


def _durations(chance: Chance) -> dict[str, Duration]:
    """Fix a few draws at one end of their range: a PC that boots in the least, or the most, time."""
    found = {}
    for name in chance.some("durations", _DRAWS, 1 + chance.below("durations", 4)):
        found[name] = Duration(known_draws()[name][chance.below("durations", 2)])
    return found
