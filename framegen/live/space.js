// The net in space: its layers as columns of units, and every connection as a line. Where a net is too large
// for that, its layers are grids of units, and the lines are those of the unit that the reader looks at.

/** Weights from the layer below to a layer, for one gate: at(j, i). The last "layer" is the output. */
function matrices(net, gate) {
  const size = net.hidden;
  const forward = net.stack.map((layer) => (j, i) => layer.ih[(gate * size + j) * layer.inputs + i]);
  const recurrent = net.stack.map((layer) =>
    layer.hh ? (j, i) => layer.hh[(gate * size + j) * size + i] : null,
  );
  return { forward: [...forward, (j, i) => net.out[j * size + i]], recurrent };
}

/** The largest |weight| of a gate: as wide as a line gets. */
function largestWeight(net, gate) {
  const size = net.hidden;
  let most = 1e-9;
  const look = (array, from, to) => {
    for (let k = from; k < to; k++) most = Math.max(most, Math.abs(array[k]));
  };
  for (const layer of net.stack) {
    look(layer.ih, gate * size * layer.inputs, (gate + 1) * size * layer.inputs);
    if (layer.hh) look(layer.hh, gate * size * size, (gate + 1) * size * size);
  }
  look(net.out, 0, net.out.length);
  return most;
}

/** Where the units stand: columns[k][j] = { x, y }, from the input to the output; and their radii[k]. */
function placeUnits(page, net, width, height) {
  if (!page.small) return placeGrids(page, net, width, height);
  const counts = [net.pixels, ...Array(net.layers).fill(net.hidden), net.pixels];
  const [top, bottom] = [66, height - 10];
  const most = Math.max(...counts);
  const radius = clamp((bottom - top) / (2.7 * most), 5, Math.min(28, width / 16));
  const side = radius + 14;
  const columns = counts.map((count, k) => {
    const x = side + ((width - 2 * side) * k) / (counts.length - 1);
    const gap = Math.min((bottom - top - 2 * radius) / Math.max(1, count - 1), radius * 4.4);
    const first = (top + bottom) / 2 - (gap * (count - 1)) / 2;
    return Array.from({ length: count }, (_, j) => ({ x, y: first + j * gap }));
  });
  return { columns, radii: columns.map(() => radius) };
}

/** The layers of a large net as grids, the input and the output as their frames. */
function placeGrids(page, net, width, height) {
  const [, rows, across] = page.shape.frame;
  const count = net.layers + 2;
  const box = Math.min((width - 18 * (count - 1)) / count, height - 62);
  const grids = Array.from({ length: count }, (_, k) => {
    const frame = k === 0 || k === count - 1;
    const wide = frame ? across : Math.ceil(Math.sqrt(net.hidden));
    const cell = box / (frame ? Math.max(rows, across) : wide);
    const left = ((width - box) * k) / (count - 1);
    const top = 52 + (height - 62 - box) / 2;
    const place = (j) => {
      const at = frame ? j % (rows * across) : j;
      return { x: left + cell * ((at % wide) + 0.5), y: top + cell * (Math.floor(at / wide) + 0.5) };
    };
    const units = Array.from({ length: frame ? net.pixels : net.hidden }, (_, j) => place(j));
    return { units, radius: cell * 0.42, box: { x: left, y: top, size: box } };
  });
  return {
    columns: grids.map((each) => each.units),
    radii: grids.map((each) => each.radius),
    boxes: grids.map((each) => each.box),
  };
}

const FAINT = 0.1; // of the lines that have nothing to do with the chosen unit

/** How much of a line is seen: touches(k, j) tells whether it belongs to unit j of column k. */
function seen({ page, net, chosen }, touches) {
  if (chosen === null) return 1; // of a large net no line is drawn then
  const own = touches(Math.floor(chosen / net.hidden) + 1, chosen % net.hidden);
  return own ? 1 : page.small ? FAINT : 0;
}

/** A line's look: as wide as its weight, as strong as what flows through it. */
function lineLook(weight, flow, look) {
  const part = Math.abs(weight) / look.largest;
  const alpha = 0.1 + 0.85 * Math.sqrt(clamp(Math.abs(flow) / look.largest, 0, 1));
  return { width: 0.5 + look.widest * part, alpha, rgb: ink.rgb[weight < 0 ? "neg" : "pos"], part };
}

/** A bent line from a to b (a quadratic curve over `via`), and a signal on its way at `pulse` in (0, 1). */
function drawLine(context, a, b, via, look, pulse) {
  context.strokeStyle = css(look.rgb, look.alpha);
  context.lineWidth = look.width;
  context.beginPath();
  context.moveTo(a.x, a.y);
  if (via) context.quadraticCurveTo(via.x, via.y, b.x, b.y);
  else context.lineTo(b.x, b.y);
  context.stroke();
  if (!(pulse > 0 && pulse < 1) || look.alpha < 0.3) return;
  const middle = via ?? { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  const at = (axis) =>
    (1 - pulse) ** 2 * a[axis] + 2 * pulse * (1 - pulse) * middle[axis] + pulse ** 2 * b[axis];
  context.fillStyle = css(look.rgb, Math.sin(Math.PI * pulse));
  context.beginPath();
  context.arc(at("x"), at("y"), 1.5 + look.width * 0.55, 0, 2 * Math.PI);
  context.fill();
}

/** The end of a line at the rim of a unit. */
function rim(from, to, radius) {
  const distance = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const part = radius / distance;
  return { x: to.x + (from.x - to.x) * part, y: to.y + (from.y - to.y) * part };
}

function drawUnit(context, { x, y }, radius, fill, edge, wide = 1.5) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = ink.card;
  context.fill();
  context.fillStyle = fill;
  context.fill();
  [context.strokeStyle, context.lineWidth] = [edge, wide];
  context.stroke();
}

/** The hand-over from the step before: from each unit to every unit of its layer, and to itself. */
function drawMemory(context, units, radius, weight, before, look, pulse, part) {
  units.forEach((to, j) =>
    units.forEach((from, i) => {
      if ((!weight && i !== j) || !part(j)) return;
      const value = weight ? weight(j, i) : look.largest / 2;
      const style = lineLook(value, look.open * value * before(i), look);
      style.alpha *= part(j);
      if (i === j) {
        const loop = { x: to.x + radius * 1.05, y: to.y - radius * 1.05 };
        [context.strokeStyle, context.lineWidth] = [css(style.rgb, style.alpha), style.width];
        context.beginPath();
        context.arc(loop.x, loop.y, radius * 0.72, Math.PI * 0.86, Math.PI * 2.64);
        context.stroke();
        return;
      }
      const bend = (j > i ? -1 : 1) * (radius * 0.9 + Math.abs(to.y - from.y) * 0.34);
      const via = { x: from.x + bend * 1.5, y: (from.y + to.y) / 2 };
      drawLine(context, rim(via, from, radius), rim(via, to, radius + 1), via, style, pulse);
    }),
  );
}

/** What a unit shows: pixels their brightness, hidden units the sign and size of their state. */
function unitFill(view, column, j) {
  const { page, net, values } = view;
  const value = values[column][j];
  if (column > 0 && column <= net.layers) return css(signed(value / view.scale[column - 1]));
  const [low, high] = page.range;
  if (low < 0) return css(signed(value / high));
  const level = 255 * clamp((value - low) / (high - low), 0, 1) || 0;
  return css([level, level, level]);
}

/**
 * The whole view. `view` holds: page, net, gate, values by column, memory (what reached the step), open (0
 * where the memory is off), phase (0 … 1 on the way to this step), scale, difference by unit, chosen.
 */
function drawSpace(context, width, height, view) {
  const { page, net, gate, values, phase } = view;
  const { columns, radii, boxes } = placeUnits(page, net, width, height);
  const radius = radii[1];
  const { forward, recurrent } = matrices(net, gate);
  const widest = page.small ? clamp(radius * 0.3, 2.5, 7) : 1.2;
  const look = { largest: largestWeight(net, gate), widest, open: view.open };
  for (const k of boxes ? [0, columns.length - 1] : []) {
    const { x, y, size } = boxes[k];
    drawFrame(context, values[k], page.shape.frame, page.range, x, y, size, ink[k ? "net" : "prompt"]);
  }
  const lines = page.small || view.chosen !== null; // of a large net those of one unit alone
  (lines ? forward : []).forEach((weight, k) => {
    const pulse = (phase - 0.08 - (0.62 * k) / net.layers) / 0.3;
    columns[k + 1].forEach((to, j) =>
      columns[k].forEach((from, i) => {
        const part = seen(view, (c, u) => (c === k + 1 && u === j) || (c === k && u === i));
        if (!part) return;
        const style = lineLook(weight(j, i), weight(j, i) * values[k][i], look);
        style.alpha *= part;
        const [a, b] = [rim(to, from, radii[k]), rim(from, to, radii[k + 1] + 1)];
        drawLine(context, a, b, null, style, pulse);
      }),
    );
  });
  if (lines && net.cell !== "mlp")
    recurrent.forEach((weight, k) => {
      const before = (i) => view.memory[k * net.hidden + i];
      const pulse = look.open ? (phase - 0.08) / 0.34 : 0;
      const part = (j) => seen(view, (c, u) => c === k + 1 && u === j);
      drawMemory(context, columns[k + 1], radius, weight, before, look, pulse, part);
    });
  columns.forEach((units, k) => {
    const hidden = k > 0 && k <= net.layers;
    if (boxes && !hidden) return;
    units.forEach((place, j) => {
      const unit = (k - 1) * net.hidden + j;
      drawUnit(context, place, radius, unitFill(view, k, j), hidden ? ink.soft : ink.line);
      if (!hidden) return;
      const apart = view.difference ? view.difference[unit] / view.scale[k - 1] : 0;
      if (Math.abs(apart) > 0.01) ringAround(context, place, radius + 4, apart);
      if (unit === view.chosen) ringAround(context, place, radius + 8, 0);
    });
  });
  drawHeads(context, width, columns, view);
}

/** A ring around a unit: how far it is from where it would be undisturbed; in ink: that it is chosen. */
function ringAround(context, { x, y }, radius, apart) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  const strength = clamp(Math.abs(apart), 0, 1);
  context.strokeStyle = apart ? css(ink.rgb[apart < 0 ? "neg" : "pos"], 0.35 + 0.65 * strength) : ink.ink;
  context.lineWidth = apart ? 1.5 + 4 * strength : 1.5;
  context.setLineDash(apart ? [] : [3, 3]);
  context.stroke();
  context.setLineDash([]);
}

function drawHeads(context, width, columns, { net, open }) {
  const last = columns.length - 1;
  columns.forEach((units, k) => {
    const hidden = k > 0 && k < last;
    const name = net.layers > 1 ? `layer ${k}` : "hidden layer";
    const text = hidden ? `${name} h_{t}` : k ? "output y_{t}" : "input x_{t}";
    const align = hidden ? "center" : k ? "right" : "left";
    const xs = units.map((unit) => unit.x);
    const x = hidden ? (Math.min(...xs) + Math.max(...xs)) / 2 : k ? width - 2 : 2;
    label(context, text, x, 14, { align, size: 13, colour: ink.ink, weight: 600 });
    const cut = hidden && !open && net.cell !== "mlp";
    const from = hidden && net.cell !== "mlp" && net.layers === 1 ? ", see x_{t} and h_{t−1}" : "";
    const count = `${plural(units.length, "unit")}${from}`;
    label(context, cut ? "memory off" : count, x, 31, { align, colour: cut ? ink.net : ink.soft });
  });
}

/** The hidden unit at a place: its number through all layers, or null. */
function unitInSpace(page, net, width, height, { x, y }) {
  const { columns, radii } = placeUnits(page, net, width, height);
  const reach = page.small ? Math.max(radii[1] + 6, 16) : radii[1] * 1.2;
  for (let k = 1; k <= net.layers; k++)
    for (let j = 0; j < net.hidden; j++) {
      const place = columns[k][j];
      if (Math.hypot(place.x - x, place.y - y) <= reach) return (k - 1) * net.hidden + j;
    }
  return null;
}
