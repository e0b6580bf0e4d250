// One session: its menus, what becomes of a restart, the viewer and the chat.

import { byId, el, icon, keyed, present, setAttr, setIcon, setText } from "/console/dom.js";
import { askEnd, askTransfer } from "/console/dialogs.js";
import { request } from "/console/link.js";
import { MenuBar, rove, toolbarKeys } from "/console/menu.js";
import { ago, clock, customerOf, facts, outcomeWords, sentence, sessionWords, stateWords, underWay } from "/console/words.js";

const ICONS = { good: "check", bad: "warn", warn: "warn", busy: "turn", over: "info", info: "info" };

export class SessionPane {
  #model;
  #session;
  #menus;
  #shown = 0; // number of the screenshot in the page
  #drafts;

  /** @param actions back() leaves the session on a narrow screen, take(id), notify(text). */
  constructor(model, session, actions, drafts) {
    this.#model = model;
    this.#session = session;
    this.#drafts = drafts;
    this.actions = actions;
    this.root = byId("t-session").content.firstElementChild.cloneNode(true);
    this.$ = (selector) => this.root.querySelector(selector);
    this.#menus = new MenuBar(this.$(".menubar"));
    this.$(".back").onclick = actions.back;
    this.$(".dismiss").onclick = () => {
      session.dismissed = session.outcome?.number ?? 0;
      this.update();
      this.focus();
    };
    this.#restartIcons();
    this.shareButton = el("button", { class: "tool share", onclick: () => this.#share() }, icon("share"), el("span"));
    this.takeButton = el("button", { class: "primary", onclick: () => actions.take(session.id) }, "Take this session");
    toolbarKeys(this.$(".viewer .bar"));
    this.#compose();
    this.update();
    if (session.lines.size) this.$(".lines").scrollTop = this.$(".lines").scrollHeight;
  }

  get id() { return this.#session.id; }

  /** Put the focus on the session's title. */
  focus() { this.$("h1").focus(); }

  #restartIcons() {
    const make = (place, name) => el("button", {
      class: `icon restart ${name}`, "aria-label": "Restart the PC and reconnect", title: "Restart the PC and reconnect",
      onclick: () => this.#model.askRestart(this.#session, place),
    }, icon("restart"));
    this.chatRestart = make("chat window", "chat-restart");
    this.viewerRestart = make("viewer toolbar", "viewer-restart");
  }

  /** Show the session as it is now. */
  update() {
    const session = this.#session, { info } = session;
    const mine = this.#model.isMine(session) && !session.over;
    const [words, kind] = stateWords(info.state);
    setText(this.$("h1"), customerOf(info));
    setText(this.$(".facts"), facts(info));
    setText(this.$(".name-row .badge"), words);
    setAttr(this.$(".name-row .badge"), "class", `badge ${kind}`);
    present(this.takeButton, !info.rep && !session.over, this.$(".head"), this.$(".menubar"), this.$("h1"));
    this.#controls(mine);
    this.#banner();
    this.#viewer(mine);
    this.#chat(mine);
  }

  // --- menus and icons

  #controls(mine) {
    const { restart } = this.#model.offers(this.#session);
    const heading = this.$("h1");
    // Not offered means not there: no control that is merely grey (R1, R10).
    present(this.chatRestart, restart, this.$(".chat .bar"), null, heading);
    present(this.viewerRestart, restart, this.$(".viewer .bar"), this.shareButton.parentNode ? this.shareButton : null, heading);
    present(this.shareButton, mine && this.#canShare(), this.$(".viewer .bar"), null, heading);
    rove(this.$(".viewer .bar"));
    this.#menus.show(this.#menuItems(mine));
    this.$(".menubar").hidden = !mine;
  }

  #menuItems(mine) {
    if (!mine) return [];
    const session = this.#session, model = this.#model;
    const { restart, safe } = model.offers(session);
    const tools = [];
    if (restart) {
      const ways = [{ label: "Normal restart…", act: () => model.askRestart(session, "tools menu", "normal") }];
      if (safe) ways.push({ label: "Safe mode with networking…", act: () => model.askRestart(session, "tools menu", "safe") });
      ways.push("-", {
        label: "End programs that do not close", checked: session.force,
        act: () => { session.force = !session.force; this.update(); },
      });
      tools.push({ label: "Reboot and Reconnect", items: ways });
    }
    if (this.#canShare()) tools.push({ label: this.#shareWords(), act: () => this.#share() });
    const menus = tools.length ? [{ label: "Tools", items: tools }] : [];
    menus.push({
      label: "Session",
      items: [
        { label: "Transfer…", act: () => this.#transfer() }, "-",
        { label: "End session…", danger: true, act: () => askEnd(session, this.$("h1"), () => model.say(session, { type: "end-session" })) },
      ],
    });
    return menus;
  }

  async #transfer() {
    const opener = document.activeElement;
    let reps = [];
    try { reps = (await request("GET", "/api/reps")).reps; } catch (error) { this.actions.notify(error.message); return; }
    opener?.focus();
    askTransfer(reps.filter((rep) => rep !== this.#model.rep), this.$("h1"),
      (to) => this.#model.say(this.#session, { type: "transfer", to }));
  }

  // --- sharing

  #canShare() {
    const { info } = this.#session;
    return info.present && info.state !== "rebooting";
  }

  #shareWords() {
    const session = this.#session;
    if (session.info.sharing) return "Stop screen sharing";
    return session.sharingAsked ? "Stop asking for the screen" : "Request screen sharing";
  }

  #share() {
    const session = this.#session;
    this.#model.say(session, { type: "request-sharing", on: !(session.info.sharing || session.sharingAsked) });
  }

  // --- what becomes of a restart

  #bannerWords() {
    const session = this.#session;
    if (session.phase) return [...underWay(session.phase, session.info.restart), false];
    if (session.outcome?.phase === "lost" && session.over) return [...outcomeWords(session.outcome), false];
    const about = sessionWords(session.info, session.endReason, session.outcome);
    if (about) return [...about, false];
    if (session.outcome && session.outcome.number > session.dismissed) return [...outcomeWords(session.outcome), true];
    return null;
  }

  #banner() {
    const banner = this.$(".banner"), words = this.#bannerWords();
    banner.hidden = !words;
    if (!words) return;
    const [kind, headline, detail, dismissible] = words;
    setAttr(banner, "class", `banner ${kind}`);
    setIcon(banner.querySelector("svg"), ICONS[kind] ?? "info");
    setText(this.$(".banner strong"), headline);
    setText(this.$(".banner .detail"), detail);
    present(this.dismiss ??= this.$(".dismiss"), dismissible, banner, null, this.$("h1"));
    this.tick();
  }

  /** Let the countdown go on. */
  tick() {
    const session = this.#session, place = this.$(".countdown");
    const runs = session.phase === "rebooting" && session.windowEnds_ms > 0;
    place.hidden = !runs;
    if (!runs) return;
    const left_ms = Math.max(0, session.windowEnds_ms - performance.now());
    setText(this.$(".clock"), clock(left_ms));
    const bar = this.$("progress");
    bar.max = session.info.account.resume_window_us / 1000;
    bar.value = left_ms;
    this.$(".banner").classList.toggle("urgent", left_ms < 60000);
  }

  // --- the viewer

  #viewer(mine) {
    const session = this.#session, { info } = session;
    const sharing = info.sharing && mine;
    setText(this.shareButton.querySelector("span"), this.#shareWords());
    setIcon(this.shareButton.querySelector("svg"), info.sharing ? "stop" : "share");
    const shot = sharing ? session.screenshot : null;
    const img = this.$(".shot");
    if (shot && shot.number !== this.#shown) {
      this.#shown = shot.number;
      img.src = `/api/sessions/${encodeURIComponent(session.id)}/screenshot?number=${shot.number}`;
    } else if (!shot && this.#shown) {
      this.#shown = 0; // nobody looks on once the customer has stopped sharing
      img.removeAttribute("src");
    }
    img.hidden = !shot;
    setAttr(img, "alt", `Screen of ${customerOf(info)}`);
    setText(this.$(".sharing"), this.#sharingWords(shot));
    this.$(".empty").hidden = Boolean(shot);
    setText(this.$(".empty p"), this.#emptyWords(mine));
    const away = mine && ["rebooting", "interrupted", "offline"].includes(info.state);
    this.$(".veil").hidden = !away;
    this.$(".empty").classList.toggle("gone", away);
    setText(this.$(".veil p"), info.state === "rebooting" ? "The PC is restarting" : "The PC is not connected");
  }

  #sharingWords(shot) {
    const session = this.#session;
    if (session.over || !session.info.joined) return "";
    if (session.info.sharing) return shot ? `picture: ${ago(performance.now() - session.shotAt_ms)}` : "screen is shared";
    return session.sharingAsked ? "the customer is being asked" : "screen is not shared";
  }

  #emptyWords(mine) {
    const session = this.#session, { info } = session;
    if (session.over) return "The session is over.";
    if (!info.joined) return "The customer has not joined yet.";
    if (!mine) return "Take the session to see more.";
    if (info.sharing) return "No picture yet.";
    if (session.sharingAsked) return "The customer is asked whether the screen may be shared.";
    const said = { "declined": "The customer does not share the screen.", "no answer": "The customer did not answer: the screen is not shared.",
      "another person is present": "Another person is at the PC: the screen is not shared." }[session.sharingReason];
    return said ?? "The screen is not shared.";
  }

  // --- the chat

  #compose() {
    const form = this.$(".compose"), text = this.$("textarea");
    text.value = this.#drafts.get(this.id) ?? "";
    text.oninput = () => this.#drafts.set(this.id, text.value);
    form.onsubmit = (event) => {
      event.preventDefault();
      if (text.value.trim() && this.#model.chat(this.#session, text.value.trim())) {
        text.value = "";
        this.#drafts.delete(this.id);
        this.#toEnd();
      }
      text.focus();
    };
    text.onkeydown = (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    };
  }

  #toEnd() { this.$(".lines").scrollTop = this.$(".lines").scrollHeight; }

  #chat(mine) {
    const session = this.#session, list = this.$(".lines");
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const items = [...session.lines.values()].map((line) => ({ key: `l${line.seq}`, at: line.seq, line }));
    session.notes.forEach((note) => items.push({ key: `n${note.order}${note.phase}`, at: note.after + 0.5, note }));
    items.sort((a, b) => a.at - b.at);
    session.pending.forEach((line, n) => items.push({ key: `p${n}${line.failed}${line.text}`, pending: line }));
    keyed(list, items, (item) => item.key, (item) => this.#line(item));
    present(this.compose ??= this.$(".compose"), mine, this.$(".chat"), null, this.$("h1"));
    list.classList.toggle("none", !items.length);
    setAttr(list, "data-none", mine ? "No messages yet." : session.over ? "No messages." : "Take the session to chat.");
    if (atEnd) this.#toEnd();
    session.unread = 0;
  }

  #line({ line, note, pending }) {
    if (note) {
      const headline = note.outcome ? outcomeWords(note.outcome)[1] : underWay(note.phase)[1];
      const why = note.outcome ? sentence(note.outcome.reason) : "";
      return el("li", { class: "note" }, why ? `${headline}: ${why}` : headline);
    }
    if (pending) {
      const again = el("button", { class: "quiet", onclick: () => this.#model.chatAgain(this.#session, pending) }, "Send again");
      return el("li", { class: `line own ${pending.failed ? "failed" : "sending"}` },
        el("span", { class: "author" }, "You"), el("span", { class: "text" }, pending.text),
        el("span", { class: "state" }, ...(pending.failed ? ["not delivered ", again] : ["sending…"])));
    }
    const own = line.author === this.#model.rep;
    const kind = own ? "own" : line.author === "server" ? "note" : line.author === "customer" ? "theirs" : "own other";
    const author = own ? "You" : line.author === "customer" ? customerOf(this.#session.info) : line.author;
    return el("li", { class: `line ${kind}` }, el("span", { class: "author" }, author), el("span", { class: "text" }, line.text));
  }
}
