// The strip's two rows of curves: the error at each step, and a signal of one pixel.

/** A line through the values that are numbers. */
function polyline(context, values, x, y, colour, wide = 1.5, dash = []) {
  [context.strokeStyle, context.lineWidth, context.lineJoin] = [colour, wide, "round"];
  context.setLineDash(dash);
  context.beginPath();
  let drawing = false;
  values.forEach((value, t) => {
    if (!Number.isFinite(value)) return (drawing = false);
    context[drawing ? "lineTo" : "moveTo"](x(t), y(value));
    drawing = true;
    return true;
  });
  context.stroke();
  context.setLineDash([]);
}

/** Powers of ten about the errors: six at most, and of a net gone wild no more than two above copying. */
function errorRange({ net, undisturbed, optimum, copy }) {
  const logs = (curves) =>
    curves.flatMap((each) => each ?? []).flatMap((v) => (v > 0 && v < Infinity ? [Math.log10(v)] : []));
  const all = logs([net, undisturbed, optimum, copy]);
  if (!all.length) return null;
  const usual = logs([optimum, copy]);
  const most = usual.length ? Math.ceil(Math.max(...usual)) + 2 : Infinity;
  const high = Math.min(most, Math.ceil(Math.max(...all)));
  return [clamp(Math.floor(Math.min(...all)), high - 6, high - 1), high];
}

/** The height in its row of a part of the error's range, from 0 to 1. */
const errorHeight = (row, part) => row.y + row.height * (1 - clamp(part, 0, 1));

/** Mean squared errors on a logarithmic axis: the net, the other seeds, the optimum, copying. */
function drawErrors(context, row, { course, cell, steps }) {
  const range = errorRange(course.errors);
  if (!range) {
    label(context, "no truth is known here", 4, row.y + 20);
    return;
  }
  const [low, high] = range;
  const y = (value) => errorHeight(row, (Math.log10(Math.max(value, 1e-30)) - low) / (high - low));
  const x = (t) => (t + 0.5) * cell;
  for (let power = low; power <= high; power++) {
    context.fillStyle = ink.line;
    context.fillRect(0, y(10 ** power), steps * cell, 1);
  }
  const { net, undisturbed, optimum, copy, others } = course.errors;
  others.forEach((each) => polyline(context, each, x, y, css(ink.rgb.net, 0.22), 1));
  if (copy) polyline(context, copy, x, y, ink.copy, 1.5);
  if (optimum) polyline(context, optimum, x, y, ink.best, 2);
  if (undisturbed) polyline(context, undisturbed, x, y, ink.net, 1.5, [2, 3]);
  polyline(context, net, x, y, ink.net, 2.5);
}

/** The labels of the error's axis. */
function errorTicks(course, row) {
  const [low, high] = errorRange(course.errors) ?? [0, -1];
  return Array.from({ length: high - low + 1 }, (_, k) => {
    return { y: errorHeight(row, k / (high - low)), power: low + k };
  });
}

/** A signal of one pixel: what went in, what the net and the optimum said, what came. */
function drawCurves(context, row, { course, cell, steps, page }) {
  const [low, high] = page.range;
  const middle = (low + high) / 2;
  const y = (value) => row.y + row.height * (0.5 - ((value - middle) / (high - low)) * 0.82);
  const ahead = page.nextFrame ? 1 : 0; // a prediction stands where its target does
  const at = (shift) => (t) => (t + shift + 0.5) * cell;
  for (const value of [low, middle, high]) {
    context.fillStyle = ink.line;
    context.fillRect(0, y(value), steps * cell, 1);
  }
  const one = (frames) => frames.map((frame) => frame[0]);
  const given = course.inputs.map((frame, t) => (course.given(t) ? frame[0] : NaN));
  polyline(context, one(course.truth), at(ahead), y, css(ink.rgb.truth, 0.45), 5);
  if (course.best) polyline(context, one(course.best.outputs), at(ahead), y, ink.best, 1.5, [5, 3]);
  polyline(context, given, at(0), y, ink.prompt, 2);
  given.forEach((value, t) => {
    if (!Number.isFinite(value)) return;
    context.fillStyle = ink.prompt;
    context.beginPath();
    context.arc(at(0)(t), y(value), Math.min(3, cell / 2.4), 0, 2 * Math.PI);
    context.fill();
  });
  if (course.pushes.length) polyline(context, one(course.plain.outputs), at(ahead), y, ink.net, 1.5, [2, 3]);
  polyline(context, one(course.outputs), at(ahead), y, ink.net, 2.2);
}

/** The value that a height in the curves' row stands for. */
function valueInCurves(page, row, y) {
  const [low, high] = page.range;
  return clamp((low + high) / 2 + ((0.5 - (y - row.y) / row.height) * (high - low)) / 0.82, low, high);
}
