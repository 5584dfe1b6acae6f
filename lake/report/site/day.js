// One day of one dataset: its manifest and history, in a dialog.
"use strict";

const dayDialog = element("dialog", { class: "manifest", "aria-labelledby": "day-title" });
document.querySelector("main").append(dayDialog);
let openedDay = null; // what is being shown: an answer that comes late is not drawn

function fact(list, name, value) {
  if (value === null || value === undefined || value === "") return;
  list.append(element("dt", {}, name), element("dd", {}, value));
}

function code(text) {
  return element("code", {}, text);
}

function drawTable(heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell))));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": heads.join(", ") }, table);
}

function drawFacts(day) {
  const list = element("dl");
  if (day.remedy) fact(list, "remedy", code(day.remedy));
  if (day.problem) fact(list, "manifest", element("pre", {}, day.problem));
  fact(list, "holds", day.holds.join(", "));
  if (day.sha256 === undefined) return list;
  fact(list, "rows", NUMBERS.format(day.rows));
  fact(list, "count at the source", `${NUMBERS.format(day.source_count)}, by ${day.count_method}`);
  if (day.recount !== null) fact(list, "count now", NUMBERS.format(day.recount));
  fact(list, "bytes", `${NUMBERS.format(day.bytes)} (${size(day.bytes)})`);
  fact(list, "SHA-256", code(day.sha256));
  fact(list, "fingerprint", day.fingerprint ? code(day.fingerprint) : "");
  fact(list, "exported", `${timeText(day.created_at)}, by monitoring-lake ${day.version}`);
  fact(list, "object", code(day.key));
  if (day.window.start) fact(list, "window", `${day.window.start} … ${day.window.end}`);
  fact(list, "rollup", day.rollup ?? "none for this dataset");
  fact(list, "columns", NUMBERS.format(day.columns));
  if (day.left_out) fact(list, "values not in a column", NUMBERS.format(day.left_out));
  if (day.rules.length) fact(list, "column rules", day.rules.map((rule) => `${rule.path}: ${rule.rule}`).join("; "));
  return list;
}

function drawHistory(day) {
  if (day.sha256 === undefined) return null;
  const part = element("section", {}, element("h3", {}, "History"));
  if (!day.history.length) {
    part.append(element("p", { class: "quiet" }, "Exported once; never replaced."));
    return part;
  }
  const rows = day.history.map((earlier) => [
    timeText(earlier.created_at),
    NUMBERS.format(earlier.rows),
    NUMBERS.format(earlier.source_count),
    String(earlier.version ?? ""),
    code(String(earlier.sha256 ?? "").slice(0, 12)),
  ]);
  part.append(
    element("p", { class: "quiet" }, rows.length === 1 ? "Replaced once; the earlier version:" : `Replaced ${rows.length} times; earlier versions, the newest first:`),
    drawTable(["exported", "rows", "at the source", "version", "SHA-256"], rows),
  );
  return part;
}

function drawSchema(day) {
  if (!day.schema?.length) return null;
  const more = day.columns - day.schema.length;
  const text = more > 0 ? `Columns (the first ${day.schema.length} of ${day.columns})` : "Columns";
  return element("details", {}, element("summary", {}, text), drawTable(["name", "type"], day.schema));
}

function drawDefinition(day) {
  if (!day.definition || !Object.keys(day.definition).length) return null;
  const text = JSON.stringify(day.definition, null, 1);
  return element("details", {}, element("summary", {}, "Definition at the export"), element("pre", { tabindex: 0 }, text));
}

function drawDay(dataset, row, ms, day) {
  const text = dayText(ms);
  const state = stateOf(dataset, ms);
  const close = button("Close", "Close", () => dayDialog.close());
  const before = button("‹", "The day before", () => openDay(row, ms - DAY_MS));
  const after = button("›", "The day after", () => openDay(row, ms + DAY_MS));
  before.disabled = ms <= firstDay();
  after.disabled = ms >= lastDay();
  const title = element("h2", { id: "day-title", tabindex: -1 }, `${dataset.name}, `, wholeDay(ms));
  const parts = [element("div", { class: "bar" }, title, before, after, close)];
  if (state) {
    const mark = element("i", { class: `day s-${state.letter}${state.held ? " held" : ""}`, "aria-hidden": "true" }, state.symbol);
    const meaning = calendar.data.states[state.letter][2];
    parts.push(element("p", { class: "state" }, mark, element("span", {}, element("b", {}, state.name), `: ${meaning}`)));
  } else {
    parts.push(element("p", {}, "Neither expected nor exported."));
  }
  if (day) parts.push(drawFacts(day), drawHistory(day), drawSchema(day), drawDefinition(day));
  else if (day === null && state) parts.push(element("p", { class: "bad" }, `data/days/${dataset.name}/${text.slice(0, 7)}.js can't be loaded.`));
  const again = dayDialog.open;
  dayDialog.replaceChildren(...parts.filter((part) => part !== null));
  if (!again) dayDialog.showModal();
  title.focus();
}

async function openDay(row, ms) {
  const dataset = calendar.data.datasets[row];
  const wanted = `${row}/${ms}`;
  openedDay = wanted;
  goTo(row, ms, { focus: false });
  const month = `days/${dataset.name}/${dayText(ms).slice(0, 7)}`;
  const days = stateOf(dataset, ms) ? await load(month) : {};
  if (openedDay === wanted) drawDay(dataset, row, ms, days === null ? null : days[dayText(ms)]);
}

dayDialog.addEventListener("close", () => {
  openedDay = null;
  if (location.hash.includes("/")) history.replaceState(null, "", location.pathname + location.search);
  cellAt(calendar.row, calendar.day)?.focus();
});
dayDialog.addEventListener("click", (event) => {
  if (event.target === dayDialog) dayDialog.close();
});
