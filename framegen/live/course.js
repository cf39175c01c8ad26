// What happens at every step, under the reader's settings: the net, the other seeds, the optimum, the errors.

/** What stands in the page, with its numbers decoded. */
function readPage(text) {
  const page = JSON.parse(text);
  const { shape } = page;
  const pixels = (shape.pixels = shape.frame.reduce((a, b) => a * b));
  page.members = page.members.map((each) => ({ ...each, net: makeNet(shape, floats(each.weights)) }));
  const frames = (stored) => {
    const values = page.levels ? floats(stored, Uint8Array) : floats(stored);
    return Array.from({ length: values.length / pixels }, (_, t) =>
      Float64Array.from(values.subarray(t * pixels, (t + 1) * pixels), (v) => (page.levels ? v / 255 : v)),
    );
  };
  page.clips = page.clips.map((clip) => {
    const given = frames(clip.frames);
    return { name: clip.name, frames: given, targets: clip.targets ? frames(clip.targets) : given.slice(1) };
  });
  page.best = makeOptimum(page.optimum);
  return page;
}

const BOUNDED = ["tanh", "mlp", "gru", "lstm"];

/** The settings that a reader begins with. */
function begin(page) {
  const steps = page.clips[0].frames.length;
  return {
    member: page.shown,
    clip: 0,
    painted: null,
    steps,
    closed: page.nextFrame,
    context: page.context,
    off: new Uint8Array(4 * steps),
    pushes: [],
  };
}

/** Which frame goes in at a step; null where the net runs on from its own prediction. */
function givenBy(page, settings) {
  const frames = settings.painted ?? page.clips[settings.clip].frames;
  const known = settings.closed ? Math.min(settings.context, frames.length) : frames.length;
  return (t) => (t < known ? frames[t] : null);
}

function meanSquare(a, b) {
  let sum = 0;
  for (let p = 0; p < a.length; p++) sum += (a[p] - b[p]) ** 2;
  return sum / a.length;
}

let remembered = { key: null };

/** The optimum depends on the frames alone: it is computed anew only where those are others. */
function optimumOf(page, settings, given) {
  if (!page.best) return null;
  const { clip, painted, version, steps, closed, context } = settings;
  const key = JSON.stringify([painted ? version : clip, Boolean(painted), steps, closed && context]);
  if (remembered.key !== key) remembered = { key, made: page.best.run(steps, given) };
  return remembered.made;
}

/** The largest |h| of each layer: how far a push goes, and what full colour means. */
function scales(net, hidden) {
  return Array.from({ length: net.layers }, (_, layer) => {
    if (BOUNDED.includes(net.cell)) return 1;
    const part = hidden.flatMap((h) => [...h.slice(layer * net.hidden, (layer + 1) * net.hidden)]);
    return part.reduce((most, h) => (Math.abs(h) > most ? Math.abs(h) : most), 0) || 1;
  });
}

/** All that is shown, at every step. */
function makeCourse(page, settings) {
  const { steps, off } = settings;
  const given = givenBy(page, settings);
  const net = page.members[settings.member].net;
  const plain = simulate(net, steps, given, off);
  const scale = scales(net, plain.hidden);
  const pushes = settings.pushes.map((push) => ({
    ...push,
    amount: push.sign * scale[Math.floor(push.unit / net.hidden)],
  }));
  const run = pushes.length ? simulate(net, steps, given, off, pushes) : plain;
  const best = optimumOf(page, settings, given);
  const clip = page.clips[settings.clip];
  // Nobody knows how a painted clip goes on; there the optimum's forecast takes the truth's place.
  const truth = settings.painted ? (best?.outputs ?? []) : clip.targets.slice(0, steps);
  let seen = null;
  const copied = run.inputs.map((_, t) => (seen = given(t) ?? seen));
  const errors = (outputs) => truth.map((frame, t) => meanSquare(outputs[t], frame));
  const others = page.members.map((each, k) =>
    k === settings.member ? run.outputs : simulate(each.net, steps, given, off).outputs,
  );
  return {
    ...run,
    net,
    plain,
    scale,
    given,
    truth: settings.painted ? [] : truth,
    pushes,
    best,
    needle: page.best?.nearest ? run.outputs.map(page.best.nearest) : null,
    others,
    errors: {
      net: errors(run.outputs),
      undisturbed: pushes.length ? errors(plain.outputs) : null,
      optimum: best && !settings.painted ? errors(best.outputs) : null,
      copy: page.nextFrame ? errors(copied) : null,
      others: others.map(errors),
    },
  };
}

/** The settings with the memory switched over from a step on. */
function switched(settings, t) {
  const off = settings.off.slice();
  off.fill(off[t] ? 0 : 1, t);
  return { ...settings, off };
}

/** The settings with a unit pushed up at a step; what is pushed up is pushed down next, then left alone. */
function pushed(settings, t, unit) {
  const same = (push) => push.t === t && push.unit === unit;
  const sign = { 0: 1, 1: -1, [-1]: 0 }[settings.pushes.find(same)?.sign ?? 0];
  const others = settings.pushes.filter((push) => !same(push));
  return { ...settings, pushes: sign ? [...others, { t, unit, sign }] : others };
}

let versions = 0;

/** The settings with some pixels of a frame painted; the clip becomes the reader's own. */
function paintedAt(page, settings, t, pixels, value) {
  const frames = (settings.painted ?? page.clips[settings.clip].frames).slice();
  frames[t] = frames[t].slice();
  for (const p of pixels) frames[t][p] = value;
  return { ...settings, painted: frames, version: ++versions };
}

/** The settings with a prompt on which nothing is painted yet. */
function blank(page, settings) {
  const frames = page.clips[settings.clip].frames.map((frame) => frame.map(() => page.ground));
  return { ...settings, painted: frames, version: ++versions };
}
