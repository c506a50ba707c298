// Builds elements. Text is only ever set as text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Return an HTML element. An attribute whose name begins with `on` is a listener, `class` and `data-…`
 * are as in HTML, `true` sets an empty attribute, and `false`, `null` and `undefined` set none.
 * Children are nodes, strings, numbers, or lists of them; `null` and `false` are left out.
 */
export function h(tag, attributes = {}, ...children) {
  return built(document.createElement(tag), attributes, children);
}

/** Return an SVG element, in the same way as `h`. */
export function s(tag, attributes = {}, ...children) {
  return built(document.createElementNS(SVG, tag), attributes, children);
}

function built(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/** Load a view's stylesheet once, and wait for it, so that the view is not shown without its style. */
export function stylesheet(name) {
  const href = new URL(`./style/${name}.css`, import.meta.url).href;
  const known = [...document.querySelectorAll("link[rel=stylesheet]")].find((link) => link.href === href);
  if (known) return Promise.resolve();
  return new Promise((resolve) => {
    document.head.append(h("link", { rel: "stylesheet", href, onload: resolve, onerror: resolve }));
  });
}

/** Call `action` once, `wait_ms` after the last call of the returned function. */
export function debounced(action, wait_ms) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), wait_ms);
  };
}
