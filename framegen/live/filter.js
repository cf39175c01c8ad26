// The best possible predictor, where it is known: the exact belief about a light on a circle, and the sine's.

const HALF_LEVEL = 0.5 / 255;
const FINE = 4096; // values between which a smooth function is taken as straight

/** log of the continued fraction of erfc(x) exp(x²) sqrt(π), for x > 2. */
function tail(x) {
  let fraction = x;
  for (let k = 80; k > 0; k--) fraction = x + k / 2 / fraction;
  return -Math.log(fraction);
}

/** erf by its series, for |x| <= 2.5. */
function erf(x) {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17; n++) {
    term *= -(x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** log of the probability that a standard normal lies below z. */
function logNormal(z) {
  const x = -z / Math.SQRT2;
  if (x > 2) return -x * x + tail(x) - Math.log(2 * Math.sqrt(Math.PI));
  if (x < -2) return Math.log1p(-Math.exp(logNormal(-z)));
  return Math.log((1 - erf(x)) / 2);
}

/** Mean of a normal that is cut to [0, 1]. */
function cutMean(mean, deviation) {
  const [low, high] = [-mean / deviation, (1 - mean) / deviation];
  const density = [low, high].map((z) => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI));
  const [below, above] = [Math.exp(logNormal(low)), Math.exp(logNormal(-high))];
  return mean * (1 - below - above) + deviation * (density[0] - density[1]) + above;
}

/** The clean pictures of a light at each of so many angles, one after another. */
function lights({ angles, size, width, radius, base, amplitude }) {
  const clean = new Float64Array(angles * size * size);
  const centre = (k) => (2 * k + 1) / size - 1;
  for (let g = 0, at = 0; g < angles; g++) {
    const [x, y] = [Math.cos, Math.sin].map((f) => radius * f((2 * Math.PI * g) / angles));
    for (let row = 0; row < size; row++)
      for (let column = 0; column < size; column++) {
        const squared = (centre(column) - x) ** 2 + (centre(row) - y) ** 2;
        clean[at++] = base + amplitude * Math.exp(-squared / (2 * width ** 2));
      }
  }
  return clean;
}

/** The exact posterior over (speed, angle) of a light on a circle: see `framegen/models/optima/bayes.py`. */
function ring(task) {
  const { angles, shifts, deviation } = task;
  const clean = lights(task);
  const pixels = clean.length / angles;
  const table = Float64Array.from({ length: FINE + 2 }, (_, k) => cutMean(k / FINE, deviation));
  const means = clean.map((value) => {
    const at = Math.floor(value * FINE);
    return table[at] + (value * FINE - at) * (table[at + 1] - table[at]);
  });
  const cut = new Map(); // by pixel and side, the log probability of being cut at each angle
  const cutOf = (pixel, bright) => {
    const key = 2 * pixel + bright;
    if (!cut.has(key)) {
      const z = (value) => ((bright ? value - 1 : -value) + HALF_LEVEL) / deviation;
      cut.set(
        key,
        Float64Array.from({ length: angles }, (_, g) => logNormal(z(clean[g * pixels + pixel]))),
      );
    }
    return cut.get(key);
  };

  /** log p(frame | angle), up to what does not depend on the angle. */
  function evidence(frame) {
    const result = new Float64Array(angles);
    if (!frame) return result;
    const between = [];
    frame.forEach((x, pixel) => {
      if (x > 0 && x < 1) return between.push(pixel);
      return cutOf(pixel, x >= 1 ? 1 : 0).forEach((value, g) => (result[g] += value));
    });
    for (let g = 0; g < angles; g++) {
      let sum = 0;
      for (const pixel of between) sum += (frame[pixel] - clean[g * pixels + pixel]) ** 2;
      result[g] -= sum / 2 / deviation ** 2;
    }
    return result;
  }

  /** Moves the belief on by a frame: what it is of the coming frame, and that frame's mean. */
  function coming(prior, seen) {
    const posterior = prior.map((row) => row.map((value, g) => value + seen[g]));
    const most = Math.max(...posterior.map((row) => row.reduce((a, b) => Math.max(a, b))));
    const weight = new Float64Array(angles);
    const speeds = new Float64Array(shifts.length);
    const moved = posterior.map((row, s) =>
      row.map((_, g) => {
        const value = row[(((g - shifts[s]) % angles) + angles) % angles] - most;
        weight[g] += Math.exp(value);
        speeds[s] += Math.exp(value);
        return value;
      }),
    );
    const total = weight.reduce((a, b) => a + b);
    const output = new Float64Array(pixels);
    for (let g = 0; g < angles; g++)
      for (let p = 0; p < pixels && weight[g] > 1e-15 * total; p++)
        output[p] += (weight[g] / total) * means[g * pixels + p];
    return {
      prior: moved,
      output,
      angle: weight.map((w) => w / total),
      speeds: speeds.map((w) => w / total),
    };
  }

  function run(steps, given) {
    const made = { outputs: [], angle: [], speeds: [] };
    let prior = shifts.map(() => new Float64Array(angles));
    for (let t = 0; t < steps; t++) {
      const next = coming(prior, evidence(given(t)));
      prior = next.prior;
      for (const name of ["angle", "speeds"]) made[name].push(next[name]);
      made.outputs.push(next.output);
    }
    return made;
  }

  /** The angle, as a part of the circle, whose clean picture is nearest to a frame. */
  function nearest(frame) {
    const distance = (g) => {
      const start = (((g % angles) + angles) % angles) * pixels;
      let sum = 0;
      for (let p = 0; p < pixels; p++) sum += (frame[p] - means[start + p]) ** 2;
      return sum;
    };
    let [best, least, stride] = [0, Infinity, Math.max(1, Math.floor(angles / 256))];
    const look = (from, to) => {
      for (let g = from; g < to; g += stride) {
        const found = distance(g);
        if (found < least) [best, least] = [g, found];
      }
    };
    look(0, angles); // coarsely all around, then finely about the best
    const [middle, around] = [best, stride];
    stride = 1;
    look(middle - around, middle + around);
    return ((best + angles) % angles) / angles;
  }

  return { run, nearest };
}

/** A linear map of the last two samples, the newest first; closed-loop it goes on from its own prediction. */
function linear({ weights }) {
  function run(steps, given) {
    const outputs = [];
    let last = null;
    for (let t = 0; t < steps; t++) {
      const x = given(t) ?? outputs[t - 1];
      outputs.push(x.map((value, p) => weights[0] * value + weights[1] * (last ?? x)[p]));
      last = x;
    }
    return { outputs };
  }
  return { run };
}

const makeOptimum = (task) => (task === null ? null : { ring, linear }[task.kind](task));
