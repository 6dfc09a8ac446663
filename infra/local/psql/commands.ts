import type postgres from 'postgres';
import { formatTable } from './format.ts';

/** Runs a statement, several, or one of psql's commands, and returns what psql would print. */
export async function runCommand(sql: postgres.Sql, command: string): Promise<string> {
  const [, name, argument = ''] = /^\s*\\(\w+\+?)\s*(.*?);?\s*$/s.exec(command) ?? [];
  if (name === undefined) return runStatements(sql, command);
  if (name === 'dt') return listTables(sql, argument.split(/\s+/).filter(Boolean));
  if (name === 'd' && argument) return describeTable(sql, argument);
  if (name === 'd') return listTables(sql, []);
  throw new Error(
    `\\${name} is not known here; there are \\dt, \\d NAME and \\q. The real psql knows them all.`,
  );
}

async function runStatements(sql: postgres.Sql, text: string): Promise<string> {
  // Raw: as PostgreSQL prints the values, not as JavaScript would.
  const answer = await sql.unsafe(text).raw();
  const results = (Array.isArray(answer) && 'command' in answer ? [answer] : answer) as unknown as Result[];
  return results.map(formatResult).join('\n');
}

type Result = Iterable<(Uint8Array | null)[]> & {
  command: string;
  count: number | null;
  columns?: { name: string }[];
};

function formatResult(result: Result): string {
  if (!result.columns?.length)
    return [result.command, result.count].filter((part) => part !== null).join(' ');
  const rows = [...result].map((row) =>
    row.map((value) => (value === null ? '' : Buffer.from(value).toString())),
  );
  return formatTable(
    result.columns.map(({ name }) => name),
    rows,
  );
}

async function listTables(sql: postgres.Sql, patterns: string[]): Promise<string> {
  const likes = patterns.map((pattern) =>
    pattern
      .replace(/([%_\\])/g, '\\$1')
      .replaceAll('*', '%')
      .replaceAll('?', '_'),
  );
  const rows = await sql<{ schemaname: string; tablename: string; tableowner: string }[]>`
    SELECT schemaname, tablename, tableowner FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
      AND (${likes.length === 0} OR tablename LIKE ANY(${likes}))
    ORDER BY schemaname, tablename`;
  if (rows.length === 0) return 'Did not find any tables.';
  return formatTable(
    ['Schema', 'Name', 'Type', 'Owner'],
    rows.map(({ schemaname, tablename, tableowner }) => [schemaname, tablename, 'table', tableowner]),
  );
}

async function describeTable(sql: postgres.Sql, name: string): Promise<string> {
  const rows = await sql<{ name: string; type: string; nullable: string; fallback: string }[]>`
    SELECT attname AS name, format_type(atttypid, atttypmod) AS type,
           CASE WHEN attnotnull THEN 'not null' ELSE '' END AS nullable,
           coalesce(pg_get_expr(adbin, adrelid), '') AS fallback
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = to_regclass(${name}) AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum`;
  if (rows.length === 0) return `Did not find any relation named "${name}".`;
  return formatTable(
    ['Column', 'Type', 'Nullable', 'Default'],
    rows.map((row) => [row.name, row.type, row.nullable, row.fallback]),
  );
}
