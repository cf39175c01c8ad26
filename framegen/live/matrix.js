// The net in space where it has too many connections for lines: its matrices, lit by what flows through.

/** The blocks of a net from left to right: { rows, columns, at(j, i), source, name, below }. */
function blocksOf(net, gate) {
  const { forward, recurrent } = matrices(net, gate);
  const blocks = [];
  for (let k = 0; k < net.layers; k++) {
    const inputs = k ? net.hidden : net.pixels;
    const from = k ? `hidden ${k}` : "input";
    const to = net.layers > 1 ? `hidden ${k + 1}` : "hidden";
    blocks.push({
      rows: net.hidden,
      columns: inputs,
      at: forward[k],
      source: k,
      name: `${from} → ${to}`,
      to: k + 1,
    });
    if (recurrent[k])
      blocks.push({
        rows: net.hidden,
        columns: net.hidden,
        at: recurrent[k],
        memory: k,
        name: `${to} → ${to}`,
        to: k + 1,
      });
  }
  const last = net.layers > 1 ? `hidden ${net.layers}` : "hidden";
  const out = { rows: net.pixels, columns: net.hidden, at: forward[net.layers], source: net.layers };
  return [...blocks, { ...out, name: `${last} → output`, to: net.layers + 1 }];
}

const STRIP = 12; // pixels: of the units at the rim of a matrix

/** Where each block stands, with the units that send above it and those that receive at its right. */
function placeBlocks(net, gate, width, height) {
  const blocks = blocksOf(net, gate);
  const wide = (block) => 0.55 + Math.min(1, block.columns / net.hidden);
  const ends = blocks.map((block, k) => blocks[k + 1]?.to !== block.to); // has the receivers at its right
  const gap = width < 560 ? 8 : 16;
  const free = width - ends.filter(Boolean).length * (STRIP + 4) - gap * (blocks.length - 1);
  const total = blocks.reduce((sum, block) => sum + wide(block), 0);
  let x = 0;
  return blocks.map((block, k) => {
    const box = {
      x,
      y: 46 + STRIP + 4,
      width: (free * wide(block)) / total,
      height: height - 46 - STRIP - 12,
    };
    x += box.width + gap + (ends[k] ? STRIP + 4 : 0);
    return { ...block, box, end: ends[k] };
  });
}

let drawn = { key: null };

/** Every weight as a cell: faint by its size, strong by what flows through it now. */
function matrixPictures(blocks, view) {
  const key = [view.t, view.gate, view.member, view.stamp].join();
  if (drawn.key === key) return drawn.pictures;
  const largest = largestWeight(view.net, view.gate);
  const pictures = blocks.map((block) => {
    const from = sending(view, block, true);
    return picture(block.columns, block.rows, (k) => {
      const [j, i] = [Math.floor(k / block.columns), k % block.columns];
      const weight = block.at(j, i);
      const [size, flow] = [weight, weight * from[i]].map((value) => Math.abs(value) / largest);
      return signed(Math.sign(weight) * (0.12 * size + 0.88 * Math.sqrt(flow)));
    });
  });
  drawn = { key, pictures };
  return pictures;
}

/** What the units that send hold: as shown now, or `settled`, when the step is over. */
function sending(view, { source, memory }, settled = false) {
  const { net } = view;
  if (memory !== undefined) return view.memory.slice(memory * net.hidden, (memory + 1) * net.hidden);
  return (settled ? view.settled : view.values)[source];
}

function drawMatrices(context, width, height, view) {
  const blocks = placeBlocks(view.net, view.gate, width, height);
  const pictures = matrixPictures(blocks, view);
  context.imageSmoothingEnabled = false;
  blocks.forEach((block, k) => {
    const { box } = block;
    const narrow = box.width < 92;
    const [name, to] = block.name.split(" → ");
    label(context, narrow ? name : `${name} → ${to}`, box.x, 12, { colour: ink.ink, weight: 600 });
    label(context, narrow ? `→ ${to}` : `${block.columns} × ${block.rows} weights`, box.x, 30);
    context.drawImage(pictures[k], box.x, box.y, box.width, box.height);
    const units = stripOf(
      sending(view, block),
      view,
      block.memory === undefined ? block.source : block.memory + 1,
    );
    context.drawImage(
      picture(units.length, 1, (i) => units[i]),
      box.x,
      box.y - STRIP - 3,
      box.width,
      STRIP,
    );
    if (!block.end) return;
    const made = stripOf(view.values[block.to], view, block.to);
    const x = box.x + box.width + 4;
    context.drawImage(
      picture(1, made.length, (j) => made[j]),
      x,
      box.y,
      STRIP,
      box.height,
    );
    if (block.to <= view.net.layers) drawMarks(context, view, block, x);
  });
}

/** The colours of a column of units. */
function stripOf(values, view, column) {
  const { net, page } = view;
  const [low, high] = page.range;
  if (column > 0 && column <= net.layers)
    return Array.from(values, (v) => signed(v / view.scale[column - 1], "line"));
  if (low < 0) return Array.from(values, (v) => signed(v / high, "line"));
  return Array.from(values, (v) => Array(3).fill(255 * clamp((v - low) / (high - low), 0, 1) || 0));
}

/** Beside the hidden units: which are off their undisturbed course, and which one is chosen. */
function drawMarks(context, view, { box, to }, x) {
  const { net, difference, chosen } = view;
  const tall = box.height / net.hidden;
  for (let j = 0; j < net.hidden; j++) {
    const unit = (to - 1) * net.hidden + j;
    const apart = difference ? difference[unit] / view.scale[to - 1] : 0;
    if (Math.abs(apart) > 0.01) {
      context.fillStyle = css(ink.rgb[apart < 0 ? "neg" : "pos"], 0.35 + 0.65 * clamp(Math.abs(apart), 0, 1));
      context.fillRect(x + STRIP + 1, box.y + j * tall, 3, Math.max(1.5, tall - 0.5));
    }
    if (unit === chosen) {
      [context.strokeStyle, context.lineWidth] = [ink.ink, 1.5];
      context.strokeRect(x - 2, box.y + j * tall - 1, STRIP + 4, Math.max(3, tall + 2));
    }
  }
}

/** The hidden unit at a place: a row of a matrix belongs to the unit that receives. */
function unitInMatrices(net, gate, width, height, { x, y }) {
  for (const { box, to } of placeBlocks(net, gate, width, height)) {
    const inside =
      x >= box.x - 2 && x <= box.x + box.width + STRIP + 6 && y >= box.y && y < box.y + box.height;
    if (!inside || to > net.layers) continue;
    return (to - 1) * net.hidden + Math.floor(((y - box.y) / box.height) * net.hidden);
  }
  return null;
}
