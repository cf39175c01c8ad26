// The tour: a few steps, each of which brings the page to what its caption speaks of. It remembers nothing.

const TANH = "weighs and sums them, and bends the sum with tanh";
const ACTS = { tanh: TANH, mlp: TANH, relu: "weighs and sums them, and takes 0 where the sum is negative" };
const { cell } = page.shape;
const fed = cell === "mingru" ? "itself" : "every unit of its layer, itself too,";
const recurrent = cell !== "mlp";
const middleStep = Math.floor(steps0 / 2);
const prompt = Math.min(page.context, middleStep);

/** The mean error of the net from a step on. */
const errorFrom = (made, t) => {
  const errors = made.errors.net.slice(t);
  return errors.reduce((sum, each) => sum + each, 0) / errors.length;
};

/** The unit that has most to say at a step. */
const loudest = (t) => {
  const sizes = Array.from(course.hidden[t], Math.abs);
  return sizes.indexOf(Math.max(...sizes));
};

const TOUR = [
  {
    name: "One neuron",
    at: prompt - 1,
    part: "middle",
    chosen: true,
    text: () =>
      `Step t: a hidden unit takes x_{t}${recurrent ? " and the previous hidden state h_{t−1}" : ""}, ` +
      `${ACTS[cell] ?? "and mixes them through its gates"}. ` +
      `That is its state h_{t}: it goes to the output y_{t}${recurrent ? " and to the next step" : ""}. ` +
      "The numbers stand under the net.",
  },
  {
    name: "In space",
    at: prompt - 1,
    part: "middle",
    text: () =>
      `x_{t} goes in, y_{t} comes out: the net's estimate of ${page.nextFrame ? "x_{t+1}" : "the target"}. ` +
      (recurrent
        ? `${small ? "The bent lines are its memory" : "Its memory"}: each unit feeds ${fed} one step later.`
        : "No line leads from one step to the next: this net has no memory."),
  },
  {
    name: "In time",
    at: prompt - 1,
    part: small ? "middle" : "strip",
    view: "time",
    text: () =>
      `The same net, once for each of the ${steps0} steps, with the same weights. ` +
      (recurrent
        ? "Each copy hands h_{t} to the next: here they run one after another."
        : "Nothing passes from copy to copy."),
  },
  recurrent && {
    name: "Memory off",
    at: middleStep,
    part: "strip",
    set: () => ({ ...switched(settings, middleStep), closed: false }),
    text: () => {
      const whole = makeCourse(page, { ...settings, off: begin(page).off });
      return (
        `True ${thing}s go in. From step ${middleStep + 1} on each step begins with h_{t−1} = 0 ` +
        `(hatched): the net knows the present ${thing} alone. From there its error is ` +
        `${short(errorFrom(course, middleStep))}; with memory it is ${short(errorFrom(whole, middleStep))}.`
      );
    },
  },
  page.nextFrame && {
    name: "Closed loop",
    at: prompt,
    part: "strip",
    set: () => ({ ...settings, closed: true, context: prompt }),
    text: () =>
      `The prompt ends after ${plural(prompt, thing)} (blue). From there each prediction goes in as ` +
      "the next input (orange): y_{t} becomes x_{t+1}. So the net generates.",
  },
].filter(Boolean);

let tour = null; // on the way: { at }, and the page as it was: { settings, ui, y }

function tourTo(at) {
  if (at < 0 || at >= TOUR.length) return endTour();
  tour ??= { settings, ui: { ...ui }, y: scrollY };
  tour.at = at;
  const { name, at: t, part, chosen, view, set: made, text } = TOUR[at];
  play(false);
  settings = { ...begin(page), member: settings.member };
  Object.assign(ui, { t, phase: 1, chosen: null });
  look(view ?? "space");
  change(made ? made() : settings);
  if (chosen) ui.chosen = loudest(t);
  show();
  find("tour").hidden = false;
  document.body.classList.add("touring");
  find("tour-name").textContent = `${at + 1} of ${TOUR.length}: ${name}`;
  write(find("caption"), text());
  find("tour-back").disabled = at === 0;
  find("tour-on").textContent = at === TOUR.length - 1 ? "done" : "next";
  return mark(find(part));
}

/** Frame the part that a caption speaks of, and bring both into sight. */
function mark(part) {
  for (const each of document.querySelectorAll(".marked")) each.classList.remove("marked");
  if (!part) return;
  part.classList.add("marked");
  const dock = find("dock");
  // In a frame the caption stands between the net and the strip; else it is always in sight.
  if (framed) return reveal(dock, part.id === "strip" ? "start" : "end");
  return reveal(part, part.clientHeight > innerHeight - dock.offsetHeight - 24 ? "start" : "center");
}

/** Bring a part into sight, above the bar. */
function reveal(part, block) {
  const { style } = document.documentElement;
  style.scrollPadding = framed ? "" : `12px 0 ${find("dock").offsetHeight}px`;
  part.scrollIntoView({ block, behavior: calm.matches ? "auto" : "smooth" });
  style.scrollPadding = ""; // else the bar's own buttons count as out of sight
}

/** The page is as it was before the tour. */
function endTour() {
  if (!tour) return;
  const kept = tour;
  tour = null;
  find("tour").hidden = true;
  document.body.classList.remove("touring");
  mark(null);
  Object.assign(ui, { t: kept.ui.t, chosen: kept.ui.chosen, phase: 1 });
  look(kept.ui.view);
  change(kept.settings);
  scrollTo({ top: kept.y, behavior: calm.matches ? "auto" : "smooth" });
  if (kept.ui.playing) play(true);
}

on("take-tour", "click", () => (tour ? endTour() : tourTo(0)));
on("tour-back", "click", () => tourTo(tour.at - 1));
on("tour-on", "click", () => tourTo(tour.at + 1));
on("tour-end", "click", endTour);
Object.assign(KEYS, {
  t: () => (tour ? endTour() : tourTo(0)),
  Enter: (event) => tour && tourTo(tour.at + (event.shiftKey ? -1 : 1)),
  Escape: endTour,
});
