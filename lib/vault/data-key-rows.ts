import type { Sql } from 'postgres';

/** `next` waits, `current` takes new members, `retired` takes none and goes on opening and sealing for its own. */
export type DataKeyState = 'next' | 'current' | 'retired';

/** The data key as it is stored, or undefined. */
export async function readWrappedKey(
  sql: Sql,
  environment: string,
  dataKeyId: string,
): Promise<{ wrapped_key: Uint8Array; wrapper_key_id: string } | undefined> {
  const [row] = await sql<{ wrapped_key: Uint8Array; wrapper_key_id: string }[]>`
    SELECT wrapped_key, wrapper_key_id FROM pds_data_keys
    WHERE id = ${dataKeyId} AND environment = ${environment}`;
  return row;
}

/** The ids of all data keys, oldest first. */
export async function listDataKeys(sql: Sql, environment: string): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    SELECT id FROM pds_data_keys WHERE environment = ${environment} ORDER BY created_at, id`;
  return rows.map(({ id }) => id);
}

/** Stores a data key as another key wraps it, unless it is no longer as it was read. Only the owner may. */
export async function replaceWrapping(
  sql: Sql,
  environment: string,
  key: { id: string; from: Uint8Array; to: Uint8Array; wrapperKeyId: string },
): Promise<boolean> {
  const { count } = await sql`
    UPDATE pds_data_keys SET wrapped_key = ${key.to}, wrapper_key_id = ${key.wrapperKeyId}
    WHERE id = ${key.id} AND environment = ${environment} AND wrapped_key = ${key.from}`;
  return count === 1;
}

/**
 * Counts so many more members to the current data key. Undefined when there is none, or when it was retired while
 * this statement waited for its lock.
 *
 * Counting here, and not over the members' rows, makes choosing and counting one statement, gives every
 * caller numbers of his own, and leaves the members' table to its own subsystem. Whoever is retried counts twice, so a
 * key may be full somewhat early: its number of members is a target.
 */
export async function countMembers(
  sql: Sql,
  environment: string,
  joining: number,
): Promise<{ id: string; members: number } | undefined> {
  const [row] = await sql<{ id: string; members: number }[]>`
    UPDATE pds_data_keys SET sealed_members = sealed_members + ${joining}
    WHERE environment = ${environment} AND state = 'current'
    RETURNING id, sealed_members AS members`;
  return row;
}

/** The ids of the data keys that take members now and next. */
export async function readActiveDataKeys(
  sql: Sql,
  environment: string,
): Promise<{ current?: string; next?: string }> {
  const rows = await sql<{ id: string; state: DataKeyState }[]>`
    SELECT id, state FROM pds_data_keys
    WHERE environment = ${environment} AND state IN ('current', 'next')`;
  return Object.fromEntries(rows.map(({ id, state }) => [state, id]));
}

/** Stores a new data key; false when another process was first: there is one `current` and one `next`. */
export async function insertDataKey(
  sql: Sql,
  key: {
    id: string;
    wrapped_key: Uint8Array;
    wrapper_key_id: string;
    environment: string;
    state: DataKeyState;
  },
): Promise<boolean> {
  const inserted = await sql`INSERT INTO pds_data_keys ${sql(key)} ON CONFLICT DO NOTHING`;
  return inserted.count > 0;
}

/**
 * Retires `currentId` and makes the next data key the current one; changes nothing when another process has
 * done it already, or when there is no next one. Two statements, because a unique index is checked row by row.
 */
export async function promoteNextDataKey(sql: Sql, environment: string, currentId: string): Promise<void> {
  await sql.begin(async (tx) => {
    const retired = await tx`
      UPDATE pds_data_keys SET state = 'retired'
      WHERE id = ${currentId} AND state = 'current'
        AND EXISTS (SELECT 1 FROM pds_data_keys WHERE environment = ${environment} AND state = 'next')`;
    if (retired.count === 0) return;
    await tx`
      UPDATE pds_data_keys SET state = 'current' WHERE environment = ${environment} AND state = 'next'`;
  });
}
