import { randomUUID } from 'node:crypto';
import { readTarget } from '../../../lib/auth/second-factor/target.ts';
import type { StepUpNeed } from '../../../lib/auth/step-up.ts';
import { type StepUpTarget, storedTarget } from '../../../lib/auth/step-up-target.ts';
import type { Sql } from '../../../lib/db/connect.ts';

/** As if a member had just shown his second factor for this, in the newest session that he has. */
export async function steppedUp(
  db: Sql,
  userId: string,
  operation: string,
  target: StepUpTarget = null,
): Promise<StepUpNeed> {
  const stored = storedTarget(readTarget(operation, target));
  const [made] = await db<{ session_id: string }[]>`
    INSERT INTO step_ups (session_id, user_id, operation, target, expires_at)
    SELECT id, user_id, ${operation}, ${stored}, now() + interval '5 minutes' FROM sessions
    WHERE user_id = ${userId} ORDER BY created_at DESC LIMIT 1 RETURNING session_id`;
  if (!made) throw new Error(`${userId} has no session`);
  return { userId, sessionId: made.session_id, operation, target: stored, used: false };
}

/** The same for one who has logged in just for this. */
export async function loggedInAndSteppedUp(
  db: Sql,
  userId: string,
  operation: string,
  target: StepUpTarget = null,
): Promise<StepUpNeed> {
  await db`
    INSERT INTO sessions (user_id, token_hmac, login_method, expires_at, created_at)
    VALUES (${userId}, sha256(${randomUUID()}::bytea), 'widget', now() + interval '1 day', clock_timestamp())`;
  return steppedUp(db, userId, operation, target);
}
