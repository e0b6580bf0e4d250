"""The service's desk: which helper is the customer's, and what each is told."""

from __future__ import annotations

import threading

import pytest

from rrsim.agent import host
from rrsim.agent.windows import pipe
from rrsim.agent.windows import pipe_words as words
from rrsim.agent.windows.pipe_words import TO_HELPER, Unpacker, pack


class Channel:
    """A connection without a pipe. Stands in for ``rrsim.agent.windows.pipe_io.PipeChannel``."""

    def __init__(self):
        self.sent = []
        self.closed = False
        self._unpacker = Unpacker(TO_HELPER)

    def start(self, heard, gone):
        self.heard, self.gone = heard, gone

    def send(self, data):
        self.sent += self._unpacker.feed(data)

    def close(self):
        self.closed = True

    def say(self, word):
        self.heard(pack(word))

    def told(self):
        """What the helper was told since the last look."""
        sent, self.sent = self.sent, []
        return sent


class Service:
    """A desk, and what it said to the core and the service."""

    def __init__(self):
        self.said, self.codes, self.gone, self.log = [], [], [], []
        self.desk = pipe.ServiceDesk(
            "pipe", "de", lambda event, wait: self.said.append((event, wait) if wait else event), self.codes.append,
            self.gone.append, self.log.append,
        )

    def helper(self, session=1, user="anna", desktop="visible"):
        channel = Channel()
        self.desk.connected(channel)
        channel.say(words.Here(desktop, user, session))
        return channel


@pytest.fixture
def service():
    return Service()


def test_a_helper_is_told_what_it_missed_and_the_core_hears_of_it(service):
    service.desk.do(host.ShowChat("rep", "one"))
    service.desk.do(host.Capture(True))
    helper = service.helper()
    assert service.said == [host.HelperReady("visible", "anna")]
    assert helper.told() == [
        words.Settings("de", False), words.Forget(), words.Do(host.ShowChat("rep", "one")),
        words.Do(host.Capture(True)),
    ]
    assert service.desk.serves(1)
    assert not service.desk.serves(2)


def test_effects_go_to_the_helper(service):
    helper = service.helper()
    helper.told()
    effects = (host.OpenChat(), host.ShowPrompt(1, "restart"), host.HidePrompt(1), host.Tell("x"), host.CloseChat())
    for effect in effects:
        service.desk.do(effect)
    service.desk.settings("en", True)
    assert helper.told() == [*map(words.Do, effects), words.Settings("en", True)]


def test_a_question_that_nobody_can_be_shown_is_gone(service):
    service.desk.do(host.ShowPrompt(4, "restart"))
    service.desk.do(host.OpenChat())
    assert service.said == [host.PromptGone(4)]


def test_inputs_go_to_the_core(service):
    helper = service.helper()
    helper.say(words.Said(1, host.Answered(1, "yes")))
    helper.say(words.Said(2, host.SessionEnding(), True))
    assert service.said[1:] == [host.Answered(1, "yes"), (host.SessionEnding(), True)]
    assert helper.told()[-1] == words.Heard(2)


def test_the_helper_hears_only_after_the_core_has_dealt_with_it(service):
    helper = service.helper()
    order = []
    service.desk._said = lambda event, wait: order.append(len(helper.sent))
    helper.told()
    helper.say(words.Said(2, host.SessionEnding(), True))
    assert order == [0]
    assert helper.told() == [words.Heard(2)]


def test_a_helper_that_is_gone_loses_nothing(service):
    helper = service.helper()
    helper.say(words.Said(1, host.ChatTyped("mine")))
    helper.gone()
    assert service.said[-1] == host.HelperGone()
    assert service.gone == [1]
    again = service.helper()
    assert words.Do(host.ShowChat("customer", "mine")) in again.told()
    service.desk.do(host.ShowChat("customer", "mine"))
    assert again.told() == [], "the server repeats the transcript after a reconnect"


def test_a_second_helper_of_a_session_is_told_to_quit(service):
    first, second = service.helper(), service.helper()
    assert second.told() == [words.Quit("this session has a helper already")]
    assert second.closed
    second.say(words.Said(1, host.Answered(1, "yes")))
    second.gone()
    assert service.said == [host.HelperReady("visible", "anna")]
    assert service.gone == []
    assert not first.closed


def test_a_lock_is_said_again(service):
    helper = service.helper()
    helper.say(words.Here("locked", "anna", 1))
    helper.say(words.Here("locked", "anna", 1))
    helper.say(words.Here("visible", "anna", 1))
    assert service.said == [host.HelperReady(desktop, "anna") for desktop in ("visible", "locked", "visible")]


def test_the_customer_sits_where_the_desktop_is_visible(service):
    anna = service.helper(1, "anna")
    bert = service.helper(2, "bert", "locked")
    assert service.said == [host.HelperReady("visible", "anna")]
    anna.told()
    anna.say(words.Here("locked", "anna", 1))
    bert.say(words.Here("visible", "bert", 2))
    assert anna.told()[-1] == words.Clear()
    assert service.said[-2:] == [host.HelperGone(), host.HelperReady("visible", "bert")]
    service.desk.do(host.OpenChat())
    assert bert.told()[-1] == words.Do(host.OpenChat())
    anna.say(words.Said(1, host.Answered(1, "yes")))
    assert service.said[-1] == host.HelperReady("visible", "bert"), "only the customer's own desktop answers"
    bert.gone()
    assert service.said[-2:] == [host.HelperGone(), host.HelperReady("locked", "anna")]
    assert service.gone == [2]


def test_a_sign_out_is_not_the_end_of_the_pc(service):
    helper = service.helper()
    helper.say(words.Said(1, host.QueryEndSession("logoff")))
    helper.say(words.Said(2, host.SessionEnding(), True))
    assert service.said == [host.HelperReady("visible", "anna")]
    assert helper.told()[-1] == words.Heard(2), "Windows must not be held up"


def test_a_shutdown_after_a_sign_out_that_was_called_off(service):
    helper = service.helper()
    helper.say(words.Said(1, host.QueryEndSession("logoff")))
    helper.say(words.Said(2, host.EndSessionCancelled("windows")))
    helper.say(words.Said(3, host.QueryEndSession("shutdown")))
    helper.say(words.Said(4, host.SessionEnding(), True))
    assert service.said[1:] == [host.QueryEndSession("shutdown"), (host.SessionEnding(), True)]


def test_a_session_that_is_over_is_forgotten(service):
    helper = service.helper()
    service.desk.do(host.ShowChat("rep", "one"))
    service.desk.forget()
    assert helper.told()[-1] == words.Forget()
    helper.gone()
    assert not [word for word in service.helper().told() if isinstance(word, words.Do) and "one" in str(word)]


def test_the_end_of_the_service_ends_its_helpers(service):
    helper = service.helper()
    service.desk.close()
    assert helper.told()[-1] == words.Quit("the service ends")
    assert helper.closed
    helper.gone()
    assert service.gone == []


def test_a_code_is_taken(service):
    channel = Channel()
    service.desk.connected(channel)
    channel.say(words.Start("4711"))
    assert service.codes == ["4711"]
    assert channel.told() == [words.Taken()]
    assert channel.closed
    assert service.said == []


@pytest.mark.parametrize("data", [pack(words.Start("")), pack(words.Start("x" * 300)), b"\0\0\0\0", b"hello, service"])
def test_whoever_says_anything_else_is_hung_up_on(service, data):
    helper, channel = service.helper(), Channel()
    service.desk.connected(channel)
    channel.heard(data)
    assert channel.closed
    assert service.codes == []
    assert "hung up" in service.log[0]
    assert not helper.closed


def test_a_code_is_in_no_log(service):
    channel = Channel()
    service.desk.connected(channel)
    channel.say(words.Start("canary" * 60))
    assert "canary" not in str(service.log)


def test_whoever_says_nothing_is_hung_up_on(service, monkeypatch):
    monkeypatch.setattr(pipe, "FIRST_WORD_TIMEOUT_S", 0.01)
    channel = Channel()
    service.desk.connected(channel)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(5)
    assert channel.closed


# --- bringing a code ----------------------------------------------------------------------------------------------


class Answering(Channel):
    """The other end of :func:`rrsim.agent.windows.pipe.send_code`."""

    def __init__(self, answer):
        super().__init__()
        self._answer = answer

    def send(self, data):
        assert data == pack(words.Start("4711"))
        if self._answer is None:
            self.gone()
        else:
            self.heard(self._answer)


@pytest.mark.parametrize(("answer", "taken"), [
    (pack(words.Taken()), True), (pack(words.Quit("no")), False), (b"\0\0\0\0", False), (None, False),
])
def test_a_code_is_handed_over(answer, taken):
    channel = Answering(answer)
    assert pipe.send_code("pipe", "4711", lambda _: channel) is taken
    assert channel.closed


def test_nobody_there_takes_no_code():
    def opened(name):
        raise pipe.NotThere(name)

    assert not pipe.send_code("pipe", "4711", opened)


def test_elsewhere_there_are_no_named_pipes(service):
    with pytest.raises(pipe.NotThere):
        service.desk.start()
    with pytest.raises(pipe.NotThere):
        pipe.serve_codes("pipe", print)
    with pytest.raises(pipe.NotThere):
        pipe.application_pipe()
    assert pipe.service_pipe().startswith("\\\\.\\pipe\\")
