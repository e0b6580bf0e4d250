"""What the customer does to the windows, and what becomes of the windows without the customer."""

from __future__ import annotations

import pytest

from rrsim.agent import host
from rrsim.agent.windows import ui
from rrsim.agent.windows import ui_forms as forms
from rrsim.agent.windows.texts import Texts

CHAT, SESSION = forms.CHAT_CLASS, forms.SESSION_CLASS
RESTART, SHARING, LEAVE = (forms.PROMPT_CLASSES[kind] for kind in ("restart", "sharing", "leave"))


# --- chat ---------------------------------------------------------------------------------------------------------


def test_the_chat_window_opens_once(desk):
    desk.do(host.OpenChat(), host.OpenChat())
    assert desk.only(CHAT).fronts == 1
    assert desk.said == []


def test_the_agents_own_close_is_nobodys_close(desk):
    desk.do(host.OpenChat(), host.CloseChat())
    assert desk.open(CHAT) == []
    assert desk.said == []


@pytest.mark.parametrize("how", [("closed by person", 0), ("pressed", forms.END_SESSION)])
def test_a_close_by_the_customer_is_only_a_wish(desk, how):
    desk.do(host.OpenChat())
    desk.event(desk.only(CHAT), *how)
    assert desk.said == [host.CloseClicked()]
    assert desk.open(CHAT)


@pytest.mark.parametrize(("event", "by"), [("closed by program", "restart manager"), ("destroyed", "windows")])
def test_a_window_that_vanishes_is_not_the_customers_close(desk, event, by):
    desk.do(host.OpenChat())
    desk.event(desk.only(CHAT), event)
    assert desk.said == [host.ChatDestroyed(by)]
    desk.do(host.ShowChat("rep", "still here"), host.OpenChat())
    assert "still here" in desk.only(CHAT).text(forms.TRANSCRIPT)


def test_a_line_is_sent_shown_and_gone_from_the_edit(desk):
    desk.do(host.OpenChat())
    chat = desk.only(CHAT)
    chat.set_text(forms.LINE, "  Grüße  ")
    desk.event(chat, "pressed", forms.SEND)
    assert desk.said == [host.ChatTyped("Grüße")]
    assert chat.text(forms.LINE) == ""
    assert chat.text(forms.TRANSCRIPT) == "You: Grüße\n"


def test_an_empty_line_is_not_sent(desk):
    desk.do(host.OpenChat())
    desk.only(CHAT).set_text(forms.LINE, "   ")
    desk.event(desk.only(CHAT), "pressed", forms.SEND)
    assert desk.said == []


def test_escape_does_nothing_to_the_chat(desk):
    desk.do(host.OpenChat())
    desk.event(desk.only(CHAT), "pressed", forms.CANCEL)
    assert desk.said == []


def test_lines_survive_a_chat_that_is_opened_again(desk):
    desk.do(host.ShowChat("rep", "one"), host.OpenChat(), host.ShowChat("server", "two"))
    desk.do(host.CloseChat(), host.OpenChat())
    assert desk.only(CHAT).text(forms.TRANSCRIPT) == "rep: one\nSupport service: two\n"


def test_a_session_that_is_over_is_forgotten(desk):
    desk.do(host.OpenChat(), host.ShowChat("rep", "one"))
    desk.ui.forget()
    desk.settle()
    assert desk.only(CHAT).text(forms.TRANSCRIPT) == ""


def test_a_line_not_sent_goes_back_to_the_edit(desk):
    desk.do(host.OpenChat())
    chat = desk.only(CHAT)
    chat.set_text(forms.LINE, "hello")
    desk.event(chat, "pressed", forms.SEND)
    desk.do(host.Tell("line not sent"))
    assert chat.text(forms.LINE) == "hello"
    assert chat.text(forms.TRANSCRIPT) == ""
    assert desk.open(forms.NOTICE_CLASS)


def test_the_customers_line_is_shown_once_although_the_server_repeats_it(desk):
    desk.do(host.OpenChat(), host.ShowChat("customer", "before the restart"))
    chat = desk.only(CHAT)
    chat.set_text(forms.LINE, "now")
    desk.event(chat, "pressed", forms.SEND)
    desk.do(host.ShowChat("customer", "now"))
    assert chat.text(forms.TRANSCRIPT) == "You: before the restart\nYou: now\n"


def test_sharing_is_said_in_the_chat_window(desk):
    desk.do(host.Capture(True), host.OpenChat())
    assert desk.only(CHAT).shown[forms.SHARED]
    desk.do(host.Capture(False))
    assert not desk.only(CHAT).shown[forms.SHARED]


def test_phone_mode_has_a_small_window(make_desk):
    desk = make_desk("en", True)
    desk.do(host.OpenChat(), host.ShowChat("rep", "unseen"))
    desk.event(desk.only(SESSION), "closed by person")
    assert desk.said == [host.CloseClicked()]
    assert desk.open(CHAT) == []


def test_settings_change_what_is_open_and_keep_what_is_being_typed(desk):
    desk.do(host.OpenChat(), host.ShowChat("rep", "one"), host.ShowCancel())
    desk.only(CHAT).set_text(forms.LINE, "half a l")
    desk.ui.settings("de", False)
    desk.settle()
    chat = desk.only(CHAT)
    assert chat.form.title == Texts("de", pytest.fail)["chat.title"]
    assert chat.text(forms.LINE) == "half a l"
    assert chat.text(forms.TRANSCRIPT) == "rep: one\n"
    assert desk.only(forms.CANCEL_CLASS).form.title == Texts("de", pytest.fail)["cancel.title"]
    assert desk.said == []


def test_settings_that_are_the_same_leave_the_window_alone(desk):
    desk.do(host.OpenChat())
    chat = desk.only(CHAT)
    desk.ui.settings("en", False)
    desk.settle()
    assert desk.only(CHAT) is chat


# --- questions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "cls"), [("restart", RESTART), ("sharing", SHARING), ("leave", LEAVE)])
@pytest.mark.parametrize(("button", "answer"), [(forms.YES, "yes"), (forms.NO, "no")])
def test_a_button_answers_the_question(desk, kind, cls, button, answer):
    desk.do(host.ShowPrompt(7, kind))
    pane = desk.only(cls)
    desk.event(pane, "pressed", button)
    assert desk.said == [host.Answered(7, answer)]
    assert not pane.alive
    desk.event(pane, "pressed", button)
    assert len(desk.said) == 1, "a second press answers nothing"


@pytest.mark.parametrize(("kind", "cls", "answer"), [
    ("restart", RESTART, "no"), ("sharing", SHARING, "no"), ("leave", LEAVE, "yes"),
])
@pytest.mark.parametrize("how", [("closed by person", 0), ("pressed", forms.CANCEL)])
def test_closing_a_question_changes_nothing(desk, kind, cls, answer, how):
    desk.do(host.ShowPrompt(1, kind))
    desk.event(desk.only(cls), *how)
    assert desk.said == [host.Answered(1, answer)]


@pytest.mark.parametrize("event", ["closed by program", "destroyed"])
def test_a_question_that_vanishes_was_not_answered(desk, event):
    desk.do(host.ShowPrompt(1, "restart"))
    desk.event(desk.only(RESTART), event)
    assert desk.said == [host.PromptGone(1)]


def test_a_question_taken_back_is_unheard(desk):
    desk.do(host.ShowPrompt(1, "restart"), host.HidePrompt(2), host.HidePrompt(1))
    assert desk.open(RESTART) == []
    assert desk.said == []


def test_a_newer_question_replaces_an_older_one_of_its_kind(desk):
    desk.do(host.ShowPrompt(1, "restart"), host.ShowPrompt(1, "restart"), host.ShowPrompt(2, "restart"))
    assert desk.said == [host.PromptGone(1)]
    desk.event(desk.only(RESTART), "pressed", forms.YES)
    assert desk.said[-1] == host.Answered(2, "yes")


# --- the way out, notices -----------------------------------------------------------------------------------------


def test_the_reconnect_is_cancelled_by_its_button_only(desk):
    desk.do(host.ShowCancel(), host.ShowCancel())
    desk.event(desk.only(forms.CANCEL_CLASS), "pressed", forms.CANCEL)
    assert desk.said == []
    desk.event(desk.only(forms.CANCEL_CLASS), "pressed", forms.CANCEL_RECONNECT)
    assert desk.said == [host.CancelClicked()]
    assert desk.open(forms.CANCEL_CLASS) == []


@pytest.mark.parametrize("event", ["closed by program", "destroyed"])
def test_the_option_to_cancel_comes_back(desk, event):
    desk.do(host.ShowCancel())
    desk.event(desk.only(forms.CANCEL_CLASS), event)
    desk.settle()
    assert desk.only(forms.CANCEL_CLASS)
    desk.do(host.HideCancel())
    assert desk.open(forms.CANCEL_CLASS) == []
    assert desk.said == []


def test_a_notice_is_read_and_gone(desk):
    desk.do(host.Tell("expired"))
    notice = desk.only(forms.NOTICE_CLASS)
    assert "expired" in notice.text(forms.TEXT)
    desk.event(notice, "pressed", forms.OK)
    assert desk.open(forms.NOTICE_CLASS) == []
    assert desk.said == []


def test_notices_do_not_fill_the_screen(desk):
    desk.do(*(host.Tell("ended") for _ in range(20)))
    assert len(desk.open(forms.NOTICE_CLASS)) == ui.MAX_NOTICES


def test_close_lets_a_notice_be_read_but_not_for_ever(desk):
    desk.do(host.Tell("ended"))
    desk.ui.close(read_within_s=0.05)
    assert not desk.ui._thread.is_alive()


def test_close_goes_on_when_the_notice_was_read(desk):
    desk.do(host.Tell("ended"))
    notice = desk.only(forms.NOTICE_CLASS)
    desk.event(notice, "closed by person")
    desk.ui.close(read_within_s=30)
    assert not desk.ui._thread.is_alive()


def test_clear_closes_everything_but_what_was_told(desk):
    desk.do(host.OpenChat(), host.ShowPrompt(1, "restart"), host.ShowCancel(), host.Tell("ended"))
    desk.ui.clear()
    desk.settle()
    assert {pane.form.cls for pane in desk.glass.panes if pane.alive} == {forms.NOTICE_CLASS}
    assert desk.said == []


# --- the end of the session ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "kind"), [(0, "shutdown"), (1, "closeapp"), (0x80000000, "logoff")])
def test_windows_asks(desk, bits, kind):
    desk.ui.query_end(bits)
    assert desk.said == [host.QueryEndSession(kind)]


def test_the_end_is_waited_for_and_what_it_asks_for_is_done(desk):
    desk.do(host.OpenChat())
    asked = desk.said.append

    def emit(event, wait):
        asked((event, wait))
        desk.ui._work.append(lambda: desk.ui._carry_out(host.CloseChat()))

    desk.ui._emit = emit
    desk.ui.end(True, 0)
    assert desk.said == [(host.SessionEnding(), True)]
    assert desk.open(CHAT) == []


@pytest.mark.parametrize("bits", [1, 0x80000000])
def test_a_sign_out_or_restart_manager_is_no_restart(desk, bits):
    desk.ui.end(True, bits)
    assert desk.said == []
    assert desk.log


def test_a_session_that_goes_on(desk):
    desk.ui.end(False, 0)
    assert desk.said == [host.EndSessionCancelled("windows")]


# --- when things fail ---------------------------------------------------------------------------------------------


def test_a_window_that_cannot_be_made_is_logged_and_the_others_live(desk):
    make = desk.glass.open

    def refuse(form, on):
        if form.cls == RESTART:
            raise OSError("no more windows")
        return make(form, on)

    desk.glass.open = refuse
    desk.do(host.ShowPrompt(1, "restart"), host.OpenChat())
    assert desk.open(CHAT)
    assert "no more windows" in desk.log[0]


def test_without_a_desktop_it_says_so():
    with pytest.raises(ui.NoDesktop, match="Windows only"):
        ui.DesktopUi("en", False, lambda *_: None).start()
    with pytest.raises(ui.NoDesktop, match="Windows only"):
        ui.ask_code("en")


# --- the code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "events", "code"), [
    ("  4711 ", [("pressed", forms.OK)], "4711"),
    ("", [("pressed", forms.OK), ("pressed", forms.CANCEL)], None),
    ("4711", [("pressed", forms.CANCEL)], None),
    ("4711", [("closed by person", 0)], None),
    ("4711", [("destroyed", 0)], None),
])
def test_the_code_is_what_was_typed(glass, typed, events, code):
    def play():
        (pane,) = glass.panes
        pane.set_text(forms.LINE, typed)
        for event in events:
            pane.on(*event)

    glass.todo.put(play)
    assert ui.put_question(glass, Texts("en", pytest.fail)) == code
