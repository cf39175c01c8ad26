// The net in time: one multi-layer perceptron a step, each handing its hidden layer on to the next.

/** Where things stand in one step's perceptron, about x = 0. */
function placeStep(net, width, height) {
  const gap = clamp(width / 4.4, 128, 250);
  const thumb = clamp(height / 9, 30, 46);
  const [top, bottom] = [thumb + 44, height - thumb - 44];
  const rows = Math.max(net.pixels, 2);
  const radius = clamp(
    Math.min((gap * 0.56) / rows / 2.3, (bottom - top) / net.layers / net.hidden / 2.6),
    3,
    13,
  );
  const row = (x, y) =>
    Array.from({ length: net.pixels }, (_, i) => ({ x: x + (i - (net.pixels - 1) / 2) * radius * 2.3, y }));
  const room = (bottom - top - 4 * radius) / net.layers;
  const columns = Array.from({ length: net.layers }, (_, layer) => {
    const middle = bottom - 2 * radius - room * (layer + 0.5);
    const apart = Math.min(radius * 2.7, (room - 3 * radius) / Math.max(1, net.hidden - 1));
    return Array.from({ length: net.hidden }, (_, j) => {
      const offset = j - (net.hidden - 1) / 2;
      return { x: offset * radius * 0.75, y: middle + offset * apart };
    });
  });
  return { gap, thumb, radius, columns: [row(-gap * 0.2, bottom), ...columns, row(gap * 0.16, top)] };
}

/** The steps that are (partly) in sight, and where the first step's middle stands. */
function stepsInSight(course, place, width, position) {
  const origin = width / 2 - position * place.gap;
  const first = Math.max(0, Math.floor((-origin - place.gap) / place.gap));
  const last = Math.min(course.inputs.length - 1, Math.ceil((width - origin + place.gap) / place.gap));
  return { origin, first, last };
}

const shifted = (point, x) => ({ x: point.x + x, y: point.y });

/** `view` as for `drawSpace`, and: course, off, position (the step in the middle, on the way a fraction). */
function drawUnrolled(context, width, height, view) {
  const { net, gate, course, position } = view;
  const place = placeStep(net, width, height);
  const { origin, first, last } = stepsInSight(course, place, width, position);
  const { forward, recurrent } = matrices(net, gate);
  const look = { largest: largestWeight(net, gate), widest: clamp(place.radius * 0.4, 1.6, 4.5) };
  for (let s = first; s <= last; s++) {
    const x = origin + s * place.gap;
    context.globalAlpha = s > position + 0.5 ? 0.3 : 1;
    if (s > 0 && net.cell !== "mlp" && !view.off[s]) {
      const pulse = s === Math.round(position + 0.49) ? view.phase / 0.4 : 0;
      handOver(context, place, recurrent, course.memory[s], x, look, pulse);
    }
    const values = valuesAt(view, s);
    forward.forEach((weight, k) => {
      place.columns[k + 1].forEach((to, j) =>
        place.columns[k].forEach((from, i) => {
          const style = lineLook(weight(j, i), weight(j, i) * values[k][i], look);
          drawLine(
            context,
            shifted(from, x),
            rim(shifted(from, x), shifted(to, x), place.radius),
            null,
            style,
            0,
          );
        }),
      );
    });
  }
  for (let s = first; s <= last; s++) drawStep(context, place, view, s, origin + s * place.gap, height);
  context.globalAlpha = 1;
}

function valuesAt({ net, course }, s) {
  const layer = (k) => course.hidden[s].slice(k * net.hidden, (k + 1) * net.hidden);
  return [course.inputs[s], ...Array.from({ length: net.layers }, (_, k) => layer(k)), course.outputs[s]];
}

/** From each hidden unit of the step before to every hidden unit of this one. */
function handOver(context, place, recurrent, memory, x, look, pulse) {
  recurrent.forEach((weight, k) => {
    const units = place.columns[k + 1];
    units.forEach((to, j) =>
      units.forEach((from, i) => {
        if (!weight && i !== j) return;
        const value = weight ? weight(j, i) : look.largest / 2;
        const style = lineLook(value, value * memory[k * units.length + i], look);
        const [a, b] = [shifted(from, x - place.gap), shifted(to, x)];
        drawLine(context, rim(b, a, place.radius), rim(a, b, place.radius), null, style, pulse);
      }),
    );
  });
}

function drawStep(context, place, view, s, x, height) {
  const { net, course, page } = view;
  const now = Math.abs(s - view.position) < 0.5;
  context.globalAlpha = s > view.position + 0.5 ? 0.35 : 1;
  const step = { ...view, values: valuesAt(view, s) };
  place.columns.forEach((units, k) => {
    const hidden = k > 0 && k <= net.layers;
    units.forEach((unit, j) => {
      const [at, number] = [shifted(unit, x), (k - 1) * net.hidden + j];
      drawUnit(context, at, place.radius, unitFill(step, k, j), hidden ? ink.soft : ink.line, now ? 1.8 : 1);
      if (!hidden || !course.pushes.length) return;
      const apart = (course.hidden[s][number] - course.plain.hidden[s][number]) / view.scale[k - 1];
      if (Math.abs(apart) > 0.01) ringAround(context, at, place.radius + 3, apart);
    });
  });
  const [shape, half] = [page.shape.frame, place.thumb / 2];
  const [from, to] = [x - place.gap * 0.2, x + place.gap * 0.16];
  drawFrame(
    context,
    course.inputs[s],
    shape,
    page.range,
    from - half,
    height - place.thumb - 22,
    place.thumb,
    ink.prompt,
  );
  drawFrame(context, course.outputs[s], shape, page.range, to - half, 22, place.thumb);
  context.globalAlpha = 1; // letters are to be read at any step
  const style = { align: "center", colour: now ? ink.ink : ink.soft, weight: now ? 600 : 400 };
  label(context, `x_{${s + 1}}${course.given(s) ? "" : ", its own"}`, from, height - 10, style);
  label(context, `y_{${s + 1}}${page.nextFrame ? ` ≈ x_{${s + 2}}` : ""}`, to, 9, style);
  for (const units of place.columns.slice(1, -1)) {
    const { x: right, y } = units.at(-1);
    label(context, `h_{${s + 1}}`, x + right, y + place.radius + 10, { ...style, clear: true });
  }
  if (view.off[s] && net.cell !== "mlp")
    label(context, "memory off", x - place.gap / 2, height / 2, {
      align: "center",
      colour: ink.net,
      weight: 600,
    });
}

/** The step at a place, and the hidden unit there, or null. */
function hitUnrolled(view, width, height, { x, y }) {
  const place = placeStep(view.net, width, height);
  const { origin } = stepsInSight(view.course, place, width, view.position);
  const s = clamp(Math.round((x - origin) / place.gap), 0, view.course.inputs.length - 1);
  let unit = null;
  for (let k = 1; k <= view.net.layers; k++)
    place.columns[k].forEach((at, j) => {
      const near = Math.hypot(at.x + origin + s * place.gap - x, at.y - y) <= Math.max(place.radius + 4, 12);
      if (near) unit = (k - 1) * view.net.hidden + j;
    });
  return { step: s, unit };
}
