// Menus as people know them from desktop programs, for mouse and keyboard (WAI-ARIA menu bar pattern).

import { el, icon } from "/console/dom.js";

/**
 * A menu bar. What is in it is a list of menus: {label, items}. An item is {label, act}, {label, act, checked} or
 * {label, items}; "-" is a line between items.
 */
export class MenuBar {
  #root;
  #menus = [];
  #tops = [];
  #open = null; // the top-level button whose menu is open

  constructor(root) {
    this.#root = root;
    root.addEventListener("keydown", (event) => this.#barKey(event));
    root.addEventListener("focusout", (event) => { if (!root.contains(event.relatedTarget)) this.close(); });
  }

  /** Show these menus; an open menu is closed only if what it holds is no longer the same. */
  show(menus) {
    const same = JSON.stringify(menus) === JSON.stringify(this.#menus);
    this.#menus = menus; // the newest actions in any case
    if (same) return;
    const at = this.#tops.findIndex((top) => top.parentNode.contains(document.activeElement));
    this.close();
    this.#root.replaceChildren();
    this.#tops = menus.map((menu, index) => {
      const top = el("button", {
        class: "top-item", role: "menuitem", "aria-haspopup": "menu", "aria-expanded": "false", tabindex: index ? "-1" : "0",
        onclick: () => (this.#open === top ? this.close() : this.#unfold(top, "first")),
        onmouseenter: () => { if (this.#open && this.#open !== top) this.#unfold(top, "first"); },
      }, menu.label, icon("down"));
      this.#root.append(el("div", { class: "menu-place", role: "none" }, top));
      return top;
    });
    if (at >= 0) this.#tops[Math.min(at, this.#tops.length - 1)]?.focus();
  }

  /** Close whatever is open. */
  close() {
    const top = this.#open;
    if (!top) return;
    this.#open = null; // first: what is removed while it has the focus tells so, and that closes menus, too
    top.setAttribute("aria-expanded", "false");
    top.parentNode.querySelector("[role=menu]")?.remove();
  }

  #unfold(top, focus) {
    this.close();
    const index = this.#tops.indexOf(top);
    this.#open = top;
    this.#rove(index);
    top.setAttribute("aria-expanded", "true");
    const popup = this.#popup(this.#menus[index].items, this.#menus[index].label);
    top.parentNode.append(popup);
    const items = own(popup);
    (focus === "last" ? items.at(-1) : items[0])?.focus();
  }

  #rove(index) {
    this.#tops.forEach((top, at) => { top.tabIndex = at === index ? 0 : -1; });
  }

  #popup(items, label) {
    const popup = el("div", { class: "popup", role: "menu", "aria-label": label });
    for (const item of items) {
      if (item === "-") popup.append(el("hr", { role: "separator" }));
      else popup.append(item.items ? this.#submenu(item) : this.#item(item));
    }
    return popup;
  }

  #item(item) {
    const check = "checked" in item;
    return el("button", {
      class: item.danger ? "danger-item" : null, role: check ? "menuitemcheckbox" : "menuitem", tabindex: "-1",
      "aria-checked": check ? String(item.checked) : null,
      onclick: () => {
        this.#open?.focus();
        this.close();
        item.act();
      },
      onmouseenter: (event) => this.#hover(event.currentTarget),
    }, el("span", { class: "mark" }, ...(check && item.checked ? [icon("check")] : [])), item.label);
  }

  #submenu(item) {
    const opener = el("button", {
      role: "menuitem", tabindex: "-1", "aria-haspopup": "menu", "aria-expanded": "false",
      onclick: () => this.#unfoldSub(opener, true),
      onmouseenter: (event) => { this.#hover(event.currentTarget); this.#unfoldSub(opener, false); },
    }, el("span", { class: "mark" }), item.label, icon("right"));
    opener.items = item.items;
    return el("div", { class: "menu-place", role: "none" }, opener);
  }

  #hover(button) {
    button.focus({ preventScroll: true });
    for (const other of button.closest("[role=menu]").querySelectorAll("[aria-expanded=true]")) {
      if (other !== button) this.#foldSub(other);
    }
  }

  #unfoldSub(opener, focus) {
    if (opener.getAttribute("aria-expanded") !== "true") {
      opener.setAttribute("aria-expanded", "true");
      const popup = this.#popup(opener.items, opener.textContent);
      opener.parentNode.append(popup);
      popup.classList.toggle("leftwards", popup.getBoundingClientRect().right > document.documentElement.clientWidth - 4);
    }
    if (focus) own(opener.parentNode.querySelector("[role=menu]"))[0]?.focus();
  }

  #foldSub(opener) {
    opener.setAttribute("aria-expanded", "false");
    opener.parentNode.querySelector("[role=menu]")?.remove();
  }

  // --- the keyboard

  #barKey(event) {
    const at = this.#tops.indexOf(event.target);
    const handled = at >= 0 ? this.#topKey(event, at) : this.#itemKey(event);
    if (handled) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  #topKey(event, at) {
    const last = this.#tops.length - 1;
    const go = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last }[event.key];
    if (go !== undefined) {
      this.close();
      this.#rove(go);
      this.#tops[go].focus();
    } else if (["ArrowDown", "Enter", " "].includes(event.key)) this.#unfold(this.#tops[at], "first");
    else if (event.key === "ArrowUp") this.#unfold(this.#tops[at], "last");
    else if (event.key === "Escape") this.close();
    else return false;
    return true;
  }

  #itemKey(event) {
    const item = event.target.closest("[role=menu] button");
    if (!item) return false;
    const items = own(item.closest("[role=menu]"));
    const at = items.indexOf(item);
    const parent = item.closest("[role=menu]").parentNode.querySelector(":scope > button");
    const inSub = !this.#tops.includes(parent);
    switch (event.key) {
      case "ArrowDown": items[(at + 1) % items.length].focus(); return true;
      case "ArrowUp": items[(at + items.length - 1) % items.length].focus(); return true;
      case "Home": items[0].focus(); return true;
      case "End": items.at(-1).focus(); return true;
      case "ArrowRight":
        if (item.hasAttribute("aria-haspopup")) this.#unfoldSub(item, true);
        else this.#neighbour(1);
        return true;
      case "ArrowLeft":
        if (inSub) { parent.focus(); this.#foldSub(parent); } else this.#neighbour(-1);
        return true;
      case "Escape":
        parent.focus();
        if (inSub) this.#foldSub(parent);
        else this.close();
        return true;
      case "Tab": {
        this.#open?.focus();
        this.close();
        return false; // from the menu bar on, Tab goes where it always goes
      }
      default:
        return event.key.length === 1 && /\S/.test(event.key) && !event.ctrlKey && !event.altKey && !event.metaKey
          ? this.#typed(event.key.toLowerCase(), items, at) : false;
    }
  }

  #neighbour(step) {
    const at = this.#tops.indexOf(this.#open);
    this.#unfold(this.#tops[(at + step + this.#tops.length) % this.#tops.length], "first");
  }

  #typed(letter, items, at) {
    const after = [...items.slice(at + 1), ...items.slice(0, at + 1)];
    after.find((item) => item.textContent.trim().toLowerCase().startsWith(letter))?.focus();
    return true;
  }
}

/** The items of one menu, those of its submenus left out. */
function own(menu) {
  return [...menu.querySelectorAll(":scope > button, :scope > .menu-place > button")];
}

/** Arrow keys between the buttons of a toolbar; Tab enters and leaves it as a whole. */
export function toolbarKeys(bar) {
  bar.addEventListener("keydown", (event) => {
    const buttons = [...bar.querySelectorAll("button")];
    const at = buttons.indexOf(event.target);
    const last = buttons.length - 1;
    const go = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last }[event.key];
    if (at < 0 || go === undefined) return;
    event.preventDefault();
    buttons[go].focus();
  });
  bar.addEventListener("focusin", (event) => rove(bar, event.target));
}

/** Let exactly one button of a toolbar be reached with Tab. */
export function rove(bar, chosen = null) {
  const buttons = [...bar.querySelectorAll("button")];
  const one = buttons.includes(chosen) ? chosen : buttons.find((button) => button.tabIndex === 0) ?? buttons[0];
  for (const button of buttons) button.tabIndex = button === one ? 0 : -1;
}
