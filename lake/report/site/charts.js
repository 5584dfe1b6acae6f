// Plots of sizes and trends by uPlot, each with its values as a table.
"use strict";

const COLOURS = 8; // of the pages' style
const DASHES = [[], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4], [12, 3], [1, 3], [7, 2, 1, 2, 1, 2]];
const HEIGHT = 230;
const LARGEST = 7; // datasets in a plot; the others are summed
const drawn = []; // plots on the page: drawn again where width or colours change

/** A colour of the style as the canvas needs it. */
function colour(name) {
  const probe = element("span", { hidden: "" });
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function short(number) {
  const steps = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
  for (const [step, unit] of steps) {
    if (Math.abs(number) >= step) return `${Number((number / step).toPrecision(3))}${unit}`;
  }
  return String(Number(number.toPrecision(3)));
}

function exact(number) {
  return number === null || number === undefined
    ? "–"
    : new Intl.NumberFormat("en-US", { maximumSignificantDigits: 6 }).format(number);
}

function seriesColour(number) {
  return colour(`c${number % COLOURS}`);
}

/** Values from the bottom up: each series with those below it. A point without any is a gap. */
function stacked(series) {
  const sums = series[0].values.map(() => 0);
  const isGap = sums.map((_, at) => series.every((curve) => curve.values[at] === null));
  return series.map((curve) =>
    curve.values.map((value, at) => {
      sums[at] += value ?? 0;
      return isGap[at] ? null : sums[at];
    }),
  );
}

function options(panel, width, show) {
  const grid = { stroke: colour("line"), width: 1 };
  const axis = { stroke: colour("quiet"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
  const bars = panel.style !== "lines";
  const step = panel.days.length > 1 ? (panel.days[1] - panel.days[0]) / 2 : 43200;
  const series = panel.series.map((curve, number) => ({
    label: curve.label || '""',
    stroke: seriesColour(number),
    fill: bars ? seriesColour(number) : undefined,
    width: bars ? 0 : 1.8,
    dash: bars ? undefined : DASHES[number % DASHES.length],
    points: { show: !bars && panel.days.length < 40, size: 5 },
    paths: bars ? uPlot.paths.bars({ size: [0.8, 100] }) : undefined,
    value: (_, __, ___, at) => (at === null ? "" : show(curve.values[at])),
    spanGaps: false,
  }));
  if (bars) series.reverse(); // the highest sums first: lower ones are drawn over them
  return {
    width,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: {
      x: { time: true, range: (_, low, high) => [low - step, high + step] },
      y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.05] },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 64, values: (_, at) => at.map(axisDay) },
      { ...axis, size: 58, values: (_, at) => at.map((value) => panel.axis(value)) },
    ],
    series: [{ label: "\u00a0", value: (_, at) => (at === null ? "" : dayText(at * 1000)) }, ...series],
    cursor: { y: false, drag: { x: false, y: false } },
    legend: { live: true },
  };
}

/** The year where one begins. */
function axisDay(seconds, at, all) {
  const day = new Date(seconds * 1000);
  const text = `${day.getUTCDate()} ${MONTHS[day.getUTCMonth()]}`;
  const before = at ? new Date(all[at - 1] * 1000).getUTCFullYear() : day.getUTCFullYear();
  return before === day.getUTCFullYear() ? text : `${text}\n${day.getUTCFullYear()}`;
}

function drawPlot(plot) {
  const { place, panel } = plot;
  plot.drawn?.destroy();
  const values = panel.style === "lines" ? panel.series.map((curve) => curve.values) : stacked(panel.series).reverse();
  plot.width = place.clientWidth;
  plot.drawn = new uPlot(options(panel, plot.width, panel.show), [panel.days, ...values], place);
  plot.drawn.root.querySelector("canvas").setAttribute("aria-hidden", "true");
}

/** Made when it is opened: a year of eight series are thousands of cells. */
function valuesTable(panel) {
  const details = element("details", {}, element("summary", {}, `Values of “${panel.label}” as a table`));
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    const heads = ["day", ...panel.series.map((curve) => curve.label || '""')];
    const rows = panel.days.map((day, at) => [
      dayText(day * 1000),
      ...panel.series.map((curve) => panel.show(curve.values[at])),
    ]);
    details.append(drawTable(heads, rows.reverse()));
  });
  return details;
}

function summary(panel) {
  const all = panel.series.flatMap((curve) => curve.values.filter((value) => value !== null));
  const names = panel.series.map((curve) => curve.label || '""').join(", ");
  const span = `${dayText(panel.days[0] * 1000)} to ${dayText(panel.days.at(-1) * 1000)}`;
  const extent = all.length ? `, ${panel.show(Math.min(...all))} to ${panel.show(Math.max(...all))}` : "";
  return `Plot of ${panel.label}, ${span}: ${names}${extent}`;
}

/** `panel`: label, style, days (seconds), series of label and values; show and axis write numbers. */
function addPlot(place, panel) {
  const canvas = element("div", { class: "plot", role: "img", "aria-label": summary(panel) });
  const figure = element("figure", {}, element("figcaption", {}, panel.label), canvas, valuesTable(panel));
  place.append(figure);
  const plot = { place: canvas, panel };
  drawn.push(plot);
  drawPlot(plot);
  new ResizeObserver(() => {
    if (canvas.clientWidth !== plot.width) drawPlot(plot);
  }).observe(canvas);
}

/** The datasets with the most bytes, the others together. */
function largest(datasets, values) {
  const sum = (dataset) => values(dataset).reduce((total, value) => total + (value ?? 0), 0);
  const ordered = [...datasets].sort((left, right) => sum(right) - sum(left));
  const few = ordered.slice(0, ordered.length > LARGEST + 1 ? LARGEST : LARGEST + 1);
  const others = ordered.slice(few.length);
  const series = few.map((dataset) => ({ label: dataset.name, values: values(dataset) }));
  if (!others.length) return series;
  const together = values(others[0]).map((_, at) => {
    const known = others.map((dataset) => values(dataset)[at]).filter((value) => value !== null);
    return known.length ? known.reduce((a, b) => a + b) : null;
  });
  return [...series, { label: count(others.length, "other"), values: together }];
}

function drawSizes() {
  const { first, datasets } = calendar.data ?? {};
  const place = document.getElementById("sizes-plots");
  if (!first || !place) return;
  const days = [...datasets[0].states].map((_, at) => dayMs(first) / 1000 + at * 86400);
  const bytes = { show: (value) => (value === null ? "–" : size(value)), axis: (value) => size(value).replace(" bytes", " B") };
  const rows = { show: exact, axis: short };
  const daily = { style: "bars", days };
  addPlot(place, { ...daily, ...bytes, label: "Bytes of a day’s objects", series: largest(datasets, (dataset) => dataset.bytes) });
  addPlot(place, { ...daily, ...rows, label: "Rows of a day", series: largest(datasets, (dataset) => dataset.rows) });
  let total = 0;
  const sums = days.map((_, at) => (total += datasets.reduce((sum, dataset) => sum + (dataset.bytes[at] ?? 0), 0)));
  addPlot(place, { ...bytes, style: "lines", days, label: "Bytes of all days up to this one", series: [{ label: "all tables", values: sums }] });
}

function drawTrend(place, trend) {
  place.append(element("h3", {}, trend.title));
  if (trend.problem) {
    place.append(element("pre", {}, trend.problem));
    return;
  }
  place.append(element("p", { class: "quiet" }, `${trend.name}, of ${trend.datasets.join(", ")}`));
  for (const note of trend.notes) place.append(element("p", { class: "quiet" }, note));
  const days = trend.days.map((day) => dayMs(day) / 1000);
  for (const panel of trend.panels) addPlot(place, { ...panel, days, show: exact, axis: short });
  if (!trend.panels.length) place.append(element("p", {}, "No rows in these days."));
}

async function drawTrends() {
  const place = document.getElementById("trend-plots");
  const wait = element("p", { class: "quiet", role: "status" }, "Computing …");
  place.append(wait);
  const listed = await load("trends");
  if (!listed?.trends?.length) wait.removeAttribute("role");
  if (!listed) wait.textContent = "data/trends.js can't be loaded.";
  else if (listed.problem) wait.replaceWith(element("pre", {}, listed.problem));
  if (listed?.note) wait.before(element("p", { class: "quiet" }, listed.note));
  if (listed && !listed.problem && !listed.trends.length) wait.textContent = "No trend fits this lake.";
  for (const [number, known] of (listed?.trends ?? []).entries()) {
    const part = element("section", { class: "trend" });
    wait.before(part);
    const trend = await load(`trends/${number}`);
    drawTrend(part, trend ?? { ...known, problem: `data/trends/${number}.js can't be loaded.` });
    if (number === listed.trends.length - 1) wait.remove();
  }
}

document.addEventListener("scheme", () => drawn.forEach(drawPlot));
if (calendar.data) drawSizes();
else document.addEventListener("calendar", drawSizes);
drawTrends();
