/** The report's style sheet: light and dark as the reader's system is, and fit for paper. */
export const style = `
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#57606a;--rule:#d5dae0;--raised:#f6f8fa;
--good:#116329;--good-bg:#dafbe1;--bad:#a40e26;--bad-bg:#ffebe9;--band:#bf8700;
--l0:#0550ae;--l1:#bc4c00;--l2:#8250df;--l3:#116329;--l4:#a40e26;--l5:#57606a;--l6:#1b7c83;--l7:#7d4e00}
@media(prefers-color-scheme:dark){:root{--paper:#0f1318;--ink:#e6edf3;--soft:#9aa4af;--rule:#30363d;--raised:#171c23;
--good:#56d364;--good-bg:#12261b;--bad:#ff7b72;--bad-bg:#2d1417;--band:#d29922;
--l0:#79c0ff;--l1:#ffa657;--l2:#d2a8ff;--l3:#56d364;--l4:#ff7b72;--l5:#b1bac4;--l6:#56d4dd;--l7:#e3b341}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1000px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:1.05rem;font-weight:600;margin:0;color:var(--soft)}
h2{font-size:1.25rem;margin:2.6rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:1.6rem 0 .2rem}
p{margin:.4rem 0;max-width:75ch}
.soft{color:var(--soft)}
.verdict{margin:.6rem 0 1rem;padding:16px 20px;border-radius:10px;border-left:6px solid}
.verdict p{margin:.2rem 0}
.verdict strong{font-size:1.55rem;line-height:1.25;display:block}
.verdict.good{background:var(--good-bg);border-color:var(--good)}.verdict.good strong{color:var(--good)}
.verdict.bad{background:var(--bad-bg);border-color:var(--bad)}.verdict.bad strong{color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px;margin:1rem 0;padding:0;list-style:none}
.tiles li{background:var(--raised);border:1px solid var(--rule);border-radius:8px;padding:10px 12px}
.tiles b{display:block;font-size:1.1rem;font-variant-numeric:tabular-nums}
.tiles span{color:var(--soft);font-size:.86rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;margin:.5rem 0}
caption{text-align:left;color:var(--soft);font-size:.86rem;padding-bottom:.3rem}
th,td{text-align:left;vertical-align:top;padding:5px 12px 5px 0;border-bottom:1px solid var(--rule)}
thead th{font-weight:600;color:var(--soft);white-space:nowrap}
tbody th{font-weight:500}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr.bad td,tr.bad th{color:var(--bad);font-weight:600}
.ok{color:var(--good);font-weight:600;white-space:nowrap}.no{color:var(--bad);font-weight:600;white-space:nowrap}
figure{margin:1.2rem 0 .4rem}figcaption{font-weight:600}
figure svg:not(.key){width:100%;height:auto;display:block}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line-0{stroke:var(--l0)}.line-1{stroke:var(--l1)}.line-2{stroke:var(--l2)}.line-3{stroke:var(--l3)}
.line-4{stroke:var(--l4);stroke-dasharray:7 4}.line-5{stroke:var(--l5);stroke-dasharray:2 4}
.line-6{stroke:var(--l6);stroke-dasharray:9 3 2 3}.line-7{stroke:var(--l7);stroke-dasharray:4 2}
.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}
.tick{fill:var(--soft);font-size:12px}
.band{fill:var(--band);opacity:.2}.band-label{fill:var(--soft);font-size:11px}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;list-style:none;margin:.2rem 0;padding:0;font-size:.88rem}
.legend li{display:flex;align-items:center;gap:6px}.key{width:28px;height:10px}
details{margin:.3rem 0 1rem;font-size:.9rem}summary{cursor:pointer;color:var(--soft)}
pre{background:var(--raised);border:1px solid var(--rule);border-radius:8px;padding:10px 12px;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,monospace;margin:.4rem 0}
.break{border-left:4px solid var(--bad);padding-left:14px;margin:1rem 0}
.break p{margin:.1rem 0}
@media print{main{max-width:none;padding:0}details{display:none}h2{break-after:avoid}figure{break-inside:avoid}}
`;
