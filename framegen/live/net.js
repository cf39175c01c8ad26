// The net's arithmetic, as PyTorch does it: one step of each cell, and a whole run of steps.

const GATES = {
  tanh: ["weights"],
  relu: ["weights"],
  mlp: ["weights"],
  gru: ["reset gate", "update gate", "candidate"],
  lstm: ["input gate", "forget gate", "candidate", "output gate"],
  mingru: ["update gate", "candidate"],
};

/** Little-endian float32 (or bytes) from base64. */
function floats(text, Kind = Float32Array) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Kind === Uint8Array ? bytes : new Kind(bytes.buffer);
}

/** The net whose parameters stand in a row, in the order of PyTorch's `parameters()`. */
function makeNet({ cell, pixels, hidden, layers }, weights) {
  const rows = GATES[cell].length * hidden;
  let at = 0;
  const take = (count) => weights.subarray(at, (at += count));
  const stack = [];
  for (let layer = 0; layer < layers; layer++) {
    const inputs = layer ? hidden : pixels;
    const recurrent = cell !== "mlp" && cell !== "mingru";
    const ih = take(rows * inputs);
    const hh = recurrent ? take(rows * hidden) : null;
    const bi = take(rows);
    stack.push({ inputs, ih, hh, bi, bh: recurrent ? take(rows) : null });
  }
  return { cell, pixels, hidden, layers, stack, out: take(pixels * hidden), bias: take(pixels) };
}

/** bias + matrix · x, the matrix row by row. */
function affine(matrix, x, bias) {
  const result = Float64Array.from(bias);
  const columns = x.length;
  for (let row = 0, at = 0; row < result.length; row++) {
    let sum = 0;
    for (let column = 0; column < columns; column++) sum += matrix[at++] * x[column];
    result[row] += sum;
  }
  return result;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** The gates of a unit, from what the input, a(gate), and the memory, b(gate), bring to each. */
const UNITS = {
  gru(a, b) {
    const r = sigmoid(a(0) + b(0));
    return { r, z: sigmoid(a(1) + b(1)), n: Math.tanh(a(2) + r * b(2)) };
  },
  lstm(a, b) {
    const [i, f, g, o] = [0, 1, 2, 3].map((gate) => a(gate) + b(gate));
    return { i: sigmoid(i), f: sigmoid(f), g: Math.tanh(g), o: sigmoid(o) };
  },
  mingru: (a) => ({ z: sigmoid(a(0)), n: a(1) }),
};

/** The gates of every unit of a layer. */
function gatesOf(cell, size, a, b) {
  const at = (values, j) => (gate) => values[gate * size + j];
  return Array.from({ length: size }, (_, j) => UNITS[cell](at(a, j), b && at(b, j)));
}

/** A layer's step: a is what the input brings to each gate, b what the memory brings; h, c are before. */
const CELLS = {
  tanh: (size, a, b) => ({ h: a.map((value, j) => Math.tanh(value + b[j])) }),
  relu: (size, a, b) => ({ h: a.map((value, j) => Math.max(0, value + b[j])) }),
  mlp: (size, a) => ({ h: a.map(Math.tanh) }),
  gru(size, a, b, h) {
    const gates = gatesOf("gru", size, a, b);
    return { h: h.map((before, j) => (1 - gates[j].z) * gates[j].n + gates[j].z * before) };
  },
  lstm(size, a, b, h, c) {
    const gates = gatesOf("lstm", size, a, b);
    const cell = c.map((before, j) => gates[j].f * before + gates[j].i * gates[j].g);
    return { h: cell.map((value, j) => gates[j].o * Math.tanh(value)), c: cell };
  },
  mingru(size, a, b, h) {
    const gates = gatesOf("mingru", size, a, b);
    return { h: h.map((before, j) => before + gates[j].z * (gates[j].n - before)) };
  },
};

/** No memory: h (and the LSTM's c) of every layer, one layer after another, all 0. */
function noMemory(net) {
  const size = net.layers * net.hidden;
  return { h: new Float64Array(size), c: new Float64Array(size) };
}

/** One step: the state after it, and the prediction. `push` is added to the states as they come about. */
function step(net, x, before, push = null) {
  const size = net.hidden;
  const after = noMemory(net);
  let below = x;
  net.stack.forEach((layer, number) => {
    const [from, to] = [number * size, (number + 1) * size];
    const [h, c] = [before.h.slice(from, to), before.c.slice(from, to)];
    const a = affine(layer.ih, below, layer.bi);
    const b = layer.hh && affine(layer.hh, h, layer.bh);
    const made = CELLS[net.cell](size, a, b, h, c);
    if (push) for (let j = 0; j < size; j++) made.h[j] += push[from + j];
    after.h.set(made.h, from);
    if (made.c) after.c.set(made.c, from);
    below = made.h;
  });
  return { state: after, output: affine(net.out, below, net.bias) };
}

/**
 * A run of steps.
 * given(t): the frame that goes in at step t, or null: then the net's own prediction does.
 * off[t]: whether the memory that reaches step t is switched off. pushes: [{ t, unit, amount }].
 * Returns by step: inputs, hidden and cells (all layers), outputs; and memory, what reached the step.
 */
function simulate(net, steps, given, off = null, pushes = []) {
  const run = { inputs: [], hidden: [], cells: [], outputs: [], memory: [] };
  let state = noMemory(net);
  for (let t = 0; t < steps; t++) {
    const x = given(t) ?? run.outputs[t - 1];
    const before = off && off[t] ? noMemory(net) : state;
    let push = null;
    for (const each of pushes) {
      if (each.t !== t) continue;
      push ??= new Float64Array(net.layers * net.hidden);
      push[each.unit] += each.amount;
    }
    const made = step(net, x, before, push);
    state = made.state;
    run.inputs.push(x);
    run.hidden.push(state.h);
    run.cells.push(state.c);
    run.outputs.push(made.output);
    run.memory.push(before.h);
  }
  return run;
}
