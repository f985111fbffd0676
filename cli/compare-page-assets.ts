// Style and script of the page that compare-page.ts writes.

export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #ffffff; --ink: #1c2430; --faint: #5c6774; --line: #d8dee5; --raised: #f5f7f9;
  --none: #edf0f3; --low: #bcd7ee; --middle: #4a94cc; --high: #08396b;
  --question: #d9730d; --shot-a: #8f9aa6; --shot-b: #c3cbd3; --system: #7b5cc4; --template: #e6e9ed;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161c; --ink: #e4e9ef; --faint: #98a3b0; --line: #2c343e; --raised: #1a2028;
    --none: #1d242d; --low: #27517c; --middle: #4b9be0; --high: #d3ecff;
    --question: #f0994a; --shot-a: #6b7682; --shot-b: #444e59; --system: #a58be8; --template: #262d36;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem clamp(1rem, 3vw, 3rem) 4rem; max-width: 90rem;
  background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums;
}
h1 { font-size: 1.4rem; margin: 0 0 .6rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0 0 .8rem; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
.bar {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .4rem 2rem;
  align-items: center; padding: .6rem 0; background: var(--ground);
  border-bottom: 1px solid var(--line); font-size: .85rem;
}
.legend { display: flex; align-items: center; gap: .5rem; color: var(--faint); }
.legend canvas { width: 9rem; height: .8rem; border: 1px solid var(--line); }
.legend i { width: .8rem; height: .8rem; display: inline-block; }
#keeps { margin-left: auto; display: flex; gap: .3rem; }
button {
  font: inherit; color: inherit; background: var(--raised); padding: .15rem .6rem;
  border: 1px solid var(--line); border-radius: .3rem; cursor: pointer;
}
button[aria-pressed="true"] { background: var(--ink); color: var(--ground); border-color: var(--ink); }
section { margin-top: 1.6rem; }
h2 { font-size: 1.05rem; margin: 0 0 .3rem; }
figure { margin: 0 0 1rem; }
figcaption { font-size: .85rem; color: var(--faint); margin-bottom: .2rem; }
figcaption b { color: var(--ink); font-weight: 600; }
.grid { display: grid; grid-template-columns: 2.6rem 1fr; }
.grid canvas { display: block; width: 100%; image-rendering: pixelated; cursor: crosshair; }
.strip { height: 5px; margin-bottom: 2px; }
.layers {
  grid-row: 2; display: flex; flex-direction: column; justify-content: space-between;
  font-size: .72rem; line-height: 1; color: var(--faint); text-align: right; padding-right: .4rem;
}
.ticks {
  grid-column: 2; position: relative; height: 1.1rem; font-size: .72rem; color: var(--faint);
}
.ticks span { position: absolute; transform: translateX(-50%); }
.ticks span:first-child { transform: none; }
#tip {
  position: fixed; z-index: 2; max-width: min(26rem, 90vw); padding: .45rem .6rem;
  background: var(--ink); color: var(--ground); border-radius: .3rem; font-size: .85rem;
  pointer-events: none; overflow-wrap: anywhere;
}
#tip p { margin: .2rem 0 0; opacity: .6; }
#tip b { opacity: 1; font-weight: 600; }
#tip mark { background: none; color: inherit; font-weight: 700; text-decoration: underline; }
`;

export const PAGE_SCRIPT = String.raw`
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const { columns, nLayers, nKvHeads, levels } = data;
const last = levels.length - 1;
const levelOf = new Map([...levels].map((character, level) => [character, level]));
const tip = document.getElementById("tip");
const drawn = []; // functions that draw again in other colours
let shades, css;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function readColours() {
  css = getComputedStyle(document.documentElement);
  const rgb = (name) => {
    const hex = css.getPropertyValue("--" + name).trim().slice(1);
    return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };
  const [none, low, middle, high] = ["none", "low", "middle", "high"].map(rgb);
  shades = Array.from({ length: last + 1 }, (_, level) => {
    if (level === 0) return none;
    const x = (2 * (level - 1)) / (last - 1);
    const [from, to, share] = x < 1 ? [low, middle, x] : [middle, high, x - 1];
    return from.map((value, i) => Math.round(value + share * (to[i] - value)));
  });
}

function paint(canvas, rows) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  rows.forEach((row, y) => row.forEach((rgb, x) => {
    const at = 4 * (y * canvas.width + x);
    image.data.set(rgb, at);
    image.data[at + 3] = 255;
  }));
  context.putImageData(image, 0, 0);
}

/** Shots take turns in two greys, so that their borders show. */
function stripColours() {
  let shot = 0;
  return columns.map(({ kind, begin }, i) => {
    if (kind !== "shot") return "--" + kind;
    if (data.shots.has(begin) && i > 0) shot++;
    return shot % 2 === 0 ? "--shot-a" : "--shot-b";
  });
}

function ticks() {
  const step = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000].find((n) => data.nTokens / n <= 9);
  const row = element("div", { className: "ticks" });
  for (let at = 0; at < data.nTokens - step / 4; at += step ?? data.nTokens) {
    const text = at === 0 ? "token 0" : String(at);
    const tick = element("span", { textContent: text });
    tick.style.left = (100 * at) / data.nTokens + "%";
    row.append(tick);
  }
  return row;
}

function layerLabels() {
  const labels = nLayers < 3 ? [0, nLayers - 1] : [0, Math.floor((nLayers - 1) / 2), nLayers - 1];
  const texts = [...new Set(labels)].map((l) => element("span", { textContent: "L" + l }));
  return element("div", { className: "layers" }, ...texts);
}

function figure(method, run) {
  const caption = element("figcaption");
  if (run.keep !== null) caption.append(element("b", { textContent: "keep " + run.keep }), " · ");
  caption.append(run.caption);
  const made = element("figure", {}, caption);
  made.dataset.keep = String(run.keep);
  if (run.cells.length === 0) return made;
  const strip = element("canvas", { className: "strip", width: columns.length, height: 1 });
  strip.ariaHidden = "true";
  const map = element("canvas", { width: columns.length, height: nLayers });
  map.style.height = Math.max(60, Math.min(14, Math.max(4, 170 / nLayers)) * nLayers) + "px";
  map.setAttribute("role", "img");
  map.setAttribute("aria-label", method + ": kept tokens by layer. " + run.caption);
  drawn.push(() => {
    paint(map, run.cells.map((cells) => [...cells].map((cell) => shades[levelOf.get(cell)])));
    const context = strip.getContext("2d");
    stripColours().forEach((name, x) => {
      context.fillStyle = css.getPropertyValue(name).trim();
      context.fillRect(x, 0, 1, 1);
    });
  });
  map.addEventListener("pointermove", (event) => showTip(event, map, run));
  map.addEventListener("pointerleave", () => (tip.hidden = true));
  const grid = element("div", { className: "grid" }, element("span"), strip, layerLabels(), map, ticks());
  made.append(grid);
  return made;
}

function showTip(event, map, run) {
  const box = map.getBoundingClientRect();
  const index = (at, size, n) => Math.min(n - 1, Math.max(0, Math.floor((at / size) * n)));
  const x = index(event.clientX - box.left, box.width, columns.length);
  const l = index(event.clientY - box.top, box.height, nLayers);
  const { begin, n, text } = columns[x];
  const share = levelOf.get(run.cells[l][x]) / last;
  const kept = n === 1
    ? "kept by " + Math.round(share * nKvHeads) + " of " + nKvHeads + " kv heads"
    : Math.round(100 * share) + " % kept";
  const where = n === 1 ? "token " + begin : "tokens " + begin + "–" + (begin + n - 1);
  const around = (from, to) => columns.slice(Math.max(0, from), to).map((one) => one.text).join("");
  const wide = n === 1 ? 12 : 4;
  tip.replaceChildren(
    element("b", { textContent: "layer " + l + ", " + where + ": " + kept }),
    element("p", {}, "…" + around(x - wide, x), element("mark", { textContent: text }), around(x + 1, x + 1 + wide) + "…"),
  );
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = Math.min(event.clientX + 14, innerWidth - width - 8) + "px";
  const below = event.clientY + 18;
  tip.style.top = (below + height > innerHeight ? event.clientY - height - 12 : below) + "px";
}

function draw() {
  readColours();
  paint(document.getElementById("ramp"), [Array.from({ length: 256 }, (_, x) => shades[Math.round((x / 255) * last)])]);
  for (const again of drawn) again();
}

function addKinds() {
  const names = { template: "template", system: "system", shot: "text, piece by piece", question: "question" };
  const there = new Set(columns.map(({ kind }) => kind));
  for (const [kind, text] of Object.entries(names)) {
    if (!there.has(kind)) continue;
    const swatch = element("i");
    swatch.style.background = "var(--" + (kind === "shot" ? "shot-a" : kind) + ")";
    document.getElementById("kinds").append(swatch, text);
  }
}

function addKeeps() {
  const keeps = [...new Set(data.methods.flatMap(({ runs }) => runs.map(({ keep }) => String(keep))))];
  if (keeps.length < 2) return;
  const group = document.getElementById("keeps");
  for (const keep of ["all", ...keeps]) {
    const button = element("button", { textContent: keep === "all" ? "all" : "keep " + keep });
    button.ariaPressed = String(keep === "all");
    button.addEventListener("click", () => {
      for (const other of group.children) other.ariaPressed = String(other === button);
      for (const one of document.querySelectorAll("figure")) {
        one.hidden = keep !== "all" && one.dataset.keep !== keep && one.dataset.keep !== "null";
      }
    });
    group.append(button);
  }
}

data.shots = new Set(data.shotStarts);
for (const { name, runs } of data.methods) {
  const figures = runs.map((run) => figure(name, run));
  document.querySelector("main").append(element("section", {}, element("h2", { textContent: name }), ...figures));
}
addKinds();
addKeeps();
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
`;
