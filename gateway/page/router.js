// Which view a path shows. Ids in a path are percent-encoded, so that they may hold a slash.

const ROUTES = [
  ["", "play"],
  ["items/:id", "item"],
  ["users/:id", "user"],
  ["live", "live"],
  ["models", "models"],
  ["experiments", "experiments"],
  ["dead-letters", "dead-letters"],
  ["messages", "messages"],
].map(([pattern, view]) => ({ parts: pattern.split("/"), view }));

/** Return `{view, params}` of a path as in `location.pathname`, or null if no view has it. */
export function matched(pathname) {
  const segments = pathname.replace(/^\/|\/$/g, "").split("/");
  for (const { parts, view } of ROUTES) {
    if (parts.length !== segments.length) continue;
    const params = {};
    const fits = parts.every((part, place) => {
      if (!part.startsWith(":")) return part === segments[place];
      params[part.slice(1)] = decoded(segments[place]);
      return params[part.slice(1)] !== null;
    });
    if (fits) return { view, params };
  }
  return null;
}

function decoded(segment) {
  try {
    return decodeURIComponent(segment) || null;
  } catch {
    return null;
  }
}

/** Return the link of a click if the page itself shows its target, else null. */
export function internalLink(event) {
  if (event.defaultPrevented || event.button !== 0) return null;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return null;
  const link = event.target.closest?.("a[href]");
  if (!link || link.target || link.hasAttribute("download") || link.dataset.external !== undefined) return null;
  if (link.origin !== location.origin || (link.hash && link.pathname === location.pathname)) return null;
  return matched(link.pathname) ? link : null;
}
