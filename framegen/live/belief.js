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

/** How probable each direction and speed is: bars from the fastest one way round to the fastest the other. */
function drawOdds(context, width, height, { speeds, odds }) {
  const count = speeds.length;
  const order = [...speeds.keys()].sort((a, b) => speeds[a] - speeds[b]);
  const two = count === 2;
  const gap = two ? 14 : 3;
  const wide = Math.min(64, (width - gap * (count - 1)) / count);
  const first = (width - count * wide - gap * (count - 1)) / 2;
  const [top, base] = [two ? 22 : 8, height - (two ? 34 : 54)];
  order.forEach((s, place) => {
    const x = first + place * (wide + gap);
    context.fillStyle = css(ink.rgb.line, 0.6);
    context.fillRect(x, top, wide, base - top);
    context.fillStyle = ink.best;
    context.fillRect(x, base - (base - top) * odds[s], wide, (base - top) * odds[s]);
    const [text, y] = two ? [`${Math.round(100 * odds[s])} %`, 10] : [`${Math.abs(speeds[s])}`, base + 10];
    const style = { align: "center", colour: ink.ink, weight: 600, size: two ? 12 : clamp(wide, 9, 12) };
    label(context, text, x + wide / 2, y, style);
  });
  const middle = (from, to) => first + ((from + to) / 2) * (wide + gap) + wide / 2;
  const y = base + (two ? 16 : 30);
  label(context, "↺", middle(0, count / 2 - 1), y, { align: "center", size: 22 });
  label(context, "↻", middle(count / 2, count - 1), y, { align: "center", size: 22 });
  if (!two) label(context, "speed, each way", width / 2, base + 48, { align: "center" });
}
