import type { Me, MeValue } from '../../auth/session/session.ts';
import type { Sql } from '../../db/connect.ts';

/** Asks in the name of a member who is not there himself: his export is made while he is away. */
export function asUser(sql: Sql, userId: string): Me {
  return async <Row extends object>(strings: TemplateStringsArray, ...values: readonly MeValue[]) => {
    const rows = await sql<Row[]>`
      WITH me AS (SELECT u.* FROM users u WHERE u.id = ${userId})
      SELECT answer.* FROM me CROSS JOIN LATERAL (${sql(strings, ...values)}) answer`;
    return [...rows] as Row[];
  };
}
