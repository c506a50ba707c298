// The title and year of an item, from what the catalogue has about it.

const ARTICLE = /^(.+?), (The|An?|La|Les?|L'|Il|El|Das|Der|Die)( \(.*\))?$/;
const YEAR = /\s*\((\d{4})\)\s*$/;

/** Return `{title, year}`: "Matrix, The (1999)" is "The Matrix", 1999. Without a title it is the item's id. */
export function factsOf(item) {
  const given = item.title ?? item.item_id;
  const plain = given.replace(YEAR, "").replace(/\s*\((?:a\.k\.a\.|aka)[^)]*\)/gi, "").trim() || given;
  const parts = plain.match(ARTICLE);
  const article = parts && (parts[2].endsWith("'") ? parts[2] : `${parts[2]} `);
  return { title: parts ? article + parts[1] + (parts[3] ?? "") : plain, year: yearOf(item, given) };
}

/** Return "The Matrix (1999)". */
export function nameOf(item) {
  const { title, year } = factsOf(item);
  return year ? `${title} (${year})` : title;
}

/** Return the catalogue's fields of an item of an answer as an item: labels are flat in `fields`. */
export function itemOf({ item_id, fields = {} }) {
  return { item_id, ...fields };
}

function yearOf(item, given) {
  const label = item.labels?.year ?? item.year;
  if (label) return String(label);
  const inTitle = given.match(YEAR);
  if (inTitle) return inTitle[1];
  const published = item.published_at ? new Date(item.published_at) : null;
  return published && !Number.isNaN(published.valueOf()) ? String(published.getUTCFullYear()) : "";
}
