// The console as a whole: the way in, and what is open.

import { announce, byId, setText, toast } from "/console/dom.js";
import { ConfirmDialog } from "/console/dialogs.js";
import { NotLoggedIn, request } from "/console/link.js";
import { Lists } from "/console/lists.js";
import { Model } from "/console/model.js";
import { SessionPane } from "/console/session.js";
import { clock, customerOf, outcomeWords, underWay } from "/console/words.js";

const TICK_MS = 200;
const SAID_AT_S = [300, 60, 30, 10]; // the countdown is heard at these moments only

let code = ""; // of the login link, until it is used
let running = null;

/** Take the code out of the address before anything else happens: it must stay neither there nor in the history. */
function codeFromLink() {
  const given = new URLSearchParams(location.hash.slice(1)).get("code");
  if (!given) return;
  code = given;
  history.replaceState(null, "", location.pathname);
}

// --- logging in

function showLogin(message = "") {
  running?.close();
  running = null;
  byId("console").hidden = true;
  byId("login").hidden = false;
  byId("login-rep").value = sessionStorage.getItem("rep") ?? "";
  setText(byId("login-error"), message);
  (byId("login-rep").value && !byId("login-secret-part").hidden ? byId("login-secret") : byId("login-rep")).focus();
}

async function hasCookie() {
  try {
    await request("GET", "/api/reps");
    return true;
  } catch (error) {
    return !(error instanceof NotLoggedIn);
  }
}

async function login(event) {
  event.preventDefault();
  const rep = byId("login-rep").value.trim();
  const secret = code || byId("login-secret").value;
  setText(byId("login-error"), "");
  try {
    if (secret) await request("POST", "/console/login", { secret });
    else if (!await hasCookie()) throw new NotLoggedIn("Enter the login code.");
  } catch (error) {
    code = "";
    byId("login-secret-part").hidden = false;
    setText(byId("login-error"), error.message);
    byId("login-secret").focus();
    return;
  }
  code = "";
  byId("login-secret").value = "";
  sessionStorage.setItem("rep", rep);
  start(rep);
}

async function logout() {
  running?.close();
  running = null;
  sessionStorage.removeItem("rep");
  try { await request("POST", "/console/logout"); } catch (error) { toast(error.message, "error"); }
  byId("login-secret-part").hidden = false;
  showLogin();
}

// --- the console

class Console {
  #model;
  #lists;
  #confirm;
  #pane = null;
  #drafts = new Map();
  #chosen = "";
  #timer = 0;
  #said = new Map();

  constructor(rep) {
    this.#model = new Model(rep);
    const act = { choose: (id) => this.#choose(id), take: (id) => this.#take(id) };
    this.#lists = new Lists(this.#model, act);
    this.#confirm = new ConfirmDialog(this.#model, () => this.#pane?.$("h1"));
    this.#model.addEventListener("change", () => this.update());
    this.#model.addEventListener("error", ({ detail }) => toast(detail, "error"));
    this.#model.addEventListener("notice", ({ detail }) => toast(`${detail[0].toUpperCase()}${detail.slice(1)}.`));
    this.#model.addEventListener("phase", ({ detail }) => this.#sayPhase(detail));
    this.#model.addEventListener("notLoggedIn", () => showLogin("You are not logged in any more."));
    setText(byId("me"), rep);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.update();
  }

  close() {
    clearInterval(this.#timer);
    this.#model.close();
    this.#pane?.root.remove();
    document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  }

  #take(id) {
    const session = this.#model.sessions.get(id);
    if (session && this.#model.say(session, { type: "take" })) this.#choose(id);
  }

  #choose(id, focus = true) {
    this.#chosen = id;
    this.update();
    if (focus) this.#pane?.focus();
  }

  #back() {
    const id = this.#chosen;
    this.#choose("", false);
    (document.querySelector(`#lists li[data-key="${CSS.escape(id)}"] button`) ?? document.querySelector("#lists button"))?.focus();
  }

  /** Bring the page up to date. */
  update() {
    this.#showLink();
    const session = this.#model.sessions.get(this.#chosen);
    const gone = !session || (session.info.rep && !this.#model.isMine(session));
    if (this.#pane && (gone || this.#pane.id !== this.#chosen)) {
      this.#pane.root.remove();
      this.#pane = null;
    }
    if (gone) this.#chosen = "";
    else if (!this.#pane) {
      const actions = { back: () => this.#back(), take: (id) => this.#take(id), notify: (text) => toast(text, "error") };
      this.#pane = new SessionPane(this.#model, session, actions, this.#drafts);
      byId("main").append(this.#pane.root);
      this.#pane.$(".lines").scrollTop = this.#pane.$(".lines").scrollHeight;
    } else this.#pane.update();
    byId("nothing").hidden = Boolean(this.#pane);
    byId("console").classList.toggle("in-session", Boolean(this.#pane));
    this.#lists.update(this.#chosen);
    this.#confirm.update();
  }

  #showLink() {
    const up = this.#model.link.up && this.#model.reachable;
    setText(byId("link"), up ? "Connected" : "Connection lost: trying again");
    byId("link").classList.toggle("down", !up);
    byId("console").classList.toggle("cut-off", !up);
  }

  #tick() {
    this.#pane?.tick();
    for (const session of this.#model.sessions.values()) {
      if (session.phase !== "rebooting" || !session.windowEnds_ms) continue;
      const left_s = (session.windowEnds_ms - performance.now()) / 1000;
      const mark = SAID_AT_S.findLast((s) => left_s <= s) ?? 0;
      const key = `${session.id} ${session.order}`;
      const before = this.#said.get(key);
      this.#said.set(key, mark);
      if (before !== undefined && mark && mark !== before) announce(`${customerOf(session.info)}: ${clock(left_s * 1000)} left to come back`);
    }
    if (this.#model.sessions.size) this.#lists.update(this.#chosen);
  }

  #sayPhase({ session, phase, outcome }) {
    const [, headline, detail] = outcome ? outcomeWords(outcome) : underWay(phase, session.info.restart);
    announce(`${customerOf(session.info)}: ${headline}. ${detail}`);
    if (outcome && session.id !== this.#chosen) toast(`${customerOf(session.info)}: ${headline}`);
  }
}

function start(rep) {
  byId("login").hidden = true;
  byId("console").hidden = false;
  running?.close();
  running = new Console(rep);
}

async function begin() {
  codeFromLink();
  byId("login-form").addEventListener("submit", login);
  byId("logout").addEventListener("click", logout);
  window.addEventListener("hashchange", () => {
    codeFromLink();
    if (code) {
      byId("login-secret-part").hidden = true;
      showLogin();
    }
  });
  const rep = sessionStorage.getItem("rep");
  const known = !code && await hasCookie();
  byId("login-secret-part").hidden = Boolean(code) || known;
  if (rep && known) start(rep);
  else showLogin();
}

begin();
