"""How a report looks: light or dark as the reader's system is, nothing loaded."""

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light dark; --ink: #1c2429; --quiet: #5f6f78; --paper: #fff;
  --line: #d5dce0; --ours: #2a7f9e; --second: #c2762e; --bad: #b3362c; --warn: #fdf1dc; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebee; --quiet: #9aa8b0; --paper: #15191c;
  --line: #343d43; --ours: #5bb3d2; --second: #e0a05e; --bad: #ef7a70; --warn: #3a2f1a; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1060px; margin: 0 auto; padding: 24px; }
h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 24px 0 8px; }
h3 { font-size: 15px; margin: 20px 0 6px; }
summary { cursor: pointer; } summary h2 { display: inline; }
details { border-top: 1px solid var(--line); padding: 10px 0; }
header p { color: var(--quiet); margin: 4px 0 0; overflow-wrap: anywhere; }
.warning { background: var(--warn); border-left: 4px solid var(--second); padding: 4px 16px 8px;
  margin-top: 16px; }
.warning h2 { margin-top: 8px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(108px, 1fr)); gap: 10px;
  margin: 12px 0; }
.cards div { border: 1px solid var(--line); border-radius: 6px; padding: 10px; }
.cards b { display: block; font-size: 19px; } .cards span { color: var(--quiet); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
small { display: block; color: var(--quiet); font-size: 12px; white-space: nowrap; }
caption { caption-side: bottom; text-align: left; color: var(--quiet); font-size: 13px; }
th, td { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--line);
  font-weight: normal; }
th:first-child { text-align: left; } tr > th:not(:first-child) { color: var(--quiet); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr));
  gap: 16px; margin: 16px 0; }
figure { margin: 0; } figcaption { font-size: 13px; color: var(--quiet); }
svg { width: 100%; min-width: 360px; height: auto; display: block; }
svg text { font: 11px system-ui, sans-serif; fill: var(--quiet); }
svg .label { fill: var(--ink); }
polyline { fill: none; stroke-width: 1; } .axis { stroke: var(--quiet); }
.grid { stroke: var(--line); } .mark { stroke: var(--ink); stroke-dasharray: 3 3; }
.bar { fill: var(--ours); } .curve { stroke: var(--ours); stroke-width: 2; }
.second { stroke: var(--second); stroke-width: 2; } .failed { stroke: var(--bad); stroke-width: 2; }
.curve-dot { fill: var(--ours); } .second-dot { fill: var(--second); }
pre { overflow-x: auto; font-size: 13px; }
"""
