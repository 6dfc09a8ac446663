import { updateIdentity } from '../identity.ts';
import type { Run } from '../run.ts';

/** Until when a createAccount that left and never came back may still be running; undefined when none did. */
export function quarantineEnd({ identity, times }: Run): Date | undefined {
  if (identity.create_started_at === null) return undefined;
  return new Date(identity.create_started_at.getTime() + times.quarantine * 1000);
}

/**
 * Counts the quarantine from now. A PDS that does not answer may have everything that we sent still unread before it
 * and begin with it when it wakes up: so what counts is the last time that it was found asleep.
 */
export async function restartQuarantine(run: Run): Promise<void> {
  const { sql, identity, now } = run;
  if (identity.provisioning_step !== 'reserved' || identity.create_started_at === null) return;
  await updateIdentity(sql, identity, { create_started_at: now() });
}
