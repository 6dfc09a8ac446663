/** The style of the page: light and dark, and readable on 360 pixels. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --muted: #5c6570; --line: #d9dee4; --soft: #f3f5f8; --accent: #1f5fd0; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebef; --muted: #98a2ad; --line: #333b44; --soft: #1d232a; --accent: #79adff; --paper: #14181d; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 16px / 1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); overflow-wrap: anywhere; }
main { max-width: 54rem; margin: 2rem auto 6rem; padding: 0 1rem; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.3rem; margin: 3.5rem 0 0.5rem; }
h3 { font: 600 1rem / 1.4 ui-monospace, monospace; margin: 0; }
h4 { font-size: 0.9rem; margin: 1.2rem 0 0.3rem; color: var(--muted); }
a { color: var(--accent); }
nav ul { list-style: none; padding: 0; margin: 0 0 1rem; }
nav li { padding: 0.15rem 0; }
article { border: 1px solid var(--line); border-radius: 0.5rem; padding: 1rem; margin: 1rem 0; scroll-margin-top: 1rem; }
article p { margin: 0.4rem 0; }
.who { color: var(--muted); font-size: 0.9rem; }
code, pre { font: 0.85rem / 1.5 ui-monospace, monospace; }
pre { background: var(--soft); border-radius: 0.4rem; padding: 0.7rem; margin: 0; overflow-x: auto; overflow-wrap: normal; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
td, th { text-align: left; vertical-align: top; padding: 0.35rem 0.8rem 0.35rem 0; border-top: 1px solid var(--line); overflow-wrap: break-word; }
summary { cursor: pointer; margin-top: 1rem; color: var(--accent); }
@media (max-width: 44rem) {
  td, th { display: block; border: 0; padding: 0; }
  tr { display: block; border-top: 1px solid var(--line); padding: 0.4rem 0; }
}
`;
