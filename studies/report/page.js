"use strict";

// A number where the cell begins with one, "3.42 ±0.6 %" as "+1.4": NaN for words and for what is unknown.
const numberIn = (cell) => parseFloat(cell.textContent.trim().replace("\u2212", "-"));

function compareCells(isNumber, direction) {
  return (a, b) => {
    if (!isNumber) return direction * a.textContent.localeCompare(b.textContent, "en", { numeric: true });
    const [x, y] = [numberIn(a), numberIn(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // unknown is last either way
    return direction * (x - y);
  };
}

function sortBy(heading) {
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of heading.parentNode.children) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const body = heading.closest("table").tBodies[0];
  const compare = compareCells(heading.classList.contains("number"), ascending ? 1 : -1);
  const rows = [...body.rows].sort((a, b) => compare(a.cells[heading.cellIndex], b.cells[heading.cellIndex]));
  body.append(...rows);
}

function select(element) {
  const selection = getSelection();
  selection.removeAllRanges();
  selection.selectAllChildren(element);
}

async function copy(button) {
  const text = button.parentNode.querySelector("pre");
  let done = "copied";
  try {
    await navigator.clipboard.writeText(text.textContent);
  } catch {
    select(text); // a page opened as a file may have no clipboard
    done = document.execCommand("copy") ? "copied" : "selected: copy it with the keyboard";
  }
  const name = button.textContent;
  button.textContent = done;
  setTimeout(() => { button.textContent = name; }, 2000);
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target?.closest("details");
  if (!details) return false;
  details.open = true;
  details.scrollIntoView();
  details.querySelector("summary").focus({ preventScroll: true });
  return true;
}

// On paper a figure is as wide as A4 and Letter have room for: plotly draws for the screen's width and does not scale.
const PAPER = { width: 690, height: 380 };
const ownHeights = new Map();
addEventListener("beforeprint", () => {
  for (const figure of document.querySelectorAll(".js-plotly-plot")) {
    ownHeights.set(figure, figure.layout.height);
    Plotly.relayout(figure, { ...PAPER, height: figure.layout.height ?? PAPER.height });
  }
});
addEventListener("afterprint", () => {
  for (const [figure, height] of ownHeights) Plotly.relayout(figure, { width: null, height, autosize: true });
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  // To where the page is already: its card may have been closed since.
  if (link && link.hash === location.hash && openTarget()) event.preventDefault();
  const button = event.target.closest("button");
  const heading = button?.closest("th");
  if (heading) sortBy(heading);
  else if (button?.closest(".copy")) copy(button);
});
addEventListener("hashchange", openTarget);
openTarget();
