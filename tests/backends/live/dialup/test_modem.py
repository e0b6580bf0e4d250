"""The modem, input by input: what is typed, what it says, what it does with the line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.backends.live.dialup import modem as m
from rrsim.protocol.timers import TimerFired

Effects = list[m.Effect]


def said(effects: Effects) -> str:
    """What the guest reads."""
    return b"".join(effect.data for effect in effects if isinstance(effect, m.ToGuest)).decode("latin-1")


def of(effects: Effects, kind: type[m.Effect]) -> Effects:
    """Only the effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def typed(modem: m.Modem, text: str) -> Effects:
    """Type a line."""
    return modem.take(m.FromGuest(text.encode("latin-1") + b"\r"))


def quiet() -> m.Modem:
    """A modem that does not echo."""
    modem = m.Modem()
    typed(modem, "ATE0")
    return modem


def connected(modem: m.Modem | None = None, rate_bps: int = 56_000) -> m.Modem:
    """A modem in the middle of a call."""
    modem = modem or quiet()
    typed(modem, "ATDT5551234")
    modem.take(TimerFired(m.SETTLE))
    modem.take(m.Carrier(rate_bps))
    assert modem.mode == "online"
    return modem


OK, ERROR = "\r\nOK\r\n", "\r\nERROR\r\n"


@pytest.mark.parametrize(("line", "answer"), [
    ("AT", OK),
    ("at", OK),
    ("AT E0 V1 Q0", OK),
    ("AT&F&C1&D2X4M1L2", OK),
    ("ATS7=60S30=0L0M1\\N3%C1&K3B0B15B2N1\\J1X4", OK),  # as Windows' own modem file sets up a standard modem
    ("ATZ", OK),
    ("ATZ nonsense after Z is ignored", OK),
    ("ATH", OK),
    ("ATH1", OK),
    ("ATH2", ERROR),
    ("ATO", "\r\nNO CARRIER\r\n"),
    ("ATA", "\r\nNO CARRIER\r\n"),
    ("ATE2", ERROR),
    ("ATX5", ERROR),
    ("ATI", "\r\nrrsim modem\r\n" + OK),
    ("ATI3", "\r\nrrsim modem\r\n" + OK),
    ("ATS7?", "\r\n050\r\n" + OK),
    ("ATS7=33S7?", "\r\n033\r\n" + OK),
    ("ATS7=33?", ERROR.replace("ERROR", "033") + OK),
    ("ATS100=1", ERROR),
    ("ATS7=256", ERROR),
    ("AT+GMM", "\r\nrrsim modem\r\n" + OK),
    ("AT+FCLASS=?", "\r\n0\r\n" + OK),
    ("AT+FCLASS=0", OK),
    ("AT+FCLASS=1", ERROR),
    ("AT+MS=V90;X4", OK),
    ("AT+NOTHING=1", ERROR),
    ("ATU", ERROR),
    ("ATD", ERROR),
    ("ATD55;", ERROR),
    ("ATDT555!", "dialled"),
    ("ATDL", ERROR),
    ("ATU;DT5551234", ERROR),
    ("hello", ""),
    ("", ""),
    ("xxAT", OK),
    ("AAT", OK),
])
def test_command_lines_and_their_answers(line: str, answer: str) -> None:
    modem = quiet()
    effects = typed(modem, line)
    if answer == "dialled":
        assert of(effects, m.Dial)
        assert said(effects) == ""
    else:
        assert (said(effects), of(effects, m.Dial)) == (answer, [])


def test_it_echoes_until_it_is_told_not_to() -> None:
    modem = m.Modem()
    assert said(typed(modem, "AT")) == "AT\r" + OK
    assert said(typed(modem, "ATE0")) == "ATE0\r" + OK
    assert said(typed(modem, "AT")) == OK
    assert said(typed(modem, "AT&F")) == OK  # the echo is back only after that line
    assert said(typed(modem, "AT")).startswith("AT\r")


def test_numeric_and_silent_results() -> None:
    modem = quiet()
    assert said(typed(modem, "ATV0")) == "0\r"
    assert said(typed(modem, "ATU")) == "4\r"
    assert said(typed(modem, "ATS0?")) == "000\r\n0\r"
    assert said(typed(modem, "ATQ1")) == ""
    assert said(typed(modem, "ATU")) == ""
    assert said(typed(modem, "ATQ0V1")) == OK


def test_backspace_and_repetition() -> None:
    modem = quiet()
    assert said(typed(modem, "ATE9\b0")) == OK
    assert said(typed(modem, "ATU\b\b\b\bS7?")) == "\r\n050\r\n" + OK  # the AT cannot be taken back
    assert said(modem.take(m.FromGuest(b"A/"))) == "\r\n050\r\n" + OK  # at once, without an end of line


@pytest.mark.parametrize(("line", "number", "pause_us", "second_tones"), [
    ("ATDT5551234", "5551234", 0, 0),
    ("ATDP555-1234", "5551234", 0, 0),
    ("ATD 0,, (030) 12 34", "00301234", 4_000_000, 0),
    ("ATS8=5DT0,1", "01", 5_000_000, 0),
    ("ATDT0W5551234", "05551234", 0, 1),
    ("ATX3DT*70#9", "*70#9", 0, 0),
])
def test_numbers(line: str, number: str, pause_us: int, second_tones: int) -> None:
    modem = quiet()
    effects = typed(modem, line)
    assert of(effects, m.Dial) == [m.Dial(number, pause_us, second_tones)]
    assert m.SetTimer(m.WAIT, 50_000_000 + pause_us) in effects
    assert modem.mode == "dialling"
    modem.take(m.Failed("BUSY"))
    assert of(typed(modem, "ATDL"), m.Dial) == [m.Dial(number, pause_us, second_tones)]


@pytest.mark.parametrize(("setting", "result", "heard"), [
    ("X4", "BUSY", "BUSY"), ("X3", "BUSY", "BUSY"), ("X2", "BUSY", "NO CARRIER"), ("X0", "BUSY", "NO CARRIER"),
    ("X4", "NO DIALTONE", "NO DIALTONE"), ("X2", "NO DIALTONE", "NO DIALTONE"), ("X3", "NO DIALTONE", "NO CARRIER"),
    ("X1", "NO ANSWER", "NO ANSWER"), ("X4", "NO CARRIER", "NO CARRIER"),
    ("V0", "BUSY", "7"), ("V0", "NO DIALTONE", "6"), ("V0", "NO ANSWER", "8"), ("V0", "NO CARRIER", "3"),
])
def test_calls_that_come_to_nothing(setting: str, result: str, heard: str) -> None:
    modem = quiet()
    typed(modem, f"AT{setting}")
    typed(modem, "ATDT5551234")
    effects = modem.take(m.Failed(result))  # type: ignore[arg-type] -- the table has only the four results
    assert said(effects).strip() == heard
    assert of(effects, m.HangUp)
    assert modem.mode == "command"
    assert m.CancelTimer(m.WAIT) in effects


def test_a_call_connects_and_says_its_rate() -> None:
    modem = quiet()
    typed(modem, "ATDT5551234")
    modem.take(m.Ringback())
    modem.take(m.PickedUp())
    assert said(modem.take(m.Carrier(49_333))) == "\r\nCONNECT 49333\r\n"
    assert modem.take(m.FromGuest(b"\x7e\xff")) [0] == m.ToLine(b"\x7e\xff")
    assert modem.take(m.FromLine(b"\x00AT\r")) == [m.ToGuest(b"\x00AT\r")]


@pytest.mark.parametrize(("setting", "heard"), [("X0", "\r\nCONNECT\r\n"), ("V0", "1\r"), ("Q1", "")])
def test_how_connect_is_said(setting: str, heard: str) -> None:
    modem = quiet()
    typed(modem, f"AT{setting}")
    typed(modem, "ATDT1")
    assert said(modem.take(m.Carrier(56_000))) == heard


def test_no_carrier_in_the_time_of_s7() -> None:
    modem = quiet()
    assert m.SetTimer(m.WAIT, 20_000_000) in typed(modem, "ATS7=20DT5551234")
    effects = modem.take(TimerFired(m.WAIT))
    assert (said(effects), modem.mode) == ("\r\nNO CARRIER\r\n", "command")
    typed(modem, "ATDT5551234")
    modem.take(m.Ringback())
    assert said(modem.take(TimerFired(m.WAIT))) == "\r\nNO ANSWER\r\n"
    typed(modem, "ATDT5551234")
    modem.take(m.Ringback())
    modem.take(m.PickedUp())
    assert said(modem.take(TimerFired(m.WAIT))) == "\r\nNO CARRIER\r\n"


def test_a_key_gives_the_call_up_but_not_at_once() -> None:
    modem = quiet()
    modem.take(m.FromGuest(b"ATDT5551234\r\n"))  # a line feed behind the command is no wish
    assert modem.mode == "dialling"
    modem.take(TimerFired(m.SETTLE))
    effects = modem.take(m.FromGuest(b" "))
    assert (said(effects), modem.mode) == ("\r\nNO CARRIER\r\n", "command")
    assert of(effects, m.HangUp) == [m.HangUp()]
    assert modem.take(m.Carrier(56_000)) == []  # too late


def test_escape_with_silence_before_and_after() -> None:
    modem = connected()
    modem.take(TimerFired(m.GUARD))
    effects = modem.take(m.FromGuest(b"+++"))
    assert effects == [m.ToLine(b"+++"), m.SetTimer(m.GUARD, 1_000_000)]
    assert said(modem.take(TimerFired(m.GUARD))) == OK
    assert modem.mode == "escaped"
    assert modem.take(m.FromLine(b"data")) == []
    assert said(typed(modem, "ATDT1")) == ERROR
    assert said(typed(modem, "ATO")) == "\r\nCONNECT 56000\r\n"
    assert modem.mode == "online"


def test_escape_typed_one_by_one() -> None:
    modem = connected()
    modem.take(TimerFired(m.GUARD))
    for _ in range(3):
        modem.take(m.FromGuest(b"+"))
    modem.take(TimerFired(m.GUARD))
    assert modem.mode == "escaped"


@pytest.mark.parametrize("story", [
    [b"+++", TimerFired(m.GUARD)],  # no silence before
    [TimerFired(m.GUARD), b"++", TimerFired(m.GUARD), b"+", TimerFired(m.GUARD)],
    [TimerFired(m.GUARD), b"++++", TimerFired(m.GUARD)],
    [TimerFired(m.GUARD), b"+++", b"x", TimerFired(m.GUARD)],
    [TimerFired(m.GUARD), b"+++x", TimerFired(m.GUARD)],
    [TimerFired(m.GUARD), b"+++"],  # no silence after
])
def test_what_is_no_escape(story: list[bytes | TimerFired]) -> None:
    modem = connected()
    for event in story:
        modem.take(m.FromGuest(event) if isinstance(event, bytes) else event)
    assert modem.mode == "online"


def test_the_registers_of_the_escape() -> None:
    modem = quiet()
    typed(modem, "ATS12=100S2=126")
    connected(modem)
    assert modem.take(m.FromGuest(b"~"))[1] == m.SetTimer(m.GUARD, 2_000_000)
    modem.take(TimerFired(m.GUARD))
    modem.take(m.FromGuest(b"~~~"))
    modem.take(TimerFired(m.GUARD))
    assert modem.mode == "escaped"
    never = quiet()
    typed(never, "ATS2=200")
    connected(never)
    never.take(TimerFired(m.GUARD))
    never.take(m.FromGuest(bytes([200]) * 3))
    never.take(TimerFired(m.GUARD))
    assert never.mode == "online"


@pytest.mark.parametrize("how", ["ATH", "ATH0", "ATZ"])
def test_hanging_up(how: str) -> None:
    modem = connected()
    modem.take(TimerFired(m.GUARD))
    modem.take(m.FromGuest(b"+++"))
    modem.take(TimerFired(m.GUARD))
    effects = typed(modem, how)
    assert of(effects, m.HangUp) == [m.HangUp()]
    assert (said(effects), modem.mode) == (OK, "command")


def test_a_cut_line_is_noticed_after_s10() -> None:
    modem = connected()
    assert modem.take(m.LineCut()) == [m.CancelTimer(m.GUARD), m.SetTimer(m.FADE, 1_400_000)]
    assert modem.take(m.FromGuest(b"lost")) == []
    assert modem.take(m.FromLine(b"late")) == []
    effects = modem.take(TimerFired(m.FADE))
    assert (said(effects), modem.mode) == ("\r\nNO CARRIER\r\n", "command")
    deaf = quiet()
    typed(deaf, "ATS10=255")
    connected(deaf)
    assert deaf.take(m.LineCut()) == []
    assert deaf.mode == "online"


def test_the_far_end_that_hangs_up_is_noticed_at_once() -> None:
    modem = connected()
    effects = modem.take(m.FarEndHungUp())
    assert (said(effects), modem.mode) == ("\r\nNO CARRIER\r\n", "command")
    fading = connected()
    fading.take(m.LineCut())
    assert said(fading.take(m.FarEndHungUp())) == "\r\nNO CARRIER\r\n"
    dialling = quiet()
    typed(dialling, "ATDT1")
    assert said(dialling.take(m.LineCut())) == "\r\nNO CARRIER\r\n"


def test_ringing_and_answering() -> None:
    modem = quiet()
    assert said(modem.take(m.RingsIn())) == "\r\nRING\r\n"
    effects = typed(modem, "ATA")
    assert of(effects, m.Answer) == [m.Answer()]
    assert modem.mode == "dialling"
    automatic = quiet()
    typed(automatic, "ATS0=2")
    assert of(automatic.take(m.RingsIn()), m.Answer) == []
    automatic.take(m.RingsNoMore())
    assert of(automatic.take(m.RingsIn()), m.Answer) == []
    assert of(automatic.take(m.RingsIn()), m.Answer) == [m.Answer()]
    assert connected().take(m.RingsIn()) == []


def test_power_loss_forgets_everything() -> None:
    modem = connected()
    effects = modem.take(m.PowerLost())
    assert m.HangUp() in effects
    assert said(effects) == ""
    assert said(typed(modem, "AT")) == "AT\r" + OK
    assert m.Modem().take(m.PowerLost()) == []


def test_lines_that_are_too_long_are_an_error_and_cost_nothing() -> None:
    modem = quiet()
    assert said(modem.take(m.FromGuest(b"AT" + b"X" * 1_000_000))) == ""
    assert len(modem._line) <= m.MOST_LINE_CHARACTERS
    assert said(modem.take(m.FromGuest(b"\r"))) == ERROR
    assert said(typed(modem, "AT")) == OK


def test_an_input_of_another_kind_is_refused() -> None:
    modem = quiet()
    with pytest.raises(m.NotUnderstood, match="expected an input of a modem, saw str"):
        modem.take("ATZ")
    assert said(typed(modem, "AT")) == OK


EVENTS = st.one_of(
    st.binary(max_size=80).map(m.FromGuest),
    st.text("ATDHZESOXVQ+&0123456789=?,;/\r\n \b", max_size=30).map(lambda text: m.FromGuest(text.encode())),
    st.sampled_from([b"ATDT5551234\r", b"+++", b"ATO\r", b"ATH\r", b"A/", b"ATS0=1\r"]).map(m.FromGuest),
    st.binary(max_size=40).map(m.FromLine),
    st.sampled_from([m.GUARD, m.WAIT, m.SETTLE, m.FADE, "other"]).map(TimerFired),
    st.sampled_from(["BUSY", "NO DIALTONE", "NO ANSWER", "NO CARRIER"]).map(m.Failed),
    st.sampled_from([
        m.Ringback(), m.PickedUp(), m.Carrier(56_000), m.LineCut(), m.FarEndHungUp(), m.RingsIn(), m.RingsNoMore(),
        m.PowerLost(),
    ]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_whatever_comes_it_stays_a_modem(story: list[m.Input]) -> None:
    modem = m.Modem()
    off_hook = False
    for event in story:
        before = modem.mode
        effects = modem.take(event)
        for effect in effects:
            match effect:
                case m.Dial() | m.Answer():
                    assert not off_hook
                    off_hook = True
                case m.HangUp():
                    assert off_hook
                    off_hook = False
                case m.ToLine():
                    assert modem.mode in ("online", "escaped") or before == "online"
                case m.SetTimer():
                    assert 0 <= effect.after_us <= 60_000_000_000
                case _:
                    pass
        assert off_hook == (modem.mode != "command")
        assert len(modem._line) <= m.MOST_LINE_CHARACTERS
        assert all(0 <= value <= 255 for value in modem.registers)
    modem.take(m.PowerLost())
    assert said(typed(modem, "AT")) == "AT\r" + OK


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=6), max_size=12))
def test_a_call_is_transparent(pieces: list[bytes]) -> None:
    modem = connected()
    crossed = b"".join(
        effect.data for piece in pieces for effect in modem.take(m.FromGuest(piece)) if isinstance(effect, m.ToLine)
    )
    assert crossed == b"".join(pieces)
