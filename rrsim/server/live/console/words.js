// How the console says what the server tells it.

const PLATFORMS = { windows: "Windows", mac: "Mac", linux: "Linux" };
const MODES = { service: "agent as a service", application: "agent as an application" };

const STATES = {
  queued: ["waiting", "wait"], active: ["active", "good"], rebooting: ["rebooting", "busy"],
  interrupted: ["connection lost", "busy"], offline: ["offline", "busy"], expired: ["expired", "bad"],
  ended: ["ended", "over"], lost: ["lost", "bad"], new: ["new", "wait"],
};

/** Text and colour of a session's state. */
export const stateWords = (state) => STATES[state] ?? [state, "over"];

/** How the customer of a session is called. */
export const customerOf = (info) => info.customer || info.session;

/** The line of facts under a session's title. */
export function facts(info) {
  if (!info.joined) return [info.session, "the customer has not joined yet"].join(" · ");
  const all = [info.session, PLATFORMS[info.platform] ?? info.platform, MODES[info.mode] ?? info.mode, info.machine];
  if (info.person) all.push(`signed in: ${info.person}`);
  return all.join(" · ");
}

/** The short line under a session in a list. */
export function listLine(info) {
  if (!info.joined) return "not joined yet";
  return `${PLATFORMS[info.platform] ?? info.platform} · ${info.mode === "service" ? "service" : "application"}`;
}

const REASONS = {
  "not confirmed": "It was not confirmed.",
  "no answer from the representative": "The confirmation was not answered in time.",
  "declined": "The customer said No.",
  "silence": "The customer did not answer in time.",
  "restart limit": "The PC did not go down within the time allowed for it.",
  "not armed in time": "The PC could not be prepared in time.",
  "late": "The PC came back after the resume window.",
  "the customer left": "The customer closed the chat window.",
  "session ended": "The session was ended.",
};

/** A sentence for a reason that the server gave. */
export function sentence(reason) {
  if (!reason) return "";
  if (Object.hasOwn(REASONS, reason)) return REASONS[reason];
  const text = reason[0].toUpperCase() + reason.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

const UNDER_WAY = {
  "confirming": ["busy", "Confirm the restart", "Nothing happens before you answer Yes."],
  "asking customer": ["busy", "Waiting for the customer’s answer", "The customer was asked whether the PC may restart."],
  "arming": ["busy", "Preparing the restart", "The agent prepares its way back into this session."],
  "armed": ["busy", "The PC is about to restart", "Everything is prepared. Waiting for Windows to go down."],
  "rebooting": ["busy", "Rebooting", "The PC rejoins this session by itself."],
};

/** Kind, headline and detail of a restart under way. */
export function underWay(phase, restart) {
  const [kind, headline, detail] = UNDER_WAY[phase] ?? ["busy", phase, ""];
  if (phase === "rebooting" && restart?.boot_mode === "safe") return [kind, "Rebooting into safe mode", detail];
  return [kind, headline, detail];
}

/** Kind, headline and detail of what became of a restart. */
export function outcomeWords(outcome) {
  const why = sentence(outcome.reason);
  const safe = outcome.boot_mode === "safe";
  switch (outcome.phase) {
    case "resumed":
      return ["good", safe ? "Resumed in safe mode with networking" : "Resumed", why || "The PC restarted and is back in the same session."];
    case "expired":
      return ["bad", "Expired", "The PC did not come back in time. The customer has to ask for support again."];
    case "refused":
      return ["warn", "Restart refused", `${why} The session is as it was.`.trim()];
    case "cancelled":
      return ["warn", "Restart cancelled", `${why} The session is as it was.`.trim()];
    case "lost":
      return ["bad", "Lost", `${why} There is no way back into this session: the customer has to ask for support again.`.trim()];
    default:
      return ["info", outcome.phase, why];
  }
}

/** Kind, headline and detail for a session that is over, or cut off without a restart. */
export function sessionWords(info, endReason, outcome) {
  switch (info.state) {
    case "interrupted":
      return ["busy", "Connection to the customer lost", "The session goes on as soon as the customer’s PC is connected again."];
    case "offline":
      return ["warn", "Offline", "The resume window is over. The PC may still come back into this session."];
    case "expired":
      return outcomeWords({ phase: "expired", reason: "" });
    case "lost":
      return ["bad", "Lost", `${sentence(endReason)} There is no way back into this session: the customer has to ask for support again.`.trim()];
    case "ended": {
      const [by, reason] = (endReason || ": ").split(/: (.*)/s);
      const who = { representative: "by the representative", customer: "by the customer", server: "by the server" }[by] ?? "";
      const what = outcome && ["lost", "cancelled"].includes(outcome.phase) ? ` The restart: ${outcome.phase}.` : "";
      const extra = reason && !["ended by the representative"].includes(reason) ? ` ${sentence(reason)}` : "";
      return ["over", `Session ended ${who}`.trim(), `${extra}${what}`.trim()];
    }
    default:
      return null;
  }
}

/** Minutes and seconds, rounded up: 0:00 means that nothing is left. */
export function clock(left_ms) {
  const s = Math.max(0, Math.ceil(left_ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

/** A length of time in words. */
export function minutes(us) {
  const s = Math.round(us / 1e6);
  if (s < 120) return `${s} seconds`;
  return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} minutes`;
}

/** How long ago something was. */
export function ago(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 5) return "just now";
  if (s < 120) return `${s} s ago`;
  return `${Math.floor(s / 60)} min ago`;
}
