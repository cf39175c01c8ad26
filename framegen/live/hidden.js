// A thing that moves where it is not seen: the world, a memory that moves, and the exact filter. As in
// framegen/data/sprites.py, models/nets/moving_memory.py and models/optima/sprite_filter.py.

/** Random numbers in [0, 1), the same ones for a seed. */
function randomOf(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A shape on a torus, its velocity drawn anew now and then; `frame` is what is seen of it. */
function makeWorld({ size, shapes, ways, turning, noise, dark, bright }, random) {
  const pick = (count) => Math.floor(random() * count);
  const thing = { shape: pick(shapes.length), row: pick(size), column: pick(size), way: pick(ways.length) };
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

  function move(turn) {
    if (turn || random() < turning) thing.way = pick(ways.length);
    const [down, right] = ways[thing.way];
    [thing.row, thing.column] = [(thing.row + down + size) % size, (thing.column + right + size) % size];
  }

  function clean() {
    const made = new Float64Array(size * size).fill(dark);
    for (const [row, column] of shapes[thing.shape])
      made[((row + thing.row) % size) * size + ((column + thing.column) % size)] = bright;
    return made;
  }

  /** The picture through noise, of 256 levels, 0 where it is hidden. */
  const frame = (hidden) =>
    clean().map((value, k) =>
      hidden[k] ? 0 : Math.round(255 * clamp(value + noise * normal(), 0, 1)) / 255,
    );
  return { thing, move, clean, frame };
}

/** Rows and columns of a picture, continued beyond its border: as a torus, or by zeros. */
function continued(x, channels, side, beyond, wraps) {
  const wide = side + 2 * beyond;
  const made = new Float64Array(channels * wide * wide);
  for (let c = 0, to = 0; c < channels; c++)
    for (let y = -beyond; y < side + beyond; y++)
      for (let at = -beyond; at < side + beyond; at++, to++) {
        const inside = y >= 0 && y < side && at >= 0 && at < side;
        if (!inside && !wraps) continue;
        made[to] = x[(c * side + ((y + side) % side)) * side + ((at + side) % side)];
      }
  return made;
}

/** A convolution without a border: (inputs, side, side) -> (outputs, side - kernel + 1, ...). */
function convolved(x, side, { weight, bias, inputs, outputs, kernel }, relu) {
  const small = side - kernel + 1;
  const made = new Float64Array(outputs * small * small);
  for (let o = 0, w = 0; o < outputs; o++) {
    const sums = made.subarray(o * small * small, (o + 1) * small * small).fill(bias[o]);
    for (let i = 0; i < inputs; i++)
      for (let down = 0; down < kernel; down++)
        for (let right = 0; right < kernel; right++, w++)
          for (let y = 0, to = 0; y < small; y++)
            for (let c = 0, at = (i * side + y + down) * side + right; c < small; c++)
              sums[to++] += weight[w] * x[at++];
  }
  return relu ? made.map((value) => Math.max(0, value)) : made;
}

/** A picture (H, W) moved on by a velocity: what it shows at a place comes from `from(k)`, or -1. */
function sources(side, [down, right], wraps) {
  return Int32Array.from({ length: side * side }, (_, k) => {
    const [y, x] = [Math.floor(k / side) - down, (k % side) - right];
    if (!wraps && (y < 0 || y >= side || x < 0 || x >= side)) return -1;
    return ((y + side) % side) * side + ((x + side) % side);
  });
}

/** The net: `step(frame, state)` gives the next frame's prediction, and what its memory holds. */
function makeMemory({ size: side, ways, wraps, beyond, features, layers, given }) {
  const places = side * side;
  const numbers = features + 1; // the pixel's own, and what is learned; one memory is of one channel
  const part = Object.fromEntries(Object.entries(given).map(([name, text]) => [name, floats(text)]));
  const conv = (name) => {
    const [weight, bias] = [part[`${name}.weight`], part[`${name}.bias`]];
    const [outputs, inputs, kernel] = layers[name];
    return { weight, bias, outputs, inputs, kernel };
  };
  const chain = (name) =>
    Object.keys(layers)
      .filter((each) => each.startsWith(`${name}.`))
      .map(conv);
  const [read, write, seen, light, last] = [
    chain("read"),
    chain("write"),
    conv("seen"),
    conv("light"),
    conv("frame"),
  ];
  const [keep, turn, share] = ["keep", "turn", "share"].map((name) => sigmoid(5 * part[name][0]));
  const precision = part.precision.map((value) => Math.exp(5 * value));
  const from = ways.map((way) => sources(side, way, wraps));

  function through(chained, x, channels) {
    let now = continued(x, channels, side, beyond, wraps);
    let wide = side + 2 * beyond;
    for (const layer of chained) {
      now = convolved(now, wide, layer, true);
      wide -= layer.kernel - 1;
    }
    return now;
  }

  const first = () => ({
    memory: ways.map(() =>
      Float64Array.from({ length: (numbers + 1) * places }, (_, k) =>
        k < numbers * places ? part.empty[Math.floor(k / places)] : 1e-3,
      ),
    ),
    belief: ways.map(() => -Math.log(ways.length)),
  });

  /** What a frame says: the numbers to remember, how visible each place is, and how it will be. */
  function look(frame) {
    const said = convolved(
      through(
        read,
        frame.map((value) => 8 * (value - 0.5)),
        1,
      ),
      side,
      seen,
      false,
    );
    const lit = convolved(frame, side, light, false);
    const numbersOf = Float64Array.from({ length: numbers * places }, (_, k) =>
      k < places ? frame[k] + said[k] / 10 : Math.tanh(said[k]),
    );
    const at = (which) => (k) => sigmoid(said[(numbers + which) * places + k] + lit[which * places + k]);
    return { e: numbersOf, visible: at(0), open: at(1) };
  }

  function step(frame, state = null) {
    state ??= first();
    const { e, visible, open } = look(frame);
    const odds = [];
    const memory = state.memory.map((before, v) => {
      const held = before.slice();
      let surprise = 0;
      for (let k = 0; k < places; k++) {
        const a = visible(k);
        const trust = keep * before[numbers * places + k];
        const gain = a / (trust + a + 1e-6);
        for (let c = 0; c < numbers; c++) {
          const off = e[c * places + k] - before[c * places + k];
          surprise += precision[c] * trust * gain * off * off;
          held[c * places + k] += gain * off;
        }
        held[numbers * places + k] = trust + a;
      }
      odds.push(state.belief[v] - surprise / 2);
      return held;
    });
    const most = Math.max(...odds);
    const weights = odds.map((value) => Math.exp(value - most));
    const total = weights.reduce((a, b) => a + b);
    const chance = weights.map((value) => (1 - turn) * (value / total) + turn / ways.length);
    const pooled = new Float64Array((numbers + 1) * places);
    memory.forEach((held, v) => held.forEach((value, k) => (pooled[k] += chance[v] * value)));
    const expected = new Float64Array((numbers + 1) * places);
    const moved = memory.map((held, v) =>
      held.map((_, k) => {
        const source = from[v][k % places];
        if (source < 0) return 0;
        const at = k - (k % places) + source;
        const value = held[at] + share * (pooled[at] - held[at]);
        expected[k] += chance[v] * value;
        return value;
      }),
    );
    const input = new Float64Array((numbers + 2) * places);
    input.set(expected);
    for (let k = numbers * places; k < (numbers + 1) * places; k++) input[k] /= 1 + input[k];
    input.set(frame, (numbers + 1) * places);
    const change = convolved(through(write, input, numbers + 2), side, last, false);
    const output = change.map((value, k) => clamp(value + open(k) * expected[k], 0, 1));
    const held = expected.slice(0, places);
    return { state: { memory: moved, belief: chance.map(Math.log) }, output, held, odds: chance };
  }
  return { step };
}

/** The exact posterior over shape, velocity and place: `step(frame, hidden, state)`. */
function makeFilter({ size: side, shapes, ways, turning, odds, darkMean, brightMean }) {
  const places = side * side;
  const from = ways.map((way) => sources(side, way, true));
  const covered = shapes.map((shape) =>
    Array.from({ length: places }, (_, k) =>
      shape.map(
        ([row, column]) =>
          ((row + Math.floor(k / side)) % side) * side + ((column + (k % side)) % side),
      ),
    ),
  );

  const first = () => {
    const even = 1 / (shapes.length * ways.length * places);
    return shapes.map(() => ways.map(() => new Float64Array(places).fill(even)));
  };

  function step(frame, hidden, state = null) {
    state ??= first();
    const says = Float64Array.from(frame, (value, k) => (hidden[k] ? 0 : odds[Math.round(255 * value)]));
    const evidence = covered.map((of) => of.map((pixels) => pixels.reduce((sum, k) => sum + says[k], 0)));
    const most = Math.max(...evidence.map((of) => Math.max(...of)));
    let total = 0;
    const after = state.map((of, s) =>
      of.map((row) =>
        row.map((value, k) => {
          const made = value * Math.exp(evidence[s][k] - most);
          total += made;
          return made;
        }),
      ),
    );
    const chance = ways.map(() => 0);
    const picture = new Float64Array(places).fill(darkMean);
    const next = after.map((of, s) => {
      const anew = of[0].map((_, k) => of.reduce((sum, row) => sum + row[k], 0) / ways.length);
      const moved = of.map((row, v) =>
        row.map((_, k) => {
          const at = from[v][k];
          return ((1 - turning) * row[at] + turning * anew[at]) / total;
        }),
      );
      moved.forEach((row, v) => (chance[v] += row.reduce((a, b) => a + b)));
      anew.forEach((_, k) => {
        const here = moved.reduce((sum, row) => sum + row[k], 0);
        if (here > 1e-9) for (const pixel of covered[s][k]) picture[pixel] += here * (brightMean - darkMean);
      });
      return moved;
    });
    return { state: next, picture, odds: chance };
  }
  return { step };
}
