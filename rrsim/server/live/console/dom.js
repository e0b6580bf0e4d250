// Building pages without markup in strings: whatever comes from outside only ever becomes text.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with this id. */
export const byId = (id) => document.getElementById(id);

/** Make an element; attributes set to false or null are left out, on* are listeners, strings become text. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Make one of the icons that index.html defines. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Show another icon in an <svg>. */
export function setIcon(svg, name) {
  svg.firstElementChild.setAttribute("href", `#i-${name}`);
}

/** Set an element's text if it is another one: what reads the page aloud must not hear the same again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set or remove an attribute, if that changes anything. */
export function setAttr(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/**
 * Have a control in the page or not at all. If it goes while it has the focus, `heir` gets the focus.
 * `before` is where it stands: the node after it, or null for the end.
 */
export function present(node, wanted, parent, before, heir) {
  if (wanted && node.parentNode !== parent) parent.insertBefore(node, before);
  else if (!wanted && node.parentNode) {
    const focused = node.contains(document.activeElement);
    node.remove();
    if (focused) heir?.focus();
  }
}

/** Make the children of a list those of `items`, by key; nodes that stay keep their focus. */
export function keyed(list, items, key, make, update) {
  const old = new Map([...list.children].map((node) => [node.dataset.key, node]));
  let at = list.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let node = old.get(name);
    if (node) old.delete(name);
    else {
      node = make(item);
      node.dataset.key = name;
    }
    update?.(node, item);
    if (node === at) at = at.nextElementSibling;
    else list.insertBefore(node, at);
  }
  for (const node of old.values()) node.remove();
}

/** Say something to those who hear the page instead of seeing it. */
export function announce(text) {
  const place = byId("announce");
  place.textContent = "";
  // A change from nothing is read even if the text is the same as last time.
  requestAnimationFrame(() => { place.textContent = text; });
}

/** Show a message for a while; errors stay until they are closed. */
export function toast(text, kind = "info") {
  const close = el("button", { class: "icon", "aria-label": "Close this message", onclick: () => box.remove() }, icon("close"));
  const box = el("div", { class: `toast ${kind}` }, el("span", {}, text), close);
  byId("toasts").append(box);
  if (kind !== "error") setTimeout(() => box.remove(), 8000);
  while (byId("toasts").children.length > 4) byId("toasts").firstElementChild.remove();
}
