import type { Sql } from '../../../../lib/db/connect.ts';

/** Where in the whole database a text stands: `table.column`, of every column, whatever its type. */
export async function tracesOf(sql: Sql, text: string): Promise<string[]> {
  const columns = await sql<{ table: string; column: string }[]>`
    SELECT c.relname AS table, a.attname AS column FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2`;
  const places = await Promise.all(
    columns.map(async ({ table, column }) => {
      const [found] = await sql`
        SELECT FROM ${sql(table)} WHERE position(${text} IN ${sql(column)}::text) > 0 LIMIT 1`;
      return found ? [`${table}.${column}`] : [];
    }),
  );
  return places.flat();
}
