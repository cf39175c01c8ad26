// The strip of time: what went in and came out at every step, the hidden layer, the belief, the error.

/** The rows of the strip, from the top: { name, height, draw(context, row, strip) }. */
function rowsOf(page, course, view) {
  const curve = page.shape.pixels === 1;
  const tall = Math.min(view.cell - clamp(view.cell * 0.4, 6, 10), 44);
  const thumbs = (name, frames, colour) => ({ name, height: tall, draw: drawThumbs, frames, colour });
  const rows = curve
    ? [{ name: "", key: "curve", height: 150, draw: drawCurves }]
    : [
        thumbs("input: the prompt, then its own predictions", course.inputs, ink.prompt),
        thumbs("the net's prediction", course.outputs, ink.net),
        ...(page.best ? [thumbs("the optimum's prediction", course.best.outputs, ink.best)] : []),
        thumbs("truth", course.truth, ink.truth),
      ];
  if (!curve && !view.closed) rows[0].name = "input";
  const units = course.net.hidden * course.net.layers;
  const heat = { name: view.apart ? "hidden units: difference to the undisturbed run" : "hidden units" };
  rows.push({ ...heat, key: "hidden", height: clamp(units * 14, 28, 160), draw: drawHeat });
  if (course.best?.angle)
    rows.push({
      name: "where the light will be (dots: by the net)",
      height: 76,
      draw: drawBelief,
    });
  const against = view.painted ? "the optimum's prediction" : "the truth";
  rows.push({
    name: `error: mean squared difference to ${against}`,
    key: "error",
    height: 118,
    draw: drawErrors,
  });
  return rows;
}

const GUTTER = 30; // pixels at the left, for the error's axis
const HEAD = 24; // pixels above a row, for its name

/** Heights and places of all rows: the strip's height depends on the page and its width alone. */
function layStrip(page, course, view) {
  let y = 0;
  const rows = rowsOf(page, course, view).map((row) => {
    const placed = { ...row, y: y + HEAD };
    y += HEAD + row.height + 6;
    return placed;
  });
  return { rows, height: y + 26 };
}

/** How wide a step is, so that all steps fit where they can still be seen. */
function cellOf(page, steps, width) {
  const least = page.shape.pixels === 1 ? 4 : 22;
  return Math.max(least, (width - GUTTER) / steps);
}

/** The whole strip, once for every change: time moves a line across it. */
function renderStrip(page, course, view, width, ratio) {
  const cell = cellOf(page, course.inputs.length, width);
  const strip = { page, course, view: { ...view, cell }, cell, steps: course.inputs.length };
  const { rows, height } = layStrip(page, course, strip.view);
  const canvas = document.createElement("canvas");
  strip.width = cell * strip.steps;
  [canvas.width, canvas.height] = [Math.ceil(strip.width * ratio), Math.ceil(height * ratio)];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (const row of rows) row.draw(context, row, strip);
  drawAxis(context, strip, height);
  return Object.assign(strip, { canvas, rows, height });
}

/** The part of the strip that is in sight, with the line at `position` (steps, from 0). */
function paintStrip(context, width, height, strip, position, ratio) {
  const offset = offsetOf(strip, width, position);
  const part = Math.min(width - GUTTER, strip.width);
  const x = GUTTER + (position + 0.5) * strip.cell - offset;
  const foot = strip.height - 22;
  context.fillStyle = css(ink.rgb.ink, 0.08);
  context.fillRect(x - strip.cell / 2, 0, strip.cell, foot);
  context.drawImage(
    strip.canvas,
    offset * ratio,
    0,
    part * ratio,
    strip.canvas.height,
    GUTTER,
    0,
    part,
    strip.height,
  );
  context.fillStyle = ink.ink;
  context.fillRect(x - 0.75, 0, 1.5, foot);
  for (const row of strip.rows) label(context, row.name, GUTTER, row.y - 12, { clear: true });
  drawTicks(context, strip);
  context.fillStyle = ink.ink;
  context.beginPath();
  context.roundRect(clamp(x, GUTTER + 14, width - 14) - 14, foot, 28, 18, 9);
  context.fill();
  const style = { align: "center", colour: ink.page, weight: 600 };
  label(context, String(Math.round(position) + 1), clamp(x, GUTTER + 14, width - 14), foot + 9.5, style);
}

/** The error's axis, which stays where it is while the strip moves. */
function drawTicks(context, strip) {
  const errors = strip.rows.find((row) => row.key === "error");
  for (const { y, power } of errorTicks(strip.course, errors)) {
    label(context, "10", 2, y + 1, { size: 11 });
    label(context, String(power).replace("-", "−"), 15, y - 4, { size: 9 });
  }
}

function offsetOf(strip, width, position) {
  return clamp(
    (position + 0.5) * strip.cell - (width - GUTTER) / 2,
    0,
    Math.max(0, strip.width - width + GUTTER),
  );
}

/** The step at x, and the row at y. */
function hitStrip(strip, width, position, { x, y }) {
  const t = clamp(
    Math.floor((x - GUTTER + offsetOf(strip, width, position)) / strip.cell),
    0,
    strip.steps - 1,
  );
  return { t, row: strip.rows.find((row) => y >= row.y && y < row.y + row.height) ?? null };
}

function drawThumbs(context, row, { page, cell, course }) {
  row.frames.forEach((frame, t) => {
    const size = row.height;
    const x = t * cell + (cell - size) / 2;
    drawFrame(context, frame, page.shape.frame, page.range, x, row.y, size);
    [context.strokeStyle, context.lineWidth] = [ink.line, 1];
    const [, height, width] = page.shape.frame.map(
      (side) => (size * side) / Math.max(...page.shape.frame.slice(1)),
    );
    context.strokeRect(x, row.y, width, height);
    if (row.frames !== course.inputs) return;
    context.fillStyle = course.given(t) ? ink.prompt : ink.net;
    context.fillRect(t * cell + 0.5, row.y + size + 2, cell - 1, 2);
  });
}

function drawHeat(context, row, { course, cell, steps, view }) {
  const { net, plain, hidden, scale } = course;
  const units = net.hidden * net.layers;
  const value = (t, unit) => {
    const full = scale[Math.floor(unit / net.hidden)];
    if (!view.apart) return hidden[t][unit] / full;
    const apart = (hidden[t][unit] - plain.hidden[t][unit]) / full;
    return Math.sign(apart) * Math.sqrt(Math.abs(apart)); // so that small differences are seen too
  };
  const heat = picture(steps, units, (k) => signed(value(k % steps, Math.floor(k / steps)), "card"));
  context.imageSmoothingEnabled = false;
  context.drawImage(heat, 0, row.y, steps * cell, row.height);
  const tall = row.height / units;
  context.fillStyle = ink.card;
  for (let t = 1; t < steps && cell > 5; t++) context.fillRect(t * cell - 0.5, row.y, 1, row.height);
  for (let unit = 1; unit < units && tall > 4; unit++)
    context.fillRect(0, row.y + unit * tall - 0.5, steps * cell, unit % net.hidden ? 1 : 3);
  for (let t = 0; t < steps; t++)
    if (view.off[t] && net.cell !== "mlp") hatch(context, t * cell, row.y, cell, row.height);
  for (const push of view.pushes)
    diamond(context, (push.t + 0.5) * cell, row.y + (push.unit + 0.5) * tall, push.sign);
}

/** The memory is off: lines across the step. */
function hatch(context, x, y, width, height) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  [context.strokeStyle, context.lineWidth] = [css(ink.rgb.ink, 0.28), 1];
  context.beginPath();
  for (let at = Math.floor((x - height) / 6) * 6; at < x + width; at += 6) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}

/** A push: a wedge that points up or down. */
function diamond(context, x, y, sign) {
  context.beginPath();
  context.moveTo(x, y - 6 * sign);
  context.lineTo(x + 5, y + 4 * sign);
  context.lineTo(x - 5, y + 4 * sign);
  context.closePath();
  [context.fillStyle, context.strokeStyle, context.lineWidth] = [ink.ink, ink.card, 1.5];
  context.fill();
  context.stroke();
}

/** The posterior over the angle of the coming frame, dark where it is probable; the net's light as dots. */
function drawBelief(context, row, { course, cell, steps }) {
  const bins = row.height / 2;
  const angles = course.best.angle[0].length;
  const sums = course.best.angle.map((density) => {
    const bin = new Float64Array(bins);
    density.forEach((value, g) => (bin[Math.floor((g / angles) * bins)] += value));
    const most = Math.max(...bin);
    return bin.map((value) => value / most);
  });
  const heat = picture(steps, bins, (k) =>
    mixed(ink.rgb.card, ink.rgb.best, 0.95 * sums[k % steps][Math.floor(k / steps)] ** 0.6),
  );
  context.imageSmoothingEnabled = false;
  context.drawImage(heat, 0, row.y, steps * cell, row.height);
  [context.strokeStyle, context.lineWidth] = [ink.line, 1];
  context.strokeRect(0.5, row.y - 0.5, steps * cell - 1, row.height + 1);
  course.needle.forEach((part, t) => {
    context.beginPath();
    context.arc((t + 0.5) * cell, row.y + part * row.height, clamp(cell / 4, 2, 4), 0, 2 * Math.PI);
    [context.fillStyle, context.strokeStyle, context.lineWidth] = [ink.net, ink.card, 1];
    context.fill();
    context.stroke();
  });
}

/** The time steps' numbers. */
function drawAxis(context, strip, height) {
  const every = strip.steps > 120 ? 20 : 10;
  for (let t = 0; t < strip.steps; t++) {
    if (t !== 0 && (t + 1) % every) continue;
    label(context, String(t + 1), (t + 0.5) * strip.cell, height - 12.5, { align: "center" });
  }
}
