"""The helper: shows what the service asks for, says what happens, ends with the pipe."""

from __future__ import annotations

import threading

import pytest

from rrsim.agent import host
from rrsim.agent.windows import helper, pipe
from rrsim.agent.windows import pipe_words as words
from rrsim.agent.windows.pipe_words import TO_SERVICE, Unpacker, pack
from rrsim.agent.windows.ui import NoDesktop

HERE = words.Here("visible", "anna", 2)
DEADLINE_S = 5.0


class Channel:
    """A connection without a pipe. Stands in for ``rrsim.agent.windows.pipe_io.PipeChannel``."""

    def __init__(self):
        self.said, self.closed = [], False
        self.started = threading.Event()
        self._unpacker = Unpacker(TO_SERVICE)
        self.on_said = lambda word: None

    def start(self, heard, gone):
        self.heard, self.gone = heard, gone
        self.started.set()

    def send(self, data):
        for word in self._unpacker.feed(data):
            self.said.append(word)
            self.on_said(word)

    def close(self):
        self.closed = True

    def tell(self, word):
        self.heard(pack(word))


class Ui:
    """A user interface that only remembers. Stands in for ``rrsim.agent.windows.ui.DesktopUi``."""

    def __init__(self, emit, changed):
        self.emit, self.changed, self.did = emit, changed, []

    def start(self):
        self.did.append("start")

    def do(self, effect):
        self.did.append(effect)

    def settings(self, language, phone_mode):
        self.did.append((language, phone_mode))

    def clear(self):
        self.did.append("clear")

    def forget(self):
        self.did.append("forget")

    def close(self):
        self.did.append("close")


class Rig:
    """A helper that runs in a thread."""

    def __init__(self):
        self.channel, self.log = Channel(), []
        self.helper = helper.Helper(self.channel, self._make, lambda: HERE, self.log.append)
        self.thread = threading.Thread(target=self.helper.run, daemon=True)
        self.thread.start()
        assert self.channel.started.wait(DEADLINE_S)

    def _make(self, emit, changed):
        self.ui = Ui(emit, changed)
        return self.ui

    def ended(self):
        self.thread.join(DEADLINE_S)
        return not self.thread.is_alive()


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.channel.gone()
    assert rig.ended()


def test_it_shows_what_it_is_told(rig):
    rig.channel.tell(words.Settings("de", True))
    rig.channel.tell(words.Do(host.OpenChat()))
    rig.channel.tell(words.Forget())
    rig.channel.tell(words.Clear())
    assert rig.ui.did == ["start", ("de", True), host.OpenChat(), "forget", "clear"]


def test_it_says_what_happens(rig):
    rig.ui.emit(host.Answered(1, "yes"), False)
    rig.ui.emit(host.ChatTyped("hello"), False)
    said = [word for word in rig.channel.said if isinstance(word, words.Said)]
    assert said == [words.Said(1, host.Answered(1, "yes")), words.Said(2, host.ChatTyped("hello"))]


def test_it_cannot_say_what_is_the_services_to_say(rig):
    rig.ui.emit(host.CustomerStarts("4711"), False)
    assert not [word for word in rig.channel.said if isinstance(word, words.Said)]
    assert rig.log


def test_it_waits_until_the_service_has_said_goodbye(rig):
    rig.channel.on_said = lambda word: isinstance(word, words.Said) and rig.channel.tell(words.Heard(word.number))
    rig.ui.emit(host.SessionEnding(), True)
    assert rig.channel.said[-1] == words.Said(1, host.SessionEnding(), True)
    assert rig.log == []


def test_it_does_not_wait_for_ever(rig, monkeypatch):
    monkeypatch.setattr(helper, "GOODBYE_TIMEOUT_S", 0.01)
    rig.ui.emit(host.SessionEnding(), True)
    assert "did not answer" in rig.log[0]


def test_a_broken_pipe_ends_the_waiting_too(rig):
    rig.channel.on_said = lambda word: rig.channel.gone()
    rig.ui.emit(host.SessionEnding(), True)
    assert rig.log == []


def test_lock_and_unlock_are_said_once_each(rig):
    for code in (7, 7, 8, 2, 1, 5, 6):
        rig.ui.changed(code)
    desktops = [word.desktop for word in rig.channel.said if isinstance(word, words.Here)]
    assert desktops[-4:] == ["locked", "visible", "locked", "visible"]
    assert len(desktops) <= 5


@pytest.mark.parametrize("how", ["quit", "gone", "nonsense"])
def test_it_ends_with_the_service(how):
    rig = Rig()
    if how == "quit":
        rig.channel.tell(words.Quit("enough"))
    elif how == "gone":
        rig.channel.gone()
    else:
        rig.channel.heard(b"\xff\xff\xff\xff")
    assert rig.ended()
    assert rig.ui.did[-1] == "close"
    assert rig.channel.closed


def test_it_tries_again_until_the_service_is_there():
    pauses, tries = [], []

    def opened(name):
        tries.append(name)
        if len(tries) < 8:
            raise pipe.NotThere("nobody listens")
        return "channel"

    assert helper.connect("pipe", pytest.fail, opened, pauses.append) == "channel"
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_it_gives_up_and_says_what_it_saw():
    log, pauses = [], []

    def opened(name):
        raise pipe.NotThere("nobody listens")

    assert helper.connect("pipe", log.append, opened, pauses.append) is None
    assert 30 < sum(pauses) < 90
    assert "nobody listens" in log[0]


def test_elsewhere_there_is_no_helper():
    with pytest.raises(NoDesktop):
        helper.main()
