"""The look of the report: one style sheet, inline, without anything from a network. Light, dark and print."""

from __future__ import annotations

# Text colours have a contrast of at least 4.5 on --page and --card, marks in charts at least 3 on --card.
LIGHT = {
    "page": "#f5f6f8", "card": "#ffffff", "line": "#dfe3e8", "text": "#1b2430", "muted": "#566273",
    "better": "#0b6b3a", "worse": "#b3261e", "accent": "#1f5fbf", "soft": "#e4ecf8",
    "new": "#1f6fd6", "reactivation": "#7a4fd0", "expansion": "#12805c", "contraction": "#b86e00", "churned": "#c4332b",
    "fx": "#6b7684",
}  # fmt: skip
DARK = {
    "page": "#10141a", "card": "#181e26", "line": "#2d3642", "text": "#e7ecf2", "muted": "#9fabba",
    "better": "#5fd093", "worse": "#ff8f85", "accent": "#7fb2ff", "soft": "#22344f",
    "new": "#6aa6ff", "reactivation": "#b795ff", "expansion": "#43c492", "contraction": "#eda53f", "churned": "#ff7a70",
    "fx": "#94a0af",
}  # fmt: skip


def _variables(palette: dict[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in palette.items())


RULES = """
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text); line-height: 1.5; font-size: 15px;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Hiragino Sans", "Yu Gothic UI", Meiryo,
    "Noto Sans JP", "Noto Sans CJK JP", sans-serif;
  -webkit-text-size-adjust: 100%; print-color-adjust: exact; -webkit-print-color-adjust: exact;
}
main, header, footer { max-width: 1160px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 32px; }
h1, h2, h3, p { margin: 0; }
h1 { font-size: 28px; line-height: 1.2; letter-spacing: -0.01em; }
h2 { font-size: 20px; line-height: 1.3; margin: 44px 0 14px; }
h3 { font-size: 15px; line-height: 1.35; }
.ja { display: block; font-weight: 400; color: var(--muted); font-size: 12px; line-height: 1.4; letter-spacing: 0; }
h1 .ja { font-size: 15px; margin-top: 4px; }
h2 .ja { font-size: 13px; }
.facts { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 18px 0 0; padding: 0; }
.facts div { min-width: 0; }
.facts dt { font-size: 12px; color: var(--muted); }
.facts dt .ja { display: inline; }
.facts dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.notice {
  margin-top: 18px; padding: 10px 14px; border-left: 4px solid var(--contraction); background: var(--card);
  border-radius: 4px;
}
.note { color: var(--muted); font-size: 13px; margin-top: 10px; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px; min-width: 0; }
.cards { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 14px; margin-top: 26px; }
.card { display: flex; flex-direction: column; gap: 10px; }
.now { display: flex; align-items: flex-end; justify-content: space-between; gap: 14px; }
.now > div { min-width: 0; }
.card .figure { font-size: 30px; font-weight: 650; line-height: 1.15; letter-spacing: -0.02em; }
.card .sparkline { flex: 0 1 120px; min-width: 0; height: 30px; }
.changes { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: auto 0 0; font-size: 13px; }
.changes div { display: flex; flex-wrap: wrap; gap: 0 6px; }
.changes dt { color: var(--muted); white-space: nowrap; }
.changes dd { margin: 0; }
.figure, .changes dd, td.number, th.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.better { color: var(--better); font-weight: 600; }
.worse { color: var(--worse); font-weight: 600; }
.badge {
  display: inline-block; font-size: 11px; font-weight: 500; color: var(--muted); border: 1px solid var(--line);
  border-radius: 9px; padding: 0 7px; margin-top: 4px; align-self: flex-start;
}
/* Without a width, so that the digits of a column stay aligned. */
.mark { display: inline-block; width: 0; color: var(--muted); text-decoration: none; cursor: help; }
.mark + .mark { text-indent: 0.5em; }
.hidden {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
.charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; }
figure { margin: 0; display: flex; flex-direction: column; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 6px 0 4px; padding: 0; list-style: none; }
.legend li { font-size: 12px; color: var(--muted); display: flex; align-items: center; gap: 6px; }
.legend .ja { display: inline; }
.swatch { width: 12px; height: 12px; border-radius: 3px; background: currentColor; flex: none; }
svg { display: block; overflow: visible; }
svg.chart { width: 100%; height: auto; margin-top: auto; padding-top: 8px; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .baseline { stroke: var(--muted); stroke-width: 1; }
svg .tick { fill: var(--muted); font-size: 12px; font-variant-numeric: tabular-nums; }
svg .end { text-anchor: end; }
svg .middle { text-anchor: middle; }
svg .line { fill: none; stroke: currentColor; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round; }
svg .dot { fill: currentColor; stroke: var(--card); stroke-width: 1; }
svg .column { fill: currentColor; stroke: var(--card); stroke-width: 0.75; }
svg .area { fill: currentColor; opacity: 0.14; }
svg .band { fill: transparent; }
svg .band:hover { fill: var(--text); fill-opacity: 0.06; }
.level, .spark, .nrr { color: var(--accent); }
.grr { color: var(--contraction); }
.new { color: var(--new); }
.reactivation { color: var(--reactivation); }
.expansion { color: var(--expansion); }
.contraction { color: var(--contraction); }
.churned { color: var(--churned); }
.fx { color: var(--fx); }
.scroll { overflow-x: auto; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { padding: 7px 10px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 0; }
thead th { font-size: 12px; color: var(--muted); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 500; overflow-wrap: anywhere; min-width: 9em; }
tbody tr:last-child th, tbody tr:last-child td { border-bottom: 0; }
tfoot th, tfoot td { border-top: 2px solid var(--line); border-bottom: 0; font-weight: 600; }
th.number, td.number { text-align: right; }
caption { text-align: left; font-weight: 600; padding-bottom: 8px; }
.share { display: block; height: 4px; border-radius: 2px; background: var(--accent); margin-top: 4px; }
.names tbody .ja { display: inline; margin-left: 6px; }
.packed { columns: 2; column-gap: 14px; }
.packed .panel { break-inside: avoid; margin-bottom: 14px; }
.panel + .panel { margin-top: 14px; }
.packed .panel, .charts .panel, .cards .panel { margin-top: 0; }
details.panel { margin-top: 14px; }
summary { cursor: pointer; font-weight: 600; }
details .scroll { margin-top: 12px; }
.definitions { columns: 2; column-gap: 32px; margin: 0; }
.definitions > div { break-inside: avoid; padding-bottom: 18px; }
.definitions dt { font-weight: 600; }
.definitions dt .ja { display: inline; margin-left: 8px; }
.definitions dd { margin: 2px 0 0; font-size: 14px; }
.definitions .formula { color: var(--muted); font-size: 13px; }
footer { padding: 32px 20px 40px; color: var(--muted); font-size: 13px; }
@media screen and (max-width: 760px) {
  .charts { grid-template-columns: minmax(0, 1fr); }
  .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .packed, .definitions { columns: 1; }
}
@media screen and (max-width: 520px) {
  main, header, footer { padding-left: 12px; padding-right: 12px; }
  .panel { padding: 12px; }
  .cards { gap: 10px; }
  .changes { font-size: 12px; }
  .changes div { gap: 0 4px; }
  .card .figure { font-size: 22px; }
  .card .sparkline { display: none; }
  svg .tick { font-size: 16px; }
  th, td { padding: 6px 6px; }
  table { font-size: 12px; }
  thead th { font-size: 11px; }
  th .ja { font-size: 11px; white-space: normal; }
  tbody th { min-width: 6em; }
  td .arrow { display: none; }
  .names tbody .ja { display: block; margin-left: 0; }
}
@media print {
  @page { margin: 12mm; }
  :root { --page: #ffffff; }
  body { zoom: 0.7; }
  header, main, footer { padding-left: 0; padding-right: 0; }
  header { padding-top: 0; }
  h2 { break-after: avoid; break-inside: avoid; }
  .panel, figure, tr { break-inside: avoid; }
  .long { break-inside: auto; }
  .scroll { overflow: visible; }
  details { display: none; }
}
"""

STYLE = (
    f":root {{ color-scheme: light dark; {_variables(LIGHT)} }}\n"
    f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}{RULES}"
)
