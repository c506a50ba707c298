import { h } from "../dom.js";

export const title = "";

export async function show(root) {
  root.append(h("h1", {}, "likewise"));
}
