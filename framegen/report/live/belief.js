// What the optimum believes: where the light will be, and which way and how fast it goes.

/** A ring of probability about the coming frame; a needle points where the net sees the light. */
function drawRing(context, width, height, { density, frame, needle, page }) {
  const size = Math.min(width, height);
  const [x, y] = [width / 2, height / 2];
  const inner = size * 0.3;
  const room = size * 0.5 - inner - 10;
  const side = inner * 1.16;
  drawFrame(context, frame, page.shape.frame, page.range, x - side / 2, y - side / 2, side);
  const bars = 72;
  const sums = new Float64Array(bars);
  density.forEach((value, g) => (sums[Math.floor((g / density.length) * bars)] += value));
  const most = Math.max(...sums, 0.08);
  [context.lineWidth, context.lineCap] = [(2 * Math.PI * (inner + 6)) / bars - 1.5, "butt"];
  sums.forEach((value, k) => {
    const angle = (2 * Math.PI * (k + 0.5)) / bars;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const line = (from, to, colour) => {
      context.strokeStyle = colour;
      context.beginPath();
      context.moveTo(x + cos * from, y + sin * from);
      context.lineTo(x + cos * to, y + sin * to);
      context.stroke();
    };
    line(inner + 4, inner + 7, ink.line);
    line(inner + 4, inner + 7 + (room * value) / most, css(ink.rgb.best, value > 1e-4 ? 1 : 0));
  });
  if (needle !== null) drawNeedle(context, x, y, inner, 2 * Math.PI * needle);
}

function drawNeedle(context, x, y, radius, angle) {
  const point = (r, turn) => [x + r * Math.cos(angle + turn), y + r * Math.sin(angle + turn)];
  context.beginPath();
  context.moveTo(...point(radius + 2, 0));
  context.lineTo(...point(radius - 10, 0.09));
  context.lineTo(...point(radius - 10, -0.09));
  context.closePath();
  [context.fillStyle, context.strokeStyle, context.lineWidth] = [ink.net, ink.card, 1.5];
  context.fill();
  context.stroke();
}

/** How probable each direction and speed is: bars from the slowest to the fastest, each way. */
function drawOdds(context, width, height, { speeds, odds }) {
  const count = speeds.length;
  const order = [...speeds.keys()].sort((a, b) => speeds[a] - speeds[b]);
  const gap = count > 4 ? 3 : 14;
  const wide = Math.min(64, (width - gap * (count - 1)) / count);
  const first = (width - count * wide - gap * (count - 1)) / 2;
  const base = height - 38;
  order.forEach((s, place) => {
    const x = first + place * (wide + gap);
    context.fillStyle = css(ink.rgb.line, 0.6);
    context.fillRect(x, 18, wide, base - 18);
    context.fillStyle = ink.best;
    context.fillRect(x, base - (base - 18) * odds[s], wide, (base - 18) * odds[s]);
    const text = count > 4 ? `${Math.abs(speeds[s])}` : `${Math.round(100 * odds[s])} %`;
    label(context, text, x + wide / 2, count > 4 ? base + 10 : 8, { align: "center", colour: ink.ink, weight: 600 });
  });
  const middle = (from, to) => first + ((from + to) / 2) * (wide + gap) + wide / 2;
  const half = count / 2;
  const across = count > 4 ? ["↺ counter-clockwise", "clockwise ↻"] : ["↺", "↻"];
  label(context, across[0], middle(0, half - 1), base + (count > 4 ? 28 : 14), { align: "center", size: count > 4 ? 12 : 22 });
  label(context, across[1], middle(half, count - 1), base + (count > 4 ? 28 : 14), { align: "center", size: count > 4 ? 12 : 22 });
}
