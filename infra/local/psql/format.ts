/** A table as psql prints it: aligned columns, a line below the heads, the number of rows. */
export function formatTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [heads, ...rows].map((row) => row.map((value) => value.split('\n')));
  const widths = heads.map((_, column) =>
    Math.max(...cells.map((row) => Math.max(...(row[column] ?? ['']).map((line) => line.length)))),
  );
  const [head = [], ...body] = cells.map((row) => printRow(row, widths));
  const rule = widths.map((width) => '-'.repeat(width + 2)).join('+');
  return [...head, rule, ...body.flat(), `(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`].join('\n');
}

/** A value with line breaks takes several lines; psql marks them with a plus sign. */
function printRow(row: readonly string[][], widths: readonly number[]): string[] {
  const height = Math.max(...row.map((lines) => lines.length));
  return Array.from({ length: height }, (_, index) =>
    row
      .map((lines, column) => {
        const isContinued = index < lines.length - 1;
        return ` ${(lines[index] ?? '').padEnd(widths[column] ?? 0)}${isContinued ? '+' : ' '}`;
      })
      .join('|')
      .trimEnd(),
  );
}
