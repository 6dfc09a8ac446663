import type { JsonValue, Queryable } from '../../db/connect.ts';

export type ChangeKind =
  | 'rotate_keys'
  | 'rename'
  | 'revoke'
  | 'come_back'
  | 'delete'
  | 'join'
  | 'move'
  | 'hand_over';
export type Facts = { [name: string]: JsonValue };

/** A change under way, as its worker knows it. `step` is the last one that is done and stored; first `requested`. */
export type Change = {
  id: number;
  user_id: string;
  pnptv_uuid: string;
  kind: ChangeKind;
  step: string;
  /** What was asked for, and what was found out on the way: never a secret. */
  wish: Facts;
  progress: Facts;
  /** Secrets that it has made, by name: see sealed.ts. */
  sealed: Readonly<Record<string, string>>;
  data_key_id: string | null;
  /** A user id, `system`, or `recovery_key`. */
  requested_by: string;
  due_at: Date;
  /** Somebody wants it taken back: whoever is at it does so as long as that can be. */
  cancel_wanted_at: Date | null;
  /** How the worker that knows it ended it; it holds once the transaction does. */
  outcome?: 'done' | 'cancelled' | 'failed';
};

const columns = (sql: Queryable) =>
  sql`id, user_id, pnptv_uuid, kind, step, wish, progress, sealed, data_key_id, requested_by, due_at, cancel_wanted_at`;

/** The change that a member has under way, if any. */
export async function readOpenChange(sql: Queryable, userId: string): Promise<Change | undefined> {
  const [change] = await sql<Change[]>`
    SELECT ${columns(sql)} FROM pds_changes WHERE user_id = ${userId} AND ended_at IS NULL`;
  return change;
}

/** How the audit log names who asked: whoever signs with the recovery key is the member, and its details say so. */
export function authorOf(by: string, userId: string): { createdBy: string; by_recovery_key?: true } {
  return by === 'recovery_key' ? { createdBy: userId, by_recovery_key: true } : { createdBy: by };
}

/** A time that was noted in `progress`. */
export function timeOf({ progress }: Pick<Change, 'progress'>, name: string): Date | undefined {
  const noted = progress[name];
  return typeof noted === 'string' ? new Date(noted) : undefined;
}
