// The questions that the representative has to answer.

import { byId, el, setText } from "/console/dom.js";
import { customerOf, minutes } from "/console/words.js";

/** Is the restart meant? One question at a time; the server says which. Escape means No, as every way but Yes does. */
export class ConfirmDialog {
  #dialog = byId("confirm");
  #model;
  #asked = null; // {session, confirm}
  #opener = null;

  constructor(model, fallback) {
    this.#model = model;
    this.fallback = fallback;
    byId("confirm-yes").onclick = () => this.#answer("yes");
    byId("confirm-no").onclick = () => this.#answer("no");
    this.#dialog.oncancel = (event) => {
      event.preventDefault();
      this.#answer("no");
    };
  }

  /** Show the question that is open now, or none. */
  update() {
    const asked = this.#asked;
    if (asked && asked.session.confirm?.order !== asked.confirm.order) this.#close();
    if (this.#asked) return;
    for (const session of this.#model.sessions.values()) {
      if (session.confirm) {
        this.#ask(session, session.confirm);
        return;
      }
    }
  }

  #ask(session, confirm) {
    if (document.querySelector("dialog[open]")) return; // another question first
    this.#asked = { session, confirm };
    const { info } = session;
    const safe = confirm.boot_mode === "safe";
    setText(byId("confirm-title"), safe ? "Restart into safe mode with networking?" : "Restart the customer’s PC?");
    const forced = info.restart?.forced ?? session.force;
    const points = [
      el("p", {}, "The PC of ", el("strong", {}, customerOf(info)), " (", info.machine || info.session, ") restarts. ",
        info.mode === "service" ? "The agent rejoins this session by itself at the welcome screen."
          : "The agent rejoins this session by itself once the customer has signed in again."),
      el("p", { class: "soft" }, `The session waits for it up to ${minutes(info.account.resume_window_us)}. After that it expires.`),
    ];
    if (info.account.ask_before_restart) points.push(el("p", { class: "soft" }, "The customer is asked first."));
    if (forced) points.push(el("p", { class: "warning" }, "Programs that do not close are ended. Unsaved work in them is lost."));
    byId("confirm-text").replaceChildren(...points);
    this.#opener = document.activeElement;
    this.#dialog.showModal();
  }

  #answer(answer) {
    if (!this.#asked) return;
    const { session, confirm } = this.#asked;
    this.#model.answer(session, confirm, answer); // if it could not be sent, the question comes back
    this.#close();
    this.update();
  }

  #close() {
    this.#asked = null;
    if (this.#dialog.open) this.#dialog.close();
    back(this.#opener, this.fallback());
  }
}

/** Give the focus back to where it came from, or, if that is gone, to `fallback`. */
function back(opener, fallback) {
  if (opener?.isConnected && opener !== document.body) opener.focus();
  else fallback?.focus();
}

function once(dialog, opener, fallback, act) {
  dialog.returnValue = "";
  dialog.onclose = () => {
    back(opener, fallback);
    if (dialog.returnValue === "go") act();
  };
  dialog.showModal();
}

/** Choose who gets the session; `reps` are those who are logged in. */
export function askTransfer(reps, fallback, act) {
  const select = byId("transfer-to");
  select.replaceChildren(...reps.map((rep) => el("option", { value: rep }, rep)));
  select.disabled = byId("transfer-go").disabled = !reps.length;
  byId("transfer-none").hidden = reps.length > 0;
  once(byId("transfer"), document.activeElement, fallback, () => act(select.value));
}

/** Make sure that the session is to be ended. */
export function askEnd(session, fallback, act) {
  setText(byId("end-text"), session.order
    ? "A restart is under way. The PC will not come back into this session."
    : `The session with ${customerOf(session.info)} is closed for good.`);
  once(byId("end"), document.activeElement, fallback, act);
}
