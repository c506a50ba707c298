// The form that starts an experiment.

import { pathOf } from "../api.js";
import { h } from "../dom.js";
import { asAdmin } from "../ops/admin.js";
import { choices } from "./choices.js";

const SECONDS_AN_HOUR = 3600;

/** Return the form; `started(answer)` is called when one has started, `closed()` when the visitor cancels. */
export async function startForm(context, { started, closed }) {
  const answers = await choices(context.api);
  const name = input({ required: true, pattern: "[a-z0-9][a-z0-9_\\-]{0,63}", maxlength: 64, autocapitalize: "off", autocomplete: "off", spellcheck: "false", placeholder: "home-novelty" });
  const share = input({ type: "number", min: 0.1, max: 100, step: "any", value: 100, required: true });
  const scenario = h("select", { class: "input" }, h("option", { value: "" }, "every request"), answers.scenarios.map((one) => h("option", { value: one }, `the scenario ${one}`)));
  const margin = input({ type: "number", min: 0, max: 99, step: "any", value: 0 });
  const hours = input({ type: "number", min: 0.01, max: 8760, step: "any", value: 24 });
  const variants = [variantFields("control", "control", answers), variantFields("new", "what is tried", answers)];
  const wrong = h("p", { class: "form-wrong", role: "alert" });
  const start = h("button", { class: "button primary" }, "Start");
  const kinds = [
    kind("split", "Split", "Each user gets one of the two, for good. Finds any difference, and needs many users.", true),
    kind("interleaved", "Interleaved", "Both share each list, and likes decide. Needs about a tenth of the traffic, and says only which of the two is better."),
  ];
  const form = h("form", { class: "card panel experiment-form", "aria-labelledby": "start-title", onsubmit: submitted },
    h("header", {}, h("h2", { id: "start-title" }, "Start an experiment")),
    field("Name", name, "Letters a to z, digits, - and _. Users are divided by it."),
    h("fieldset", { class: "form-kinds" }, h("legend", {}, "Kind"), kinds),
    h("div", { class: "form-row" }, field("Share of the users, in %", share), field("Which requests", scenario)),
    h("div", { class: "form-variants" }, variants.map(({ root }) => root)),
    h("details", {}, h("summary", {}, "Margin and window"),
      h("div", { class: "form-row" },
        field("May be worse by, in %", margin, "Up to this margin, a variant passes as not worse."),
        field("A like counts for, in hours", hours, "For how long after a list a like of its items counts for it."))),
    wrong,
    h("div", { class: "dialog-buttons" }, h("button", { class: "button quiet", type: "button", onclick: closed }, "Cancel"), start));

  async function submitted(event) {
    event.preventDefault();
    let body;
    try {
      body = definition();
    } catch (error) {
      return refused(error.message, error.input);
    }
    start.disabled = true;
    const answer = await asAdmin(context, () => put(body)).finally(() => (start.disabled = false));
    if (answer) started(answer);
  }

  function definition() {
    return {
      kind: new FormData(form).get("kind"),
      share: number(share) / 100,
      scenario: scenario.value || null,
      margin: number(margin) / 100,
      window_s: number(hours) * SECONDS_AN_HOUR,
      variants: variants.map(({ read }) => read()),
    };
  }

  /** What the server refuses is said here, at the field that it names; the rest is the caller's. */
  async function put(body) {
    try {
      return await context.api.put(pathOf("v1", "experiments", name.value), body);
    } catch (error) {
      if (![400, 409, 413, 422].includes(error.status)) throw error;
      refused(error.detail, { name, share, scenario, margin, window_s: hours, "variants.name": variants[0].name }[error.field]);
      return false;
    }
  }

  function refused(sentence, at = null) {
    wrong.textContent = sentence;
    for (const one of form.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
    at?.setAttribute("aria-invalid", "true");
    (at ?? start).focus();
  }

  form.addEventListener("input", ({ target }) => target.removeAttribute("aria-invalid"));
  return { root: form, focus: () => name.focus() };
}

const input = (attributes) => h("input", { class: "input", type: "text", ...attributes });
const number = ({ value }) => Number(value);

let fields = 0;

/** A control with its label, and a note that screen readers read after the label. */
function field(label, control, note = null) {
  const id = `experiment-field-${(fields += 1)}`;
  control.id = id;
  if (note) control.setAttribute("aria-describedby", `${id}-note`);
  return h("div", { class: "field" },
    h("label", { for: id }, label), control, note && h("span", { class: "faint", id: `${id}-note` }, note));
}

const kind = (value, label, note, checked = false) =>
  h("label", { class: "form-kind" },
    h("input", { type: "radio", name: "kind", value, checked }),
    h("span", {}, h("strong", {}, label), h("span", { class: "faint" }, note)));

/** The fields of a variant, and `read()`, which returns it as the API takes it. */
function variantFields(named, role, { models, rankers }) {
  const name = input({ value: named, required: true, pattern: "[a-z0-9][a-z0-9_\\-]{0,63}", maxlength: 64, autocapitalize: "off", spellcheck: "false" });
  const answers = h("select", { class: "input" },
    h("option", { value: "" }, "the current model"),
    rankers.length > 0 && h("optgroup", { label: "Rankers" }, rankers.map((one) => h("option", { value: `ranker ${one}` }, one))),
    models.length > 0 && h("optgroup", { label: "Versions" }, models.map((one) => h("option", { value: `model ${one}` }, one))));
  const options = h("textarea", { class: "input form-options", rows: 2, spellcheck: "false", autocapitalize: "off", placeholder: '{"novelty": 0.3}' });
  return {
    name,
    root: h("fieldset", {}, h("legend", {}, `Variant: ${role}`),
      field("Its name", name),
      field("What answers", answers),
      field("Options, as JSON", options, "They apply where a request does not set them.")),
    read() {
      const [what, which] = answers.value.split(" ");
      return { name: name.value, ...(what && { [what]: which }), ...(options.value.trim() && { defaults: parsed(options) }) };
    },
  };
}

function parsed(input) {
  try {
    const value = JSON.parse(input.value);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value;
  } catch {
    // said below
  }
  throw Object.assign(new Error('The options are not a JSON object, such as {"novelty": 0.3}.'), { input });
}
