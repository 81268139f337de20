// Where things stand: Grafana's grid in pixels, rows that are not asked for collapsed as in Grafana.
const COLUMNS = 24;
const GAP = 8;
const UNIT = 30 + GAP; // a unit of height, and the space below it
const HEAD = 82;

export function layout(board, openRows, width) {
  const column = (width - GAP) / COLUMNS;
  const placed = { rows: [], panels: [], width, height: HEAD };
  let row = null;
  for (const panel of board.panels) {
    if (panel.type === 'row') {
      const open = openRows.length === 0 || openRows.includes(panel.title);
      row = { title: panel.title, open, count: 0, top: placed.height, y: panel.gridPos.y };
      placed.rows.push(row);
      placed.height += UNIT;
      continue;
    }
    row.count += 1;
    if (!row.open) {
      continue;
    }
    const { x, y, w, h } = panel.gridPos;
    const top = row.top + (y - row.y) * UNIT;
    placed.panels.push({
      panel,
      top,
      left: GAP + x * column,
      width: w * column - GAP,
      height: h * UNIT - GAP,
    });
    placed.height = Math.max(placed.height, top + h * UNIT);
  }
  placed.height += GAP;
  return placed;
}
