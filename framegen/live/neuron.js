// One hidden unit at one step: its formula, and its numbers.

const MOST_TERMS = 8; // that are written out

const minus = (text) => text.replace("-", "−");
const digits = (value) => minus(value.toFixed(2).replace(/^-0\.00$/, "0.00"));

const dot = (weights, values) => weights.reduce((sum, weight, i) => sum + weight * values[i], 0);

/** "0.52·0.20 − 1.31·0.71 = −0.83": weights times values, and their sum; the sum alone of many. */
function products(weights, values) {
  const sum = digits(dot(weights, values));
  if (weights.length > MOST_TERMS) return `the sum of ${weights.length} products = ${sum}`;
  const factor = (value) => digits(value).replace(/^−.*/, "($&)");
  const terms = Array.from(weights, (weight, i) => `${digits(weight)}·${factor(values[i])}`);
  return `${terms.join(" + ").replaceAll("+ −", "− ")} = ${sum}`;
}

/** What the cells without gates do with the sum. */
const PLAIN = {
  tanh: (sum) => `tanh(${sum})`,
  relu: (sum) => `max(0, ${sum})`,
  mlp: (sum) => `tanh(${sum})`,
};

/** The formulas of a unit from its gates. */
const GATED = {
  gru: ({ r, z, n, before, h }) => [
    ["h_{t−1}", "", before],
    ["reset r", "σ(W_{r} x_{t} + U_{r} h_{t−1} + b_{r})", r],
    ["update z", "σ(W_{z} x_{t} + U_{z} h_{t−1} + b_{z})", z],
    ["candidate n", "tanh(W x_{t} + b + r (U h_{t−1} + b′))", n],
    ["h_{t}", "(1 − z) n + z h_{t−1}", h],
  ],
  lstm: ({ i, f, g, o, c, h }) => [
    ["input i", "σ(W_{i} x_{t} + U_{i} h_{t−1} + b_{i})", i],
    ["forget f", "σ(W_{f} x_{t} + U_{f} h_{t−1} + b_{f})", f],
    ["candidate g", "tanh(W x_{t} + U h_{t−1} + b)", g],
    ["output o", "σ(W_{o} x_{t} + U_{o} h_{t−1} + b_{o})", o],
    ["cell c_{t}", "f c_{t−1} + i g", c],
    ["h_{t}", "o tanh(c_{t})", h],
  ],
  mingru: ({ z, n, before, h }) => [
    ["h_{t−1}", "", before],
    ["update z", "σ(W_{z} x_{t} + b_{z})", z],
    ["candidate n", "W x_{t} + b", n],
    ["h_{t}", "h_{t−1} + z (n − h_{t−1})", h],
  ],
};

/** Lines about a hidden unit at step t, each a name and what it is equal to. */
function neuronLines(course, t, number) {
  const { net } = course;
  const size = net.hidden;
  const [layer, j] = [Math.floor(number / size), number % size];
  const part = (values) => values.slice(layer * size, (layer + 1) * size);
  const { ih, hh, bi, bh, inputs } = net.stack[layer];
  const x = layer ? course.hidden[t].slice((layer - 1) * size, layer * size) : course.inputs[t];
  const memory = part(course.memory[t]);
  const h = course.hidden[t][number];
  const pushed = course.pushes.filter((each) => each.t === t && each.unit === number);
  const push = pushed.reduce((sum, each) => sum + each.amount, 0);
  const lines = [];
  if (net.cell in GATED) {
    const gates = gatesOf(net.cell, size, affine(ih, x, bi), hh && affine(hh, memory, bh))[j];
    const unit = { ...gates, before: memory[j], c: course.cells[t][number], h: h - push };
    for (const [name, text, value] of GATED[net.cell](unit))
      lines.push([name, `${text}${text && " = "}${digits(value)}`]);
  } else {
    const row = (matrix, wide) => matrix.subarray(j * wide, (j + 1) * wide);
    const fromMemory = hh ? [dot(row(hh, size), memory)] : [];
    const parts = [dot(row(ih, inputs), x), ...fromMemory, bi[j] + (bh?.[j] ?? 0)];
    lines.push(["h_{t}", PLAIN[net.cell](hh ? "W x_{t} + U h_{t−1} + b" : "W x_{t} + b")]);
    lines.push(["W x_{t}", products(row(ih, inputs), x)]);
    if (hh) lines.push(["U h_{t−1}", products(row(hh, size), memory)]);
    lines.push(["b", digits(parts.at(-1))]);
    const sum = parts.map(digits).join(" + ").replaceAll("+ −", "− ");
    lines.push(["h_{t}", `${PLAIN[net.cell](sum)} = ${digits(h - push)}`]);
  }
  if (push) lines.push(["h_{t}, pushed", digits(h)]);
  if (layer < net.layers - 1) return lines;
  const given = Array.from({ length: net.pixels }, (_, i) => digits(net.out[i * size + j] * h));
  const adds = net.pixels > MOST_TERMS ? "" : `: this unit adds ${given.join(", ")}`;
  return [...lines, ["y_{t}", `g(h_{t}) = V h_{t} + c${adds}`]];
}

/** The numbers of the chosen unit, under the net. */
function showNeuron() {
  const box = find("neuron");
  box.hidden = ui.chosen === null;
  if (box.hidden) return;
  const list = document.createElement("dl");
  for (const [term, text] of neuronLines(course, ui.t, ui.chosen)) {
    const [dt, dd] = ["dt", "dd"].map((tag) => document.createElement(tag));
    write(dt, term);
    write(dd, `= ${text}`);
    list.append(dt, dd);
  }
  const title = document.createElement("b");
  title.textContent = `${unitName(ui.chosen)} at step ${ui.t + 1}`;
  box.replaceChildren(title, list);
}
