"""A pretend glass: windows as records, events by hand. Stands in for ``rrsim.agent.windows.ui_glass``."""

from __future__ import annotations

import queue
import threading

from rrsim.agent.windows.ui import DesktopUi

DEADLINE_S = 5.0


class Pane:
    """A window that nobody sees."""

    def __init__(self, glass, form, on):
        self.glass, self.form, self.on = glass, form, on
        self.alive = True
        self.fronts = 0
        self.texts = {control.id: control.text for control in form.controls()}
        self.shown = {control.id: control.visible for control in form.controls()}

    def close(self):
        self.alive = False

    def front(self):
        self.fronts += 1

    def text(self, number):
        return self.texts[number]

    def set_text(self, number, text):
        self.texts[number] = text

    def append(self, number, text):
        self.texts[number] += text

    def show(self, number, visible):
        self.shown[number] = visible


class Glass:
    """Where the pretend windows are."""

    def __init__(self, ui):
        self.ui = ui
        self.panes = []
        self.todo = queue.Queue()

    def open(self, form, on):
        self.panes.append(Pane(self, form, on))
        return self.panes[-1]

    def wake(self):
        self.todo.put(self.ui.work)

    def quit(self):
        self.todo.put(None)

    def run(self):
        while (what := self.todo.get(timeout=DEADLINE_S)) is not None:
            what()


class Desk:
    """A user interface on a pretend glass, and what it said."""

    def __init__(self, language="en", phone_mode=False):
        self.said = []
        self.log = []
        self.glass = None
        self.ui = DesktopUi(language, phone_mode, self._emit, self.log.append, glass=self._make)
        self.ui.start()

    def _make(self, ui):
        self.glass = Glass(ui)
        return self.glass

    def _emit(self, event, wait):
        self.said.append((event, wait) if wait else event)

    def do(self, *effects):
        for effect in effects:
            self.ui.do(effect)
        self.settle()

    def settle(self):
        """Wait until everything asked for was done."""
        done = threading.Event()
        self.glass.todo.put(done.set)
        assert done.wait(DEADLINE_S), "the thread of the windows did not come round"

    def event(self, pane, event, control=0):
        """Let something happen to a window, in the thread of the windows."""
        if event in ("closed by program", "destroyed"):
            pane.alive = False
        self.glass.todo.put(lambda: pane.on(event, control))
        self.settle()

    def open(self, cls):
        """The open windows of a class."""
        return [pane for pane in self.glass.panes if pane.alive and pane.form.cls == cls]

    def only(self, cls):
        """The one open window of a class."""
        (pane,) = self.open(cls)
        return pane

    def close(self):
        self.ui.close()

