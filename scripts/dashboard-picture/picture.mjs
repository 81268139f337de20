// node picture.mjs ANSWERS.json OUT.png: bundle the page, write it with its data, take its picture.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { layout } from './layout.mjs';

const WIDTH = 1600;
const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, 'build');
const [answers, out] = process.argv.slice(2);
if (!out) {
  console.error('usage: node picture.mjs ANSWERS.json OUT.png (ROWS=title,title opens only those rows)');
  process.exit(2);
}
const openRows = process.env.ROWS ? process.env.ROWS.split(',') : [];
const board = JSON.parse(readFileSync(join(here, '../../dashboards/grafana/overview.json')));
const told = JSON.parse(readFileSync(answers));
const placed = layout(board, openRows, WIDTH);

mkdirSync(folder, { recursive: true });
await build({
  entryPoints: [join(here, 'draw.jsx')],
  outdir: folder,
  bundle: true,
  minify: true,
  format: 'iife',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'dataurl', '.png': 'dataurl', '.ttf': 'empty', '.woff': 'empty', '.woff2': 'dataurl' },
  logLevel: 'error',
});
const data = JSON.stringify({ board, told, placed }).replaceAll('<', '\\u003c');
const page = join(folder, 'index.html');
writeFileSync(
  page,
  `<!doctype html><meta charset="utf-8"><title>${board.title}</title>
<link rel="stylesheet" href="draw.css"><div id="root"></div>
<script>Object.assign(window, ${data});</script><script src="draw.js"></script>`
);
const chromium = process.env.CHROMIUM ?? 'chromium';
const size = `--window-size=${placed.width},${Math.ceil(placed.height)}`;
const flags = ['--headless', '--hide-scrollbars', '--disable-gpu', '--virtual-time-budget=10000'];
if (process.getuid() === 0) {
  flags.push('--no-sandbox');
}
execFileSync(
  chromium,
  [...flags, size, `--screenshot=${resolve(out)}`, pathToFileURL(page).href],
  { stdio: ['ignore', 'ignore', 'pipe'], timeout: 120_000 }
);
