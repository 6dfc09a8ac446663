import type { Queryable } from '../db/connect.ts';
import type { NoticeKind } from './notices.ts';

/** `subject`: what it is about, e.g. a provider or a member's pnptv_uuid; never a secret, never a member's name. */
export type Notice = { kind: NoticeKind; subject: string };

const LONGEST_SUBJECT = 200;

/**
 * Notes what operators are to be told, in the caller's transaction: from its commit on they will be, within a minute or,
 * if they heard of this kind in the last hour, after that (lib/lifecycle/tell-operators/). The same subject is noted once
 * until then. Waits for nobody.
 */
export async function notifyOperators(tx: Queryable, { kind, subject }: Notice): Promise<void> {
  const about = subject.slice(0, LONGEST_SUBJECT);
  await tx`
    INSERT INTO operator_notices (kind, subject)
    SELECT ${kind}::text, ${about}::text
    WHERE NOT EXISTS (SELECT FROM operator_notices WHERE kind = ${kind} AND subject = ${about})`;
}
