// The page: what the reader does, and what is shown of it.

const page = readPage(document.getElementById("page").textContent);
const find = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

let settings = begin(page);
const steps0 = settings.steps;
let course = null;
let strip = null;
const ui = { t: 0, phase: 1, playing: false, speed: 2, view: "space", gate: 0, chosen: null, apart: false };
const gates = GATES[page.shape.cell];
ui.gate = Math.max(0, gates.indexOf("candidate"));
find("gate").append(...gates.map((name, k) => new Option(name, k, k === ui.gate, k === ui.gate)));
find("gates").hidden = gates.length === 1;
ui.brush = page.range[1];

/** The settings are others: all that follows from them is computed and shown anew. */
function change(next) {
  settings = next;
  course = makeCourse(page, settings);
  ui.t = Math.min(ui.t, settings.steps - 1);
  ui.apart = course.pushes.length > 0;
  layOut();
  showSettings();
  show();
}

/** The strip is drawn anew: its size, its colours or what it shows are others. */
function layOut() {
  const width = stripSurface.canvas.clientWidth;
  if (!width) return;
  const { off, pushes, closed, painted } = settings;
  const view = { off, pushes, closed, painted, apart: ui.apart };
  strip = renderStrip(page, course, view, width, window.devicePixelRatio || 1);
  strip.wide = strip.width > width - GUTTER + 1;
  set(
    "strip-help",
    strip.wide ? `Drag it to reach all ${settings.steps} steps.` : "Click or drag to go to a step.",
  );
  stripSurface.canvas.style.height = `${strip.height}px`;
  stripSurface.fit();
}

/** Of a step on its way: how far its part between two moments has come. */
const phaseOf = (from, to) => (calm.matches ? 1 : ease(from, to, ui.phase));
const position = () => (ui.t === 0 ? 0 : ui.t - 1 + phaseOf(0, 0.5));

/** Values between those of the step before and those of this step. */
function between(values, from, to) {
  const part = phaseOf(from, to);
  const now = values[ui.t];
  if (part >= 1 || ui.t === 0) return now;
  return now.map((value, k) => values[ui.t - 1][k] + part * (value - values[ui.t - 1][k]));
}

/** All that the views of the net need to know. */
function netView() {
  const { net } = course;
  const layers = (hidden) =>
    Array.from({ length: net.layers }, (_, k) => hidden.slice(k * net.hidden, (k + 1) * net.hidden));
  const columns = (x, hidden, y) => [x, ...layers(hidden), y];
  const { inputs, hidden, outputs, plain } = course;
  const difference = course.pushes.length ? hidden[ui.t].map((h, j) => h - plain.hidden[ui.t][j]) : null;
  return {
    page,
    course,
    net,
    gate: ui.gate,
    t: ui.t,
    off: settings.off,
    position: position(),
    phase: calm.matches ? 1 : ui.phase,
    values: columns(between(inputs, 0, 0.15), between(hidden, 0.22, 0.5), between(outputs, 0.6, 0.95)),
    memory: course.memory[ui.t],
    open: settings.off[ui.t] ? 0 : 1,
    scale: course.scale,
    difference,
    chosen: ui.chosen,
  };
}

const { small } = page; // each connection is a line

const netSurface = surface(find("net"), (context, width, height) => {
  if (!course) return;
  const draw = ui.view === "time" ? drawUnrolled : drawSpace;
  draw(context, width, height, netView());
});
const stripSurface = surface(find("strip"), (context, width, height) => {
  if (strip && Math.abs(strip.laid - width) > 0.5) layOut();
  if (!strip) return;
  strip.laid = width;
  paintStrip(context, width, height, strip, position(), stripSurface.ratio);
});

/** A canvas with one frame on it. */
function frameSurface(id, frameOf, colour) {
  return surface(find(id), (context, width, height) => {
    const [, rows, columns] = page.shape.frame;
    const size = Math.min(width, (height * Math.max(rows, columns)) / rows);
    if (course) drawFrame(context, frameOf(), page.shape.frame, page.range, 0, 0, size, ink[colour]);
  });
}
const frames = [
  frameSurface("input", () => between(course.inputs, 0, 0.15), "prompt"),
  frameSurface("output", () => between(course.outputs, 0.6, 0.95), "net"),
  frameSurface("truth", () => course.truth[ui.t], "truth"),
  frameSurface("best", () => course.best && between(course.best.outputs, 0.6, 0.95), "best"),
];
const ringSurface = surface(find("ring"), (context, width, height) => {
  if (!course?.best?.angle) return;
  const [density, frame] = [between(course.best.angle, 0.1, 0.6), between(course.best.outputs, 0.1, 0.6)];
  drawRing(context, width, height, { density, frame, needle: course.needle[ui.t], page });
});
const oddsSurface = surface(find("odds"), (context, width, height) => {
  if (!course?.best?.speeds) return;
  const odds = between(course.best.speeds, 0.1, 0.6);
  drawOdds(context, width, height, { speeds: page.optimum.speeds, odds });
});
const seedSurfaces = [...document.querySelectorAll("#seeds canvas")].map((canvas, k) =>
  surface(canvas, (context, width) => {
    if (course) drawFrame(context, course.others[k][ui.t], page.shape.frame, page.range, 0, 0, width);
  }),
);

/** What moves within a step. */
function paint() {
  for (const each of [netSurface, stripSurface, ringSurface, oddsSurface, ...frames]) each.paint();
}

/** What changes from step to step. */
function show() {
  showStep();
  for (const each of seedSurfaces) each.paint();
  paint();
}

let before = null;

/** One picture of the screen's clock. */
function tick(now) {
  const passed = before === null ? 0 : Math.min(0.1, (now - before) / 1000);
  before = now;
  ui.phase = Math.min(1, ui.phase + passed * (ui.playing ? ui.speed : Math.max(2, ui.speed)));
  if (ui.phase >= 1 && ui.playing) {
    if (ui.t + 1 < settings.steps) Object.assign(ui, { t: ui.t + 1, phase: 0 });
    else play(false);
    show();
  } else paint();
  if (ui.playing || ui.phase < 1) requestAnimationFrame(tick);
  else before = null;
}

function animate() {
  if (before === null) requestAnimationFrame(tick);
}

function play(on) {
  if (on && ui.t === settings.steps - 1) Object.assign(ui, { t: 0, phase: 1 });
  ui.playing = on;
  find("play").setAttribute("aria-pressed", on);
  find("play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (on) animate();
}

/** Go to a step; one step forward is seen as it happens. */
function go(t, moving = false) {
  play(false);
  t = clamp(t, 0, settings.steps - 1);
  ui.phase = moving && t === ui.t + 1 ? 0 : 1;
  ui.t = t;
  show();
  if (ui.phase < 1) animate();
}

readColours();
const framed = window !== parent;
if (framed) {
  // In a frame the page says how tall it is, so that the frame needs no scroll bar.
  const { documentElement } = document;
  documentElement.classList.add("framed");
  new ResizeObserver(() => parent.postMessage({ height: documentElement.offsetHeight }, "*")).observe(
    documentElement,
  );
}
