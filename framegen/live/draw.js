// Colours, canvases, and frames on them.

const ink = {};
const NAMES = ["page", "card", "ink", "soft", "line", "pos", "neg", "net", "best", "truth", "copy", "prompt"];

/** Take the colours from the style sheet: they are others in the dark. */
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of NAMES) {
    ink[name] = style.getPropertyValue(`--${name}`).trim();
    const digits = ink[name].slice(1);
    ink.rgb ??= {};
    ink.rgb[name] = [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
  }
}

const plural = (count, name) => `${count} ${name}${count === 1 ? "" : "s"}`;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const ease = (from, to, x) => {
  const part = clamp((x - from) / (to - from), 0, 1);
  return part * part * (3 - 2 * part);
};
const mixed = (a, b, part) => a.map((value, k) => value + (b[k] - value) * part);

/** The colour of a signed value in [-1, 1]: none at 0. */
function signed(value, ground = "card") {
  const part = Number.isFinite(value) ? clamp(Math.abs(value), 0, 1) : 0;
  return mixed(ink.rgb[ground], ink.rgb[value < 0 ? "neg" : "pos"], part);
}
const css = (rgb, alpha = 1) => `rgb(${rgb.map(Math.round).join(" ")} / ${alpha})`;

/** A canvas as large as its box, whatever the screen's pixels are; painted again when either changes. */
function surface(canvas, paint) {
  if (!canvas) return { paint() {} }; // not of this page
  const made = { canvas, width: 0, height: 0, context: canvas.getContext("2d") };
  made.fit = () => {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const size = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== size[0]) canvas.width = size[0];
    if (canvas.height !== size[1]) canvas.height = size[1];
    Object.assign(made, { width, height, ratio });
  };
  made.paint = () => {
    if (!made.width) made.fit();
    made.context.setTransform(made.ratio, 0, 0, made.ratio, 0, 0);
    made.context.clearRect(0, 0, made.width, made.height);
    if (made.width && made.height) paint(made.context, made.width, made.height);
  };
  new ResizeObserver(() => {
    made.fit();
    made.paint();
  }).observe(canvas);
  return made;
}

/** Where a pointer is on a canvas, in CSS pixels. */
function pointAt(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

/** A picture of so many values: colour(k) gives each one's red, green and blue. */
function picture(width, height, colour) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, width), Math.max(1, height)];
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let k = 0, at = 0; k < width * height; k++) {
    const rgb = colour(k);
    for (let c = 0; c < 3; c++) image.data[at++] = rgb[c];
    image.data[at++] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

const framePictures = new WeakMap(); // of frames that were drawn before

/** A frame's pixels as a picture: grey, or red, green and blue. */
function framePicture(frame, [channels, height, width], [low, high]) {
  if (framePictures.has(frame)) return framePictures.get(frame);
  const level = (value) => 255 * clamp((value - low) / (high - low), 0, 1) || 0;
  const part = channels === 3 ? height * width : 0;
  const rgb = [0, 0, 0];
  const made = picture(width, height, (k) => {
    for (let c = 0; c < 3; c++) rgb[c] = level(frame[k + c * part]);
    return rgb;
  });
  framePictures.set(frame, made);
  return made;
}

/** A single value as a bar from the middle, since a picture of one pixel says little. */
function drawGauge(context, value, [low, high], x, y, size, colour) {
  const at = (v) => y + size * (1 - clamp((v - low) / (high - low), 0, 1));
  const [zero, end] = [at(clamp(0, low, high)), at(value)];
  context.fillStyle = ink.page;
  context.fillRect(x, y, size, size);
  context.fillStyle = colour;
  context.fillRect(x + size * 0.3, Math.min(zero, end), size * 0.4, Math.abs(end - zero));
  context.fillRect(x + size * 0.22, end - 1.5, size * 0.56, 3);
  context.strokeStyle = ink.soft;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, zero);
  context.lineTo(x + size, zero);
  context.stroke();
}

/** A frame in a square (or in what its sides ask for), with sharp pixels. */
function drawFrame(context, frame, shape, range, x, y, size, colour = ink.net) {
  const [, height, width] = shape;
  const across = (size * width) / Math.max(width, height);
  const down = (size * height) / Math.max(width, height);
  if (!frame) {
    context.fillStyle = ink.line;
    context.fillRect(x, y, across, down);
  } else if (frame.length === 1) drawGauge(context, frame[0], range, x, y, size, colour);
  else {
    context.imageSmoothingEnabled = false;
    context.drawImage(framePicture(frame, shape, range), x, y, across, down);
  }
}

const SUBSCRIPT = /_\{(.*?)\}/;

/** A line of text; "h_{t}" has a subscript. Where `clear`, what lies behind it is hidden. */
function label(
  context,
  text,
  x,
  y,
  { align = "left", size = 12, colour = ink.soft, weight = 400, clear = false } = {},
) {
  [context.textAlign, context.textBaseline, context.fillStyle] = ["left", "middle", colour];
  const parts = text.split(SUBSCRIPT).map((part, k) => {
    const [font, down] = k % 2 ? [0.78 * size, 0.3 * size] : [size, 0];
    context.font = `${weight} ${font}px system-ui, sans-serif`;
    return { part, font: context.font, down, width: context.measureText(part).width };
  });
  const width = parts.reduce((sum, each) => sum + each.width, 0);
  let at = Math.round(x - { left: 0, center: width / 2, right: width }[align]);
  if (clear) {
    context.fillStyle = ink.card;
    context.fillRect(at - 2, y - 0.65 * size, width + 4, 1.3 * size);
    context.fillStyle = colour;
  }
  for (const { part, font, down, width: wide } of parts) {
    context.font = font;
    context.fillText(part, at, y + down);
    at += wide;
  }
}

/** Text into an element, with its subscripts. */
function write(element, text) {
  const parts = text.split(SUBSCRIPT).map((part, k) => {
    if (k % 2 === 0) return part;
    const sub = document.createElement("sub");
    sub.textContent = part;
    return sub;
  });
  element.replaceChildren(...parts);
}

/** A number as it is read: few digits, no exponent that can be avoided. */
function short(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e5)) return value.toExponential(1).replace("e-", "e−");
  return value.toPrecision(size >= 1000 ? 4 : 3).replace("-", "−");
}
