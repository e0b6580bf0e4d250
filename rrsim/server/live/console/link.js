// The connection to the session server: a WebSocket for what happens, requests for how things stand.

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5000;
const REQUEST_MS = 10000;

/** The cookie is missing or no longer good. */
export class NotLoggedIn extends Error {}

/** Send a request; return the answer's body. Raises NotLoggedIn, or an Error that says what the server said. */
export async function request(method, path, body) {
  const answer = await fetch(path, {
    method, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(REQUEST_MS),
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (answer.ok) return text ? JSON.parse(text) : null;
  let detail = `the server answered ${answer.status}`;
  try { detail = JSON.parse(text).detail ?? detail; } catch { /* no reason was given in words */ }
  throw answer.status === 401 ? new NotLoggedIn(detail) : new Error(detail);
}

/** One representative's console at the server; connects again by itself until it is closed. */
export class Link {
  #socket = null;
  #retryMs = FIRST_RETRY_MS;
  #timer = 0;
  #closed = false;

  /** @param hears takes each message; @param changed is told when the connection comes or goes. */
  constructor(rep, hears, changed) {
    this.rep = rep;
    this.epoch = 0; // counts connections: what was sent on an earlier one may not have arrived
    this.up = false;
    this.hears = hears;
    this.changed = changed;
    this.#open();
  }

  #open() {
    const socket = new WebSocket(`ws://${location.host}/api/reps/${encodeURIComponent(this.rep)}/console`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#retryMs = FIRST_RETRY_MS;
      this.epoch += 1;
      this.up = true;
      this.changed();
    };
    socket.onmessage = (event) => this.hears(JSON.parse(event.data));
    socket.onclose = () => {
      if (this.#closed || socket !== this.#socket) return;
      this.up = false;
      this.changed();
      this.#timer = setTimeout(() => this.#open(), this.#retryMs);
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    };
  }

  /** Send a message about a session. Returns false, having sent nothing, if there is no connection. */
  say(session, message) {
    if (!this.up) return false;
    this.#socket.send(JSON.stringify({ session, message }));
    return true;
  }

  /** Leave for good. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.up = false;
    this.#socket?.close();
  }
}
