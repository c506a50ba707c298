// The theme follows the system until the visitor chooses one; the choice is kept.

const STORED = "likewise-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Make a button switch between light and dark. */
export function setUpTheme(button) {
  const current = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  const other = () => (current() === "dark" ? "light" : "dark");
  const name = () => button.setAttribute("aria-label", `Switch to the ${other()} theme`);
  button.addEventListener("click", () => {
    const chosen = other();
    document.documentElement.dataset.theme = chosen;
    localStorage.setItem(STORED, chosen);
    name();
    dispatchEvent(new CustomEvent("themechange"));
  });
  dark.addEventListener("change", () => {
    name();
    dispatchEvent(new CustomEvent("themechange"));
  });
  name();
}
