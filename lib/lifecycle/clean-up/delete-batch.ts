import type { Queryable } from '../../db/connect.ts';
import type { Rule } from './rules.ts';

/** Rows that are deleted in one transaction. */
export const BATCH = 1_000;

/** Deletes some of what is over by a rule, in a transaction of its own; returns how many rows. */
export async function deleteBatch(sql: Queryable, rule: Rule): Promise<number> {
  return (await sql`${deletion(sql, rule)}`).count;
}

/** The statement, for its plan to be looked at, too. */
export function deletion(sql: Queryable, { table, isOver, contended }: Rule) {
  return sql`
    DELETE FROM ${sql(table)} WHERE ctid = ANY (ARRAY(
      SELECT t.ctid FROM ${sql(table)} t WHERE ${isOver(sql)} LIMIT ${BATCH}
      ${contended ? sql`FOR UPDATE OF t SKIP LOCKED` : sql``}))`;
}
