// What the reader can do: buttons, keys, and fingers on the pictures.

const toggleMemory = () => page.shape.cell !== "mlp" && change(switched(settings, ui.t));
const toggleClosed = () => page.nextFrame && change({ ...settings, closed: !settings.closed });
const push = (unit) => {
  play(false);
  Object.assign(ui, { chosen: unit, phase: 1 });
  change(pushed(settings, ui.t, unit));
  reveal(find("neuron"), "nearest");
};
const reset = () => {
  play(false);
  const { member } = settings;
  Object.assign(ui, { t: 0, phase: 1, chosen: null });
  change({ ...begin(page), member });
};
const takeClip = (value) =>
  change({ ...settings, clip: value, painted: null, pushes: [], steps: settings.steps });
const takeMember = (k) => change({ ...settings, member: (k + page.members.length) % page.members.length });
const longer = () => {
  const steps = settings.steps < 4 * steps0 ? 2 * settings.steps : steps0;
  change({ ...settings, steps, pushes: settings.pushes.filter((each) => each.t < steps) });
};
const look = (view) => {
  ui.view = small ? view : "space";
  find("panes").classList.toggle("time", ui.view === "time");
  showSettings();
  paint();
};
const choose = (by) => {
  const count = page.shape.hidden * page.shape.layers;
  ui.chosen = ui.chosen === null ? (by > 0 ? 0 : count - 1) : (ui.chosen + by + count) % count;
  show();
  reveal(find("neuron"), "nearest");
};
const faster = (factor) => {
  ui.speed = clamp(ui.speed * factor, 0.5, 32);
  find("speed").value = Math.log2(ui.speed);
  set("speed-text", `${ui.speed} steps/s`);
};

const on = (id, kind, act) => find(id)?.addEventListener(kind, act);
on("play", "click", () => play(!ui.playing));
on("back", "click", () => go(ui.t - 1));
on("forward", "click", () => go(ui.t + 1, true));
on("memory", "click", toggleMemory);
on("closed", "click", toggleClosed);
on("reset", "click", reset);
on("space", "click", () => look("space"));
on("time", "click", () => look("time"));
on("longer", "click", longer);
on("blank", "click", () => change(blank(page, settings)));
on("seek", "input", (event) => go(event.target.value - 1));
on("speed", "input", (event) => faster(2 ** event.target.value / ui.speed));
on("context", "input", (event) => change({ ...settings, context: Number(event.target.value) }));
on("clip", "change", (event) => takeClip(Number(event.target.value)));
on("gate", "change", (event) => {
  ui.gate = Number(event.target.value);
  paint();
});
document
  .querySelectorAll("#seeds button")
  .forEach((button, k) => button.addEventListener("click", () => takeMember(k)));
document.querySelectorAll("#brush [data-level]").forEach((button) =>
  button.addEventListener("click", () => {
    ui.brush = Number(button.dataset.level);
    document
      .querySelectorAll("#brush [data-level]")
      .forEach((each) => each.setAttribute("aria-pressed", each === button));
  }),
);
// A button that was clicked does not keep the keys: space goes on to play.
document.addEventListener(
  "click",
  (event) => event.detail > 0 && document.activeElement?.closest("button")?.blur(),
);

const KEYS = {
  " ": () => play(!ui.playing),
  ArrowRight: (event) => go(ui.t + (event.shiftKey ? 10 : 1), true),
  ArrowLeft: (event) => go(ui.t - (event.shiftKey ? 10 : 1)),
  Home: () => go(0),
  End: () => go(settings.steps - 1),
  ArrowUp: () => choose(-1),
  ArrowDown: () => choose(1),
  d: () => push(ui.chosen ?? 0),
  m: toggleMemory,
  c: toggleClosed,
  v: () => look(ui.view === "space" ? "time" : "space"),
  n: () => takeClip((settings.clip + 1) % page.clips.length),
  "[": () => takeMember(settings.member - 1),
  "]": () => takeMember(settings.member + 1),
  "+": () => faster(2),
  "-": () => faster(0.5),
  r: reset,
};
document.addEventListener("keydown", (event) => {
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const busy = event.target.closest("input, select") && !["m", "c", "d"].includes(event.key);
  const pressed = [" ", "Enter"].includes(event.key) && event.target.closest("button");
  if (!act || busy || pressed || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act(event);
});

/** A finger or the mouse on a canvas, from where it is set down to where it is lifted. */
function drag(canvas, act) {
  const move = (event) => act(pointAt(event), false);
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    act(pointAt(event), true);
    canvas.addEventListener("pointermove", move);
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => canvas.removeEventListener("pointermove", move));
}

function paintPixels(t, pixels, value) {
  const frame = (settings.painted ?? page.clips[settings.clip].frames)[t];
  if (pixels.some((p) => frame[p] !== value)) change(paintedAt(page, settings, t, pixels, value));
}

drag(find("input"), ({ x, y }) => {
  play(false);
  ui.phase = 1;
  if (!course.given(ui.t))
    return set("hint", `This ${thing} is the net's own prediction: go back into the prompt to paint.`);
  const [channels, rows, columns] = page.shape.frame;
  const { clientWidth, clientHeight } = find("input");
  if (page.shape.pixels === 1) {
    const value = page.range[0] + (1 - clamp(y / clientHeight, 0, 1)) * (page.range[1] - page.range[0]);
    return paintPixels(ui.t, [0], value);
  }
  const size =
    Math.min(clientWidth, (clientHeight * Math.max(rows, columns)) / rows) / Math.max(rows, columns);
  const [row, column] = [Math.floor(y / size), Math.floor(x / size)];
  if (row < 0 || column < 0 || row >= rows || column >= columns) return undefined;
  const pixels = Array.from({ length: channels }, (_, c) => (c * rows + row) * columns + column);
  return paintPixels(ui.t, pixels, ui.brush);
});

let painting = false;
let grabbed = null;
drag(find("strip"), (point, first) => {
  const { t, row } = hitStrip(strip, stripSurface.width, position(), point);
  if (first) grabbed = { t, x: point.x };
  if (first) painting = row?.key === "curve" && Boolean(course.given(t));
  if (painting && course.given(t)) {
    ui.phase = 1;
    ui.t = t;
    return paintPixels(t, [0], valueInCurves(page, strip.rows[0], point.y));
  }
  if (first && row?.key === "hidden") {
    const count = page.shape.hidden * page.shape.layers;
    ui.chosen = clamp(Math.floor(((point.y - row.y) / row.height) * count), 0, count - 1);
  }
  // A strip wider than its window is dragged along, so that all of its steps come by.
  return go(strip.wide ? grabbed.t + Math.round((grabbed.x - point.x) / strip.cell) : t);
});

find("net").addEventListener("click", (event) => {
  const { width, height } = netSurface;
  const point = pointAt(event);
  const { net } = course;
  if (ui.view === "time") {
    const { step, unit } = hitUnrolled(netView(), width, height, point);
    go(step);
    return unit === null ? undefined : push(unit);
  }
  const unit = unitInSpace(page, net, width, height, point);
  if (unit !== null) return push(unit);
  ui.chosen = null;
  return show();
});
find("net").addEventListener("pointermove", (event) => {
  const { width, height } = netSurface;
  const [net, point] = [course.net, pointAt(event)];
  const time = ui.view === "time";
  const unit = time
    ? hitUnrolled(netView(), width, height, point).unit
    : unitInSpace(page, net, width, height, point);
  find("net").style.cursor = unit !== null || time ? "pointer" : "";
  if (unit === null || time) return;
  const value = short(course.hidden[ui.t][unit]);
  set("hint", `${unitName(unit)} is at ${value}. Click to push it up, again to push it down.`);
});
find("net").addEventListener("pointerleave", () => set("hint", hint()));

const recolour = () => {
  readColours();
  layOut();
  show();
};
dark.addEventListener("change", recolour);
faster(1);
change(settings);
if (!calm.matches) play(true);

// For tests, and for whoever opens the console.
window.player = {
  page,
  floats,
  makeNet,
  makeOptimum,
  simulate,
  get settings() {
    return settings;
  },
  get course() {
    return course;
  },
  ui,
  change,
  go,
  neuronLines,
  places: () => placeUnits(page, course.net, netSurface.width, netSurface.height),
  strip: () => strip,
};
