import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../db/connect.ts';
import { findIdentity, type IdentityInfo } from './info.ts';

const POLL_MS = 200;

/** Looks at a member's identity until it is no longer pending, or for `timeoutMs`; then says what is. */
export async function waitUntilSettled(
  deps: { sql: Queryable; provisioningEnabled: boolean },
  userId: string,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<IdentityInfo> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const identity = await findIdentity(deps, userId);
    if (identity.status !== 'pending' || performance.now() + POLL_MS > deadline) return identity;
    await sleep(POLL_MS, undefined, { signal });
  }
}
