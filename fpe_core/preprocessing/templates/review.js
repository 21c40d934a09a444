"use strict";
const cases = [...document.querySelectorAll(".case")];
const filters = [...document.querySelectorAll(".filter")];
const search = document.getElementById("search");
const tray = document.getElementById("tray");
const commands = document.getElementById("commands");
const copy = document.getElementById("copy");
const tail = document.body.dataset.tail;
const marks = new Map();
let group = "";

function shown() { return cases.filter((one) => !one.hidden); }

function filter() {
  const wanted = search.value.trim().toLowerCase();
  for (const one of cases) one.hidden = (group && one.dataset.group !== group) || !one.dataset.words.includes(wanted);
  for (const button of filters) button.setAttribute("aria-pressed", String(button.dataset.group === group));
  document.getElementById("none").hidden = !cases.length || shown().length > 0;
}

function current() {
  const focused = document.activeElement && document.activeElement.closest(".case");
  return focused && !focused.hidden ? focused : null;
}

function go(step) {
  const list = shown();
  if (!list.length) return;
  const at = list.indexOf(current());
  const next = list[at < 0 ? 0 : Math.min(Math.max(at + step, 0), list.length - 1)];
  next.focus({preventScroll: true});
  next.scrollIntoView({block: "start"});
}

function mark(one, what) {
  if (!one || !("decidable" in one.dataset)) return;
  if (what === null || marks.get(one.dataset.case) === what) marks.delete(one.dataset.case);
  else marks.set(one.dataset.case, what);
  show(one);
  tell();
}

function show(one) {
  const what = marks.get(one.dataset.case);
  one.querySelector(".mark").textContent = what ? `to ${what}` : "";
  for (const button of one.querySelectorAll("[data-mark]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mark === what));
  }
}

function tell() {
  const lines = [];
  const words = [];
  for (const what of ["accept", "reject"]) {
    const ids = [...marks].filter(([, marked]) => marked === what).map(([id]) => id);
    if (!ids.length) continue;
    lines.push(`fpe-client qc ${what} ${ids.join(" ")} ${tail}`);
    words.push(`${ids.length} to ${what}`);
  }
  commands.textContent = lines.join("\n");
  document.getElementById("tray-words").textContent = words.join(", ");
  tray.hidden = !lines.length;
  copy.textContent = "Copy commands";
}

async function copied() {
  try {
    await navigator.clipboard.writeText(commands.textContent + "\n");
    copy.textContent = "Copied";
  } catch {
    const range = document.createRange();
    range.selectNodeContents(commands);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    copy.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl-C";
  }
}

for (const button of filters) button.addEventListener("click", () => { group = button.dataset.group; filter(); });
search.addEventListener("input", filter);
copy.addEventListener("click", copied);
document.getElementById("clear").addEventListener("click", () => { marks.clear(); cases.forEach(show); tell(); });
for (const button of document.querySelectorAll("[data-mark]")) {
  button.addEventListener("click", () => mark(button.closest(".case"), button.dataset.mark));
}
addEventListener("beforeunload", (event) => { if (marks.size && copy.textContent !== "Copied") event.preventDefault(); });
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === search) {
    if (event.key === "Escape" || event.key === "Enter") { search.blur(); go(0); }
    return;
  }
  const key = event.key.toLowerCase();
  if (key === "j") go(1);
  else if (key === "k") go(-1);
  else if (key === "a") mark(current(), "accept");
  else if (key === "r") mark(current(), "reject");
  else if (key === "u") mark(current(), null);
  else if (key === "/") search.focus();
  else if (key === "enter" && document.activeElement === current()) current().querySelector(".picture")?.click();
  else return;
  event.preventDefault();
});
