// The lists on the left: the queue, the representative's own sessions, and those that are over.

import { byId, el, keyed, setAttr, setText } from "/console/dom.js";
import { clock, customerOf, listLine, stateWords } from "/console/words.js";

export class Lists {
  #model;
  #actions;

  /** @param actions choose(id) shows a session; take(session) takes one from the queue. */
  constructor(model, actions) {
    this.#model = model;
    this.#actions = actions;
  }

  /** Show all lists; `chosen` is the id of the session that is open on the right. */
  update(chosen) {
    const queue = [], mine = [], closed = [];
    for (const session of this.#model.sessions.values()) {
      if (session.over) {
        if (this.#model.isMine(session)) closed.unshift(session);
      } else if (this.#model.isMine(session)) mine.push(session);
      else if (!session.info.rep) queue.push(session);
    }
    this.#list("queue", queue, chosen, this.#model.queued);
    this.#list("mine", mine, chosen);
    this.#list("closed", closed, chosen);
    byId("closed-part").hidden = !closed.length;
    document.title = (this.#model.queued ? `(${this.#model.queued}) ` : "") + "Support console";
  }

  #list(name, sessions, chosen, count = sessions.length) {
    setText(byId(`n-${name}`), String(count));
    const none = byId(`no-${name}`);
    if (none) none.hidden = sessions.length > 0;
    keyed(byId(name), sessions, (session) => session.id, (session) => this.#card(name, session),
      (node, session) => this.#refresh(node, session, chosen));
  }

  #card(list, session) {
    const open = el("button", { class: "card", onclick: () => this.#actions.choose(session.id) },
      el("span", { class: "name" }), el("span", { class: "about soft" }),
      el("span", { class: "side" }, el("span", { class: "badge" }), el("span", { class: "unread" })));
    const item = el("li", {}, open);
    if (list === "queue") {
      item.append(el("button", {
        class: "take primary", "aria-label": `Take ${customerOf(session.info)}`, onclick: () => this.#actions.take(session.id),
      }, "Take"));
    }
    return item;
  }

  #refresh(node, session, chosen) {
    const { info } = session;
    const [words, kind] = stateWords(info.state);
    setText(node.querySelector(".name"), customerOf(info));
    setText(node.querySelector(".about"), listLine(info));
    const badge = node.querySelector(".badge");
    const left_ms = session.phase === "rebooting" && session.windowEnds_ms ? session.windowEnds_ms - performance.now() : null;
    setText(badge, left_ms === null ? words : clock(left_ms));
    setAttr(badge, "class", `badge ${kind}`);
    setAttr(badge, "title", left_ms === null ? null : "rebooting: time left to come back");
    setText(node.querySelector(".unread"), session.unread && session.id !== chosen ? String(session.unread) : "");
    setAttr(node.querySelector(".card"), "aria-current", session.id === chosen ? "true" : null);
  }
}
