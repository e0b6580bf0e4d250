"""Account settings and the named profiles they come from (rule 10).

A profile is a full set of account settings under a name; a scenario starts from one and overrides single settings.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.protocol.messages import AgentSettings

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
CLAIM_US: Final = 30 * SECOND_US
"""How long after the window an endpoint that was connected in time may take for its claim, where the window closes with
the connection (rule 1)."""


class Account(msgspec.Struct, frozen=True, gc=False, cache_hash=True, forbid_unknown_fields=True):
    """What an account's administrator can set. Durations in microseconds."""

    profile: str = "gotoassist-corporate"
    restart_allowed: bool = True
    """The feature is switched on for the representative's group (IN-04)."""
    ask_before_restart: bool = False
    """The customer is asked before a restart (R7)."""
    ask_before_sharing: bool = False
    """The customer is asked again before screen sharing returns (R9)."""
    auto_accept_silence: bool = False
    """Silence at the restart prompt counts as Yes, recorded as *no human consent* (CO-04, rule 6)."""
    decline_ends_session: bool = False
    """A customer's No to the restart ends the session (CO-02, product variant)."""
    needs_viewer: bool = False
    """The restart is offered only while the screen is shared (IN-05, product variant)."""
    queued_restart: bool = False
    """A queued session may be restarted too and resumes to the queue (IN-06, product variant)."""
    phone_mode: bool = False
    window_opens: Literal["order", "announcement", "disconnect"] = "announcement"
    """Rule 1. ``announcement`` means: the agent's announcement or the loss of connection, whichever is first."""
    window_closes: Literal["connected", "resumed"] = "resumed"
    foreign_resumes: bool = False
    """A foreign restart resumes too (rule 3, product variant SETME)."""
    expiry_final: bool = True
    """False: past the window the session is shown offline but a late agent still resumes (EX-05)."""
    resume_window_us: int = 10 * MINUTE_US
    restart_limit_us: int = 5 * MINUTE_US
    prompt_timeout_us: int = MINUTE_US
    rep_grace_us: int = 5 * MINUTE_US
    """How long a session waits for a lost representative's console before it goes back to the queue (RE-02)."""
    idle_timeout_us: int = 0
    """The session ends after this long without a chat line or action; 0 = never; not while rebooting (EX-07)."""
    heartbeat_us: int = MINUTE_US
    silence_us: int = 150 * SECOND_US
    retry_first_us: int = 2 * SECOND_US
    retry_max_us: int = 30 * SECOND_US
    give_up_us: int = 0
    """The agent stops trying to come back after this long; 0 means: after the time in which the server must have
    missed a sign of life, and one resume window."""
    language: str = "en"

    def for_agent(self) -> AgentSettings:
        """Return the part of the account that travels to the agent."""
        return AgentSettings(
            phone_mode=self.phone_mode,
            prompt_timeout_us=self.prompt_timeout_us,
            restart_limit_us=self.restart_limit_us,
            heartbeat_us=self.heartbeat_us,
            silence_us=self.silence_us,
            retry_first_us=self.retry_first_us,
            retry_max_us=self.retry_max_us,
            resume_window_us=self.resume_window_us,
            give_up_us=self.give_up_us,
            language=self.language,
        )


PROFILES: Final[dict[str, Account]] = {
    p.profile: p
    for p in (
        Account(),
        Account(profile="rescue", resume_window_us=5 * MINUTE_US, expiry_final=False, queued_restart=True,
                give_up_us=240 * MINUTE_US),
        Account(profile="realvnc", resume_window_us=20 * MINUTE_US),
        Account(profile="setme", foreign_resumes=True),
        Account(profile="auto-accept", ask_before_restart=True, auto_accept_silence=True),
        Account(profile="remote-access", needs_viewer=True),
        Account(profile="strict-consent", ask_before_restart=True, ask_before_sharing=True, decline_ends_session=True),
    )
}
"""Named profiles; the first is the default. Sources: edge cases EX-05, EX-06, IN-03, IN-05, IN-06, CO-02, CO-04."""


def profile(name: str) -> Account:
    """Return the account settings of a named profile.

    Raises:
        KeyError: no such profile; the message lists the known ones.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise KeyError(f"no profile named {name!r}; known profiles: {', '.join(PROFILES)}") from None
