// The approval queue by keyboard. Everything it does can be done without it: it
// moves the focus, opens the page's own form in a small window, and sends that form.
"use strict";
(() => {
  const form = document.getElementById("queue");
  if (!form) return;
  const entries = [...form.querySelectorAll("[data-entry]")];
  const say = document.getElementById("queue-say");
  const help = document.getElementById("keys-help");
  const store = "ecs-queue";
  const kept = (name, value) => {
    try {
      if (value === undefined) return localStorage.getItem(store + name);
      localStorage.setItem(store + name, value);
    } catch { /* a browser may forbid it: nothing is remembered then */ }
    return null;
  };
  let on = kept("-keys") !== "off";
  let at = -1;

  // WCAG 2.2, 2.1.4: whoever speaks to the browser can turn single keys off.
  const toggle = document.createElement("button");
  toggle.type = "button";
  toggle.className = "usa-button usa-button--unstyled";
  const label = () => { toggle.textContent = on ? "Turn single keys off" : "Turn single keys on"; };
  label();
  toggle.addEventListener("click", () => { on = !on; kept("-keys", on ? "on" : "off"); label(); });
  help.append(toggle);

  const nameOf = (e) => document.getElementById(e.getAttribute("aria-labelledby")).textContent.trim();
  const boxOf = (e) => e.querySelector("input[type=checkbox]");

  function go(i) {
    if (entries.length === 0) return;
    at = Math.max(0, Math.min(i, entries.length - 1));
    entries[at].focus();
    entries[at].scrollIntoView({ block: "nearest" });
    say.textContent = `${at + 1} of ${entries.length}: ${nameOf(entries[at])}`;
  }
  for (const [i, e] of entries.entries()) e.addEventListener("focusin", () => { at = i; });

  function choose() {
    const box = at >= 0 && boxOf(entries[at]);
    if (!box) return;
    box.checked = !box.checked;
    const n = entries.filter((e) => boxOf(e)?.checked).length;
    say.textContent = `${box.checked ? "Chosen" : "Not chosen"}. ${n} chosen.`;
  }

  // ask opens the page's own form for one act, for the chosen entries or the one
  // that has the focus.
  function ask(act) {
    const panel = document.getElementById("decide");
    const button = panel?.querySelector(`button[value="${act}"]`);
    if (!button) { say.textContent = "That is not possible at this step."; return; }
    let those = entries.filter((e) => boxOf(e)?.checked);
    if (those.length === 0 && at >= 0) those = [entries[at]];
    if (those.length === 0) { say.textContent = "Go to an entry first, with j or k."; return; }

    const dialog = document.createElement("dialog");
    dialog.className = "ecs-confirm";
    dialog.setAttribute("aria-labelledby", "confirm-title");
    const copy = document.createElement("form");
    copy.method = "post";
    copy.action = form.action;
    for (const e of form.querySelectorAll(":scope > input[type=hidden]")) copy.append(e.cloneNode());
    for (const e of those) {
      const box = boxOf(e).cloneNode();
      const hidden = document.createElement("input");
      hidden.type = "hidden";
      hidden.name = box.name;
      hidden.value = box.value;
      copy.append(hidden);
    }
    const what = document.createElement("input");
    what.type = "hidden";
    what.name = "act";
    what.value = act;
    copy.append(what);

    const count = those.reduce((n, e) => n + Number(e.dataset.count), 0);
    const title = document.createElement("h2");
    title.id = "confirm-title";
    title.textContent = `${button.textContent.trim()}: ${those.length === 1 ? nameOf(those[0]) : `${count} indicators`}`;
    copy.append(title);

    const inner = panel.cloneNode(true);
    inner.removeAttribute("aria-labelledby");
    inner.removeAttribute("id");
    inner.className = "";
    for (const e of inner.querySelectorAll("h2, [data-page-only], .ecs-buttons")) e.remove();
    for (const e of inner.querySelectorAll("[data-act]")) if (e.dataset.act !== act) e.remove();
    for (const e of inner.querySelectorAll("[id]")) e.id = "confirm-" + e.id;
    for (const e of inner.querySelectorAll("[for]")) e.htmlFor = "confirm-" + e.htmlFor;
    for (const e of inner.querySelectorAll("[aria-describedby]")) {
      e.setAttribute("aria-describedby", e.getAttribute("aria-describedby").trim().split(/\s+/).map((id) => "confirm-" + id).join(" "));
    }
    const select = inner.querySelector("select");
    const codes = [...select.options].map((o) => o.value).filter((code) => code !== "");
    // What stands in the form at first: the code that fits all of them, or the first.
    const fits = [those[0].dataset.code, those[0].dataset.usual].find((code) => codes.includes(code) &&
      those.every((e) => e.dataset.code === code || e.dataset.usual === code));
    const worst = those.map((e) => e.dataset.usual).find((code) => code !== "checks-clear" && codes.includes(code));
    if (codes.includes(fits)) select.value = fits;
    else if (worst) select.value = worst;
    else if (codes.length > 0) select.value = codes[0];
    const last = (document.getElementById("keys").dataset.last || "").split(" ");
    for (const box of inner.querySelectorAll("input[name=target]")) if (last.includes(box.value)) box.checked = true;
    copy.append(inner);

    const buttons = document.createElement("div");
    buttons.className = "ecs-buttons";
    const yes = document.createElement("button");
    yes.className = "usa-button";
    yes.textContent = button.textContent.trim();
    const no = document.createElement("button");
    no.type = "button";
    no.className = "usa-button usa-button--outline";
    no.textContent = "Cancel";
    no.addEventListener("click", () => dialog.close());
    buttons.append(yes, no);
    copy.append(buttons);
    copy.addEventListener("submit", () => { kept("-at", String(at)); yes.disabled = true; });
    dialog.append(copy);
    const from = at;
    dialog.addEventListener("close", () => { dialog.remove(); if (from >= 0) go(from); });
    document.querySelector("main").append(dialog);
    dialog.showModal();
    const first = inner.querySelector("input[type=radio]") ||
      (inner.querySelector("input[name=target]") && !inner.querySelector("input[name=target]:checked") && inner.querySelector("input[name=target]"));
    (first || yes).focus();
  }

  const main = { a: form.querySelector("input[name=step]").value, o: "override", r: "return", d: "reject" };
  document.addEventListener("keydown", (ev) => {
    if (!on || ev.ctrlKey || ev.altKey || ev.metaKey || document.querySelector("dialog[open]")) return;
    const t = ev.target;
    if (t.closest("input:not([type=checkbox]):not([type=radio]), textarea, select")) return;
    const key = ev.key;
    let done = true;
    if (key === "j" || key === "ArrowDown") go(at + 1);
    else if (key === "k" || key === "ArrowUp") go(at < 0 ? 0 : at - 1);
    else if (key === "x") choose();
    else if (key in main && (key !== "a" || main.a !== "override")) ask(main[key]);
    else if (key === "u") document.getElementById("undo-link").click();
    else if (key === "/") setTimeout(() => document.getElementById("q").focus()); // not before the key is over: it is no text
    else if (key === "?") { help.open = !help.open; if (help.open) help.querySelector("summary").focus(); }
    else if (key === "Enter" && t.hasAttribute("data-entry")) t.querySelector("h3 a").click();
    else done = false;
    if (done) ev.preventDefault();
  });

  // After a decision the next entry stands where the last one was.
  if (new URLSearchParams(location.search).has("done")) {
    const was = Number(kept("-at"));
    go(Number.isInteger(was) && was >= 0 ? was : 0);
  }
  form.dataset.keys = "ready";
})();
