// What the console knows: sessions as the server shows them. Two sources agree here. Messages on the WebSocket tell
// what happens at once; a look at the whole, every second and after every message, repairs whatever was missed.

import { Link, NotLoggedIn, request } from "/console/link.js";

const LOOK_MS = 1000;
const LOOK_HIDDEN_MS = 5000;
const AFTER_MESSAGE_MS = 40;
const MAX_EARLY = 1000;
const STAGES = { confirming: "confirming", asking: "asking customer", arming: "arming", armed: "armed" };

/** One session, as far as this console has seen it. */
class Session {
  constructor(id) {
    this.id = id;
    this.info = null;
    this.view = null; // the server's last session-view: it says which controls exist
    this.outcome = null;
    this.endReason = "";
    this.sharingAsked = false;
    this.sharingReason = "";
    this.screenshot = null;
    this.shotAt_ms = 0;
    this.phase = ""; // of the restart under way
    this.order = 0;
    this.confirm = null;
    this.windowEnds_ms = 0; // on this page's own monotonic clock
    this.lines = new Map();
    this.lastSeq = 0;
    this.whole = 0; // no line is missing up to this one; the server does not echo our own lines
    this.pending = [];
    this.notes = [];
    this.unread = 0;
    this.dismissed = 0;
    this.force = false;
    this.heard = 0; // counts messages: a look that began before one of them is out of date
  }

  get over() { return ["expired", "ended", "lost"].includes(this.info.state); }
  get state() { return this.info.state; }
}

export class Model extends EventTarget {
  #timer = 0;
  #looking = false;
  #again = false;
  #closed = false;

  constructor(rep) {
    super();
    this.rep = rep;
    this.sessions = new Map();
    this.queued = 0;
    this.reachable = true;
    this.link = new Link(rep, (shown) => this.#hears(shown), () => { this.#changed(); this.look(); });
    document.addEventListener("visibilitychange", this.#seen);
    this.look();
  }

  #seen = () => { if (!document.hidden) this.look(); };
  #changed() { this.dispatchEvent(new Event("change")); }
  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  /** Leave: nothing is heard or looked at any more. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#seen);
    this.link.close();
  }

  /** Whether this representative has the session. */
  isMine(session) { return session.info.rep === this.rep; }

  /** Whether a restart, or one into safe mode, can be asked for here. If not, there must be no control for it. */
  offers(session) {
    const mine = session.info && this.isMine(session) && !session.over;
    return { restart: Boolean(mine && session.view?.restart_offered), safe: Boolean(mine && session.view?.safe_mode_offered) };
  }

  // --- what the representative does

  /** Send a message; tells the page if it could not be sent. */
  say(session, message) {
    const sent = this.link.say(session.id, message);
    if (sent) this.#lookSoon();
    else this.#tell("error", "Not connected: nothing was sent. Try again when the console is connected.");
    return sent;
  }

  chat(session, text) {
    const sent = this.say(session, { type: "rep-chat", text });
    if (sent) {
      session.pending.push({ text, epoch: this.link.epoch, failed: false });
      this.#changed();
    }
    return sent;
  }

  chatAgain(session, line) {
    session.pending = session.pending.filter((other) => other !== line);
    this.chat(session, line.text);
  }

  askRestart(session, place, bootMode = "normal") {
    session.dismissed = session.outcome?.number ?? 0;
    this.say(session, { type: "ask-restart", place, boot_mode: bootMode, forced: session.force });
  }

  answer(session, confirm, answer) {
    const sent = this.say(session, { type: "confirm", order: confirm.order, answer });
    if (sent && session.confirm?.order === confirm.order) session.confirm = null;
    this.#changed();
  }

  // --- what the server tells

  #hears({ session: id = "", message, error = "" }) {
    if (error) this.#tell("error", error);
    const session = this.sessions.get(id);
    this.#lookSoon();
    if (!message) return;
    if (!session) {
      // It is shown with the next look; what exists in it is kept until then.
      if (message.type === "session-view" && this.#early.size < MAX_EARLY) this.#early.set(id, message);
      return;
    }
    session.heard += 1;
    if (message.type === "session-view") this.#view(session, message);
    else if (message.type === "restart-view") this.#restart(session, message);
    else if (message.type === "confirm-restart") session.confirm = message;
    else if (message.type === "rep-sees-chat") this.#line(session, message);
    this.#changed();
  }

  #early = new Map();

  #view(session, view) {
    session.view = view;
    session.info.state = view.state;
    session.info.sharing = view.sharing;
    if (view.reason && !session.over) this.#tell("notice", view.reason);
  }

  #restart(session, { order, phase, reason = "" }) {
    if (session.confirm && phase !== "confirming") session.confirm = null;
    if (["refused", "cancelled", "resumed", "expired", "lost"].includes(phase)) {
      const boot_mode = session.info.restart?.boot_mode ?? "normal";
      session.phase = "";
      session.order = 0;
      session.info.restart = null;
      this.#outcome(session, { number: order, phase, reason, by: "", boot_mode });
    } else {
      if (reason) this.#tell("notice", reason);
      session.order = order;
      if (session.phase !== phase) this.#note(session, order, phase);
      session.phase = phase;
    }
  }

  #outcome(session, outcome) {
    const before = session.outcome;
    session.outcome = outcome;
    if (before?.number === outcome.number && before.phase === outcome.phase) return;
    session.force = false; // ending programs is chosen for one restart at a time
    this.#note(session, outcome.number, outcome.phase, outcome);
  }

  #note(session, order, phase, outcome = null) {
    if (session.notes.some((note) => note.order === order && note.phase === phase)) return;
    session.notes.push({ order, phase, outcome, after: session.lastSeq });
    this.#tell("phase", { session, phase, outcome });
  }

  #line(session, { seq, author, text }) {
    if (session.lines.has(seq)) return;
    session.lines.set(seq, { seq, author, text });
    session.lastSeq = Math.max(session.lastSeq, seq);
    if (seq === session.whole + 1) session.whole = seq;
    const mine = author === this.rep ? session.pending.findIndex((line) => line.text === text) : -1;
    if (mine >= 0) session.pending.splice(mine, 1);
    else if (author !== this.rep) session.unread += 1;
  }

  // --- looking at the whole

  #lookSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look(), AFTER_MESSAGE_MS);
  }

  /** Look at everything now; afterwards again in a while. */
  async look() {
    if (this.#closed) return;
    if (this.#looking) { this.#again = true; return; }
    this.#looking = true;
    clearTimeout(this.#timer);
    const epoch = this.link.up ? this.link.epoch : 0;
    const heard = new Map([...this.sessions].map(([id, session]) => [id, session.heard]));
    try {
      const shown = await request("GET", `/api/reps/${encodeURIComponent(this.rep)}/sessions`);
      this.reachable = true;
      if (!this.#closed) await this.#take(shown, heard, epoch);
    } catch (error) {
      if (error instanceof NotLoggedIn) this.#tell("notLoggedIn");
      else this.reachable = false;
    }
    this.#looking = false;
    if (this.#closed) return;
    this.#changed();
    clearTimeout(this.#timer);
    const next_ms = document.hidden ? LOOK_HIDDEN_MS : LOOK_MS;
    this.#timer = setTimeout(() => this.look(), this.#again ? AFTER_MESSAGE_MS : next_ms);
    this.#again = false;
  }

  async #take(shown, heard, epoch) {
    this.queued = shown.queued;
    const seen = new Set();
    for (const item of shown.sessions) {
      const id = item.info.session;
      seen.add(id);
      let session = this.sessions.get(id);
      const fresh = !session;
      if (fresh) {
        session = new Session(id);
        session.view = this.#early.get(id) ?? null;
        this.#early.delete(id);
        this.sessions.set(id, session);
      } else if (session.heard !== (heard.get(id) ?? 0)) {
        this.#again = true;
        continue;
      }
      this.#update(session, item, fresh);
    }
    for (const id of this.sessions.keys()) if (!seen.has(id)) this.sessions.delete(id);
    for (const session of this.sessions.values()) {
      if (this.isMine(session)) await this.#lines(session, epoch);
    }
  }

  #update(session, item, fresh) {
    const now_ms = performance.now();
    session.info = item.info;
    session.endReason = item.end_reason;
    session.sharingAsked = item.sharing_asked;
    session.sharingReason = item.sharing_reason;
    if (item.screenshot) session.shotAt_ms = now_ms - item.screenshot.age_us / 1000;
    session.screenshot = item.screenshot;
    const restart = item.info.restart;
    session.order = restart?.number ?? 0;
    const phase = restart ? (restart.window ? "rebooting" : STAGES[restart.stage] ?? restart.stage) : "";
    if (phase && phase !== "confirming" && phase !== session.phase) this.#note(session, session.order, phase);
    session.phase = phase;
    session.windowEnds_ms = restart?.window_left_us != null ? now_ms + restart.window_left_us / 1000 : 0;
    if (restart?.stage === "confirming" && restart.rep === this.rep) {
      session.confirm ??= { order: restart.number, place: restart.place, boot_mode: restart.boot_mode };
    } else session.confirm = null;
    if (item.outcome) {
      // What was over before this console saw the session is known, and no news.
      if (fresh) session.outcome = item.outcome;
      else {
        this.#outcome(session, item.outcome);
        session.outcome = item.outcome;
      }
    }
  }

  async #lines(session, epoch) {
    if (session.whole < Math.max(session.info.chat_lines, session.lastSeq)) {
      const first = session.lines.size === 0;
      const lines = await request("GET", `/api/sessions/${encodeURIComponent(session.id)}/transcript`);
      for (const line of lines) this.#line(session, line);
      session.whole = Math.max(session.whole, lines.at(-1)?.seq ?? 0);
      if (first) session.unread = 0;
    }
    for (const line of session.pending) if (epoch > line.epoch) line.failed = true;
  }
}
