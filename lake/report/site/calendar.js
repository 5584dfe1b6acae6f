// The coverage calendar: a row for each dataset, months as blocks of days.
// A grid with one stop for the tab key; arrow keys move, Enter opens a day.
"use strict";

const calendar = {
  data: null,
  months: matchMedia("(max-width: 40rem)").matches ? 1 : 3,
  end: null, // the first day after the shown months, ms
  row: 0,
  day: 0, // ms
};

function monthStart(ms, plus = 0) {
  const at = new Date(ms);
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + plus, 1);
}

function firstDay() {
  return dayMs(calendar.data.first);
}

function lastDay() {
  return firstDay() + (calendar.data.datasets[0].states.length - 1) * DAY_MS;
}

function stateOf(dataset, ms) {
  const at = Math.round((ms - firstDay()) / DAY_MS);
  const letter = dataset.states[at];
  if (!letter || letter === " ") return null;
  const [name, symbol] = calendar.data.states[letter];
  return { letter, name, symbol, rows: dataset.rows[at], held: dataset.held[at] === "h" };
}

function labelOf(dataset, ms, state) {
  const rows = state.rows === null ? "" : `, ${count(state.rows, "row")}`;
  return `${dataset.name}, ${dayText(ms)}: ${state.name}${rows}${state.held ? ", held" : ""}`;
}

function shownStart() {
  return Math.max(monthStart(calendar.end, -calendar.months), monthStart(firstDay()));
}

function drawCell(dataset, row, ms) {
  const state = stateOf(dataset, ms);
  const day = new Date(ms).getUTCDate();
  if (!state) return element("span", { class: "day none", "aria-hidden": "true", "data-of": day });
  const label = labelOf(dataset, ms, state);
  return element(
    "div",
    {
      role: "gridcell",
      class: `day s-${state.letter}${state.held ? " held" : ""}`,
      tabindex: -1,
      title: label,
      "aria-label": label,
      "aria-colindex": Math.round((ms - firstDay()) / DAY_MS) + 2,
      "data-row": row,
      "data-day": ms,
      "data-of": day,
    },
    state.symbol,
  );
}

function drawMonth(dataset, row, start) {
  const days = element("div", { class: "days", role: "presentation" });
  for (let ms = start; ms < monthStart(start, 1); ms += DAY_MS) days.append(drawCell(dataset, row, ms));
  const at = new Date(start);
  const name = `${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
  return element(
    "div",
    { class: "month", role: "presentation" },
    element("span", { class: "name", "aria-hidden": "true" }, name),
    days,
  );
}

function drawRow(dataset, row) {
  const months = element("div", { class: "months", role: "presentation" });
  for (let start = shownStart(); start < calendar.end; start = monthStart(start, 1)) {
    months.append(drawMonth(dataset, row, start));
  }
  return element(
    "div",
    { role: "row", class: "row", "aria-rowindex": row + 1 },
    element("div", { role: "rowheader", class: "dataset" }, dataset.name),
    months,
  );
}

function drawCalendar() {
  const { grid, range } = calendar;
  grid.replaceChildren(...calendar.data.datasets.map(drawRow));
  grid.classList.toggle("one-line", calendar.months <= 3);
  const last = Math.min(calendar.end - DAY_MS, lastDay());
  range.replaceChildren(wholeDay(Math.max(shownStart(), firstDay())), " to ", wholeDay(last));
  calendar.earlier.disabled = shownStart() <= firstDay();
  calendar.later.disabled = calendar.end > lastDay();
  const stop = cellAt(calendar.row, calendar.day) ?? lastCellOf(calendar.row);
  if (stop) setStop(stop);
}

function cellAt(row, ms) {
  return calendar.grid.querySelector(`[data-row="${row}"][data-day="${ms}"]`);
}

function lastCellOf(row) {
  const cells = calendar.grid.querySelectorAll(`[data-row="${row}"]`);
  return cells[cells.length - 1] ?? calendar.grid.querySelector("[data-day]");
}

/** The one cell that the tab key reaches. */
function setStop(cell) {
  calendar.grid.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
  cell.setAttribute("tabindex", "0");
  calendar.row = Number(cell.dataset.row);
  calendar.day = Number(cell.dataset.day);
}

/** Moves to a day, and shows its month where it is not shown. */
function goTo(row, ms, { focus = true } = {}) {
  const day = Math.min(Math.max(ms, firstDay()), lastDay());
  if (day >= calendar.end || day < shownStart()) {
    calendar.end = day >= calendar.end ? monthStart(day, 1) : monthStart(day, calendar.months);
    if (calendar.end > monthStart(lastDay(), 1)) calendar.end = monthStart(lastDay(), 1);
    calendar.row = row;
    calendar.day = day;
    drawCalendar();
  }
  const cell = cellAt(row, day);
  if (!cell) return;
  setStop(cell);
  if (focus) cell.focus();
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || !event.target.dataset.day) return;
  const { row, day } = calendar;
  const rows = calendar.data.datasets.length;
  const moves = {
    ArrowLeft: () => goTo(row, day - DAY_MS),
    ArrowRight: () => goTo(row, day + DAY_MS),
    ArrowUp: () => goTo(Math.max(0, row - 1), day),
    ArrowDown: () => goTo(Math.min(rows - 1, row + 1), day),
    Home: () => goTo(row, shownStart()),
    End: () => goTo(row, calendar.end - DAY_MS),
    PageUp: () => goTo(row, monthStart(day, -1)),
    PageDown: () => goTo(row, monthStart(day, 1)),
    Enter: () => openDay(row, day),
    " ": () => openDay(row, day),
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  moves[event.key]();
}

function shift(months) {
  const last = monthStart(lastDay(), 1);
  const first = Math.min(monthStart(firstDay(), calendar.months), last);
  calendar.end = Math.min(Math.max(monthStart(calendar.end, months), first), last);
  calendar.day = Math.min(calendar.end - DAY_MS, lastDay());
  drawCalendar();
}

function show(months) {
  calendar.months = months;
  shift(0);
}

function button(text, label, action) {
  const made = element("button", { type: "button", "aria-label": label }, text);
  made.addEventListener("click", action);
  return made;
}

function drawControls(place) {
  calendar.range = element("span", { class: "range", "aria-live": "polite" });
  calendar.earlier = button("‹", "Earlier months", () => shift(-calendar.months));
  calendar.later = button("›", "Later months", () => shift(calendar.months));
  const select = element("select", { "aria-label": "Months shown" });
  for (const months of [1, 3, 6, 12, 24]) {
    const option = element("option", { value: months }, count(months, "month"));
    option.selected = months === calendar.months;
    select.append(option);
  }
  select.addEventListener("change", () => show(Number(select.value)));
  place.append(
    element("div", { class: "controls" }, calendar.earlier, calendar.range, calendar.later, select, drawPicker()),
  );
}

/** Another way to a day than its small cell. */
function drawPicker() {
  const datasets = element("select", { "aria-label": "Dataset" });
  calendar.data.datasets.forEach((dataset, row) => {
    datasets.append(element("option", { value: row }, dataset.name));
  });
  const day = element("input", {
    type: "date",
    "aria-label": "Day",
    min: calendar.data.first,
    max: dayText(lastDay()),
    value: dayText(lastDay()),
  });
  const open = button("Open", "Open the manifest of this day", () => {
    if (day.value) openDay(Number(datasets.value), dayMs(day.value));
  });
  return element("span", { class: "picker" }, datasets, day, open);
}

/** `#DATASET/DAY` opens a day. */
function openAddress() {
  const [name, day] = decodeURIComponent(location.hash.slice(1)).split("/");
  const row = calendar.data.datasets.findIndex((dataset) => dataset.name === name);
  if (row < 0 || Number.isNaN(dayMs(day))) return;
  goTo(row, dayMs(day), { focus: false });
  openDay(row, dayMs(day));
}

async function startCalendar() {
  const place = document.getElementById("calendar");
  calendar.data = await load("calendar");
  document.dispatchEvent(new Event("calendar"));
  if (!place) return;
  if (!calendar.data?.first) {
    place.append(element("p", { class: "bad" }, "data/calendar.js can't be loaded."));
    return;
  }
  calendar.end = monthStart(lastDay(), 1);
  calendar.day = lastDay();
  drawControls(place);
  calendar.grid = element("div", {
    role: "grid",
    class: "grid",
    "aria-label": "State of each dataset and UTC day",
    "aria-readonly": "true",
    "aria-rowcount": calendar.data.datasets.length,
    "aria-colcount": calendar.data.datasets[0].states.length + 1,
  });
  const readout = element("p", { class: "readout quiet", "aria-hidden": "true" }, "Arrow keys move, Enter opens a day.");
  calendar.grid.addEventListener("keydown", onKey);
  calendar.grid.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-day]");
    if (cell) openDay(Number(cell.dataset.row), Number(cell.dataset.day));
  });
  for (const kind of ["focusin", "mouseover"]) {
    calendar.grid.addEventListener(kind, (event) => {
      const label = event.target.closest("[data-day]")?.getAttribute("aria-label");
      if (label) readout.textContent = label;
    });
  }
  place.append(calendar.grid, readout);
  drawCalendar();
  openAddress();
  addEventListener("hashchange", openAddress);
}

startCalendar();
