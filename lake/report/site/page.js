// Loading of data files, times, the switch of light and dark.
// Data come as scripts that call lakeData: a page from disk may load them, but not fetch JSON.
"use strict";

const lakeLoaded = new Map();

function lakeData(name, value) {
  lakeLoaded.set(name, value);
}

/** The value that the file `data/NAME.js` holds; null where there is no such file. */
function load(name) {
  return new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = `data/${name}.js`;
    script.onload = () => {
      script.remove();
      resolve(lakeLoaded.get(name) ?? null);
    };
    script.onerror = () => {
      script.remove();
      resolve(null);
    };
    document.head.append(script);
  });
}

/** An element with attributes and children; text is never read as HTML. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const NUMBERS = new Intl.NumberFormat("en-US");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_MS = 86400000;

function count(number, noun) {
  return `${NUMBERS.format(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** Bytes with three digits and a decimal unit, as the tables have them. */
function size(bytes) {
  let number = bytes;
  for (const unit of ["bytes", "kB", "MB", "GB"]) {
    if (Math.abs(number) < 999.5) return `${Number(number.toPrecision(3))} ${unit}`;
    number /= 1000;
  }
  return `${Number(number.toPrecision(4))} TB`;
}

function dayText(ms) {
  return new Date(ms).toISOString().slice(0, 10);
}

/** A day that is not broken at its hyphens. */
function wholeDay(ms) {
  return element("span", { class: "nobr" }, dayText(ms));
}

function dayMs(text) {
  return Date.parse(`${text}T00:00:00Z`);
}

/** Minutes and seconds are noise in a table. */
function timeText(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? String(text) : `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** The page may stay open: time left is counted from now. */
function countDown() {
  for (const left of document.querySelectorAll("time.left")) {
    const hours = (Date.parse(left.dateTime) - Date.now()) / 3600000;
    left.textContent =
      Math.abs(hours) < 96
        ? `${NUMBERS.format(Math.round(hours))} h`
        : `${NUMBERS.format(Math.round(hours / 24))} days`;
    left.classList.toggle("bad", hours <= 0);
    left.classList.toggle("warn", hours > 0 && hours < 72);
  }
}

const SCHEME = "monitoring-lake-scheme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Storage may be refused, by a file or a private window. */
function remembered() {
  try {
    return localStorage.getItem(SCHEME);
  } catch {
    return null;
  }
}

function isDark() {
  const chosen = document.documentElement.style.colorScheme;
  return chosen ? chosen === "dark" : dark.matches;
}

function addSwitch() {
  const button = element("button", { type: "button", class: "switch" });
  const show = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} colours`);
    document.dispatchEvent(new Event("scheme"));
  };
  button.addEventListener("click", () => {
    const scheme = isDark() ? "light" : "dark";
    document.documentElement.style.colorScheme = scheme;
    try {
      localStorage.setItem(SCHEME, scheme);
    } catch {
      // It then lasts as long as the page.
    }
    show();
  });
  dark.addEventListener("change", show);
  document.querySelector("main").prepend(button);
  show();
}

const chosen = remembered();
if (chosen === "dark" || chosen === "light") document.documentElement.style.colorScheme = chosen;
addSwitch();
countDown();
setInterval(countDown, 60000);
