// What the page says: of the step, of the settings, and of what can be done.

const set = (id, text) => {
  if (find(id) && find(id).textContent !== text) find(id).textContent = text;
};

const thing = page.shape.pixels > 1 ? "frame" : "sample";

/** The texts that go with the step. */
function showStep() {
  const { t } = ui;
  const { errors, truth } = course;
  set("now", `step ${t + 1} of ${settings.steps}`);
  set("input-name", `input: ${thing} ${t + 1}`);
  set(
    "input-tag",
    course.given(t)
      ? settings.painted
        ? "your own"
        : settings.closed
          ? "prompt"
          : `true ${thing}`
      : "its own prediction",
  );
  find("input-tag").dataset.kind = course.given(t) ? "prompt" : "net";
  set("output-name", page.nextFrame ? `predicted ${thing} ${t + 2}` : `answer to sample ${t + 1}`);
  set("output-tag", `by the net of seed ${page.members[settings.member].seed}`);
  set("net-error", short(errors.net[t]));
  set("best-error", short((errors.optimum ?? [])[t]));
  set("copy-error", short((errors.copy ?? [])[t]));
  set("truth-name", truth[t] ? "truth" : "no truth");
  set("hint", hint());
  find("seek").value = t + 1;
  find("memory")?.setAttribute("aria-pressed", !settings.off[t]);
  showNeuron();
}

/** A hidden unit by its place in its layer. */
function unitName(unit) {
  const { hidden, layers } = page.shape;
  const layer = layers > 1 ? ` of layer ${Math.floor(unit / hidden) + 1}` : "";
  return `Hidden unit ${(unit % hidden) + 1}${layer}`;
}

/** One sentence: what has been done, or what can be done. */
function hint() {
  if (settings.pushes.length) {
    const [push] = settings.pushes.slice(-1);
    const more = settings.pushes.length > 1 ? ` (${settings.pushes.length} pushes)` : "";
    const way = push.sign > 0 ? "up" : "down";
    const shown = "the net and the strip show how far each unit is from the undisturbed run";
    return `${unitName(push.unit)} was pushed ${way} at step ${push.t + 1}${more}: ${shown}.`;
  }
  if (settings.off[ui.t] && page.shape.cell !== "mlp")
    return `The memory is off here: every step begins from h = 0, so the net knows one ${thing} alone.`;
  if (settings.painted && course.given(ui.t))
    return `This prompt is yours: paint on any of its ${thing}s, and see what the net makes of it.`;
  if (page.shape.cell === "mlp")
    return `This net has no memory: each step knows one ${thing} alone. Click a hidden unit to push it.`;
  return "Click a hidden unit: you see its formula, and push it up; again: down. See where the push goes.";
}

/** What the buttons say of the settings. */
function showSettings() {
  const press = (id, on) => find(id)?.setAttribute("aria-pressed", on);
  press("closed", settings.closed);
  press("space", ui.view === "space");
  press("time", ui.view === "time");
  if (page.nextFrame) Object.assign(find("context"), { value: settings.context, disabled: !settings.closed });
  set(
    "context-text",
    settings.closed ? `prompt: ${plural(settings.context, thing)}` : `every ${thing} is a true one`,
  );
  find("clip").value = settings.painted ? "painted" : settings.clip;
  find("clip").querySelector("[value=painted]").hidden = !settings.painted;
  find("seek").max = settings.steps;
  set("steps-text", `all ${settings.steps} steps`);
  set(
    "longer",
    settings.steps < 4 * steps0 ? `run on to ${2 * settings.steps} steps` : `back to ${steps0} steps`,
  );
  document
    .querySelectorAll("#seeds button")
    .forEach((button, k) => button.setAttribute("aria-pressed", k === settings.member));
}
