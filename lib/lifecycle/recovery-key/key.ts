import type { Queryable, Transaction } from '../../db/connect.ts';

/** The recovery key of a did:web as it is at one moment. */
export type RegisteredKey = {
  /** In force; null: none. */
  key: string | null;
  /** Before this the session can still take back what it asks for, and the key itself. */
  trustedAt: Date | null;
  /** What takes its place, and when; `key` null: nothing does. */
  next: { key: string | null; at: Date } | null;
};

type Row = {
  did_key: string | null;
  trusted_at: Date | null;
  next_did_key: string | null;
  next_at: Date | null;
};

/** What holds at this moment: what was to take a key's place and is due has taken it, and had its 72 hours. */
export async function readRegisteredKey(sql: Queryable, userId: string, now: Date): Promise<RegisteredKey> {
  const [row] = await sql<Row[]>`
    SELECT did_key, trusted_at, next_did_key, next_at FROM pds_recovery_keys WHERE user_id = ${userId}`;
  if (row === undefined) return { key: null, trustedAt: null, next: null };
  const { did_key: key, trusted_at: trustedAt, next_did_key, next_at } = row;
  if (next_at === null) return { key, trustedAt, next: null };
  if (next_at > now) return { key, trustedAt, next: { key: next_did_key, at: next_at } };
  return { key: next_did_key, trustedAt: next_did_key === null ? null : next_at, next: null };
}

/** The same, and until the end of the transaction nobody else changes it. */
export async function holdRegisteredKey(tx: Transaction, userId: string, now: Date): Promise<RegisteredKey> {
  await tx`INSERT INTO pds_recovery_keys (user_id) VALUES (${userId}) ON CONFLICT (user_id) DO NOTHING`;
  await tx`SELECT FROM pds_recovery_keys WHERE user_id = ${userId} FOR UPDATE`;
  return readRegisteredKey(tx, userId, now);
}

export async function storeRegisteredKey(
  tx: Transaction,
  userId: string,
  { key, trustedAt, next }: RegisteredKey,
): Promise<void> {
  await tx`
    UPDATE pds_recovery_keys SET
      did_key = ${key}, trusted_at = ${trustedAt}, next_did_key = ${next?.key ?? null}, next_at = ${next?.at ?? null}
    WHERE user_id = ${userId}`;
}
