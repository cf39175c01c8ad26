// The page of a memory that moves: what the reader hides, and what the net and the optimum make of it.

const page = JSON.parse(document.getElementById("page").textContent);
const find = (id) => document.getElementById(id);
const { size } = page.world;
const SHAPE = [1, size, size];
const net = makeMemory(page.net);
const filter = makeFilter(page.world);
const ui = { playing: false, speed: 4, closed: false, bar: true, turn: false, seed: 1 };
let now = null;

const behind = (k) => {
  const [first, last] = page.world.bar;
  return ui.bar && k % size >= first && k % size < last;
};
const hiddenNow = () => Array.from({ length: size * size }, (_, k) => ui.closed || behind(k));
const error = (made, frame, hidden) => {
  let [sum, count] = [0, 0];
  frame.forEach((value, k) => hidden[k] || ((sum += (made[k] - value) ** 2), count++));
  return count ? sum / count : null;
};

/** A new thing, of which nothing was seen yet. */
function begin() {
  const world = makeWorld(page.world, randomOf(ui.seed));
  now = { world, t: 0, sums: { net: 0, best: 0, copy: 0 }, count: 0, since: 0 };
  look();
}

/** What is seen of the thing where it is now, and what is expected next. */
function look() {
  const hidden = hiddenNow();
  const frame = now.world.frame(hidden);
  now.expected = now.net && { net: now.net.held, best: now.best.picture };
  if (now.net) {
    const before = { net: now.net.output, best: now.best.picture, copy: now.frame };
    const errors = Object.entries(before).map(([name, made]) => [name, error(made, frame, hidden)]);
    if (errors[0][1] !== null) {
      now.count++;
      for (const [name, value] of errors) now.sums[name] += value;
    }
  }
  now.t++;
  now.there = now.world.clean();
  now.since = now.there.some((value, k) => value === page.world.bright && !hidden[k]) ? 0 : now.since + 1;
  [now.frame, now.hidden] = [frame, hidden];
  now.net = net.step(frame, now.net?.state);
  now.best = filter.step(frame, hidden, now.best?.state);
  show();
}

function on() {
  now.world.move(ui.turn);
  ui.turn = false;
  look();
}

/** A frame, and on it where nothing is seen. */
function drawWith(context, width, frame, marked) {
  drawFrame(context, frame, SHAPE, [0, 1], 0, 0, width);
  if (!marked) return;
  const part = width / size;
  const [first, last] = ui.closed ? [0, size] : ui.bar ? page.world.bar : [0, 0];
  [context.strokeStyle, context.lineWidth] = [ink.pos, 2];
  context.setLineDash([6, 4]);
  if (last > first) context.strokeRect(first * part + 1, 1, (last - first) * part - 2, width - 2);
}

/** How probable each velocity is: down over right, still in the middle. */
function drawOdds(context, width, odds, colour) {
  const across = Math.round(Math.sqrt(page.world.ways.length));
  const [part, rgb] = [width / across, ink.rgb[colour]];
  page.world.ways.forEach(([down, right], v) => {
    const reach = (across - 1) / 2;
    const [x, y] = [(right + reach) * part, (down + reach) * part];
    context.fillStyle = css(ink.rgb.line, 0.5);
    context.fillRect(x + 1, y + 1, part - 2, part - 2);
    context.fillStyle = css(rgb, clamp(odds[v], 0, 1));
    context.fillRect(x + 1, y + 1, part - 2, part - 2);
    const [middleX, middleY] = [x + part / 2, y + part / 2];
    [context.strokeStyle, context.lineWidth] = [ink.ink, 1.5];
    context.setLineDash([]);
    context.beginPath();
    context.moveTo(middleX, middleY);
    const length = reach ? (0.38 * part) / reach : 0;
    context.lineTo(middleX + right * length, middleY + down * length);
    context.stroke();
    context.beginPath();
    context.arc(middleX, middleY, 2, 0, 7);
    context.fillStyle = ink.ink;
    context.fill();
  });
}

const surfaces = [
  surface(find("there"), (context, width) => drawWith(context, width, now?.there, false)),
  surface(find("seen"), (context, width) => drawWith(context, width, now?.frame, false)),
  surface(find("held"), (context, width) => drawWith(context, width, now?.expected?.net, true)),
  surface(find("best"), (context, width) => drawWith(context, width, now?.expected?.best, true)),
  surface(find("net-odds"), (context, width) => now && drawOdds(context, width, now.net.odds, "net")),
  surface(find("best-odds"), (context, width) => now && drawOdds(context, width, now.best.odds, "best")),
];

function show() {
  const { count, since, sums, t } = now;
  find("now").textContent = `frame ${t}` + (since ? `, unseen for ${plural(since, "frame")}` : "");
  for (const [name, sum] of Object.entries(sums))
    find(`${name}-error`).textContent = short(count ? sum / count : NaN);
  const skill = (sums.copy - sums.net) / (sums.copy - sums.best);
  find("skill").textContent = count > 20 ? skill.toFixed(2).replace("-", "−") : "–";
  for (const each of surfaces) each.paint();
}

let last = 0;
function tick(time) {
  if (!ui.playing) return;
  if (time - last > 1000 / ui.speed) {
    last = time;
    on();
  }
  requestAnimationFrame(tick);
}
function play(playing) {
  ui.playing = playing;
  find("play").textContent = playing ? "pause" : "play";
  find("play").setAttribute("aria-pressed", playing);
  if (playing) requestAnimationFrame(tick);
}
function set(name, value) {
  ui[name] = value;
  find("eye").setAttribute("aria-pressed", ui.closed);
  find("bar").setAttribute("aria-pressed", ui.bar);
  for (const each of surfaces) each.paint();
}

const ACTIONS = {
  play: () => play(!ui.playing),
  forward() {
    play(false);
    on();
  },
  eye: () => set("closed", !ui.closed),
  bar: () => set("bar", !ui.bar),
  turn() {
    ui.turn = true;
    if (!ui.playing) on();
  },
  anew() {
    ui.seed++;
    begin();
  },
};
const KEYS = { " ": "play", ArrowRight: "forward", e: "eye", b: "bar", t: "turn", n: "anew" };
for (const [id, act] of Object.entries(ACTIONS)) find(id).addEventListener("click", act);
find("speed").addEventListener("input", (event) => (ui.speed = 2 ** event.target.value));
document.addEventListener("keydown", (event) => {
  const pressed = event.key === " " && event.target.tagName === "BUTTON";
  if (pressed || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  ACTIONS[KEYS[event.key]]();
});

readColours();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  show();
});
begin();
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play(true);
window.player = { net, filter, page, error: (name) => now.sums[name] / now.count }; // for whoever looks in
