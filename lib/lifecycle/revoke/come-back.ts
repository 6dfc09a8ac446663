import { tellMember } from '../../auth/bot/tell-member.ts';
import { sessionOf } from '../../provisioning/account/adopt.ts';
import { sealSession } from '../../provisioning/account/seal-session.ts';
import { openAccountHost } from '../../provisioning/providers/provider-access.ts';
import { enqueue } from '../../provisioning/queue/queue.ts';
import type { Run } from '../../provisioning/run.ts';
import { endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import type { Perform } from '../changes/perform.ts';
import { UNCHECKED } from './revoke.ts';
import { switchAccount } from './switch.ts';

/**
 * Switches an identity on again: the PDS activates the account, and sees the right DID document. Also for a member who has
 * deactivated it there himself.
 */
export const comeBack: Perform = (run, change) =>
  switchAccount(run, change, { on: true, audit: 'updated', conclude: () => conclude(run, change) });

async function conclude(run: Run, change: Change): Promise<void> {
  const { sql, identity, now } = run;
  run.host ??= await openAccountHost(run);
  const tokens = await sealSession(run, await sessionOf(run, run.host));
  const { user_id: userId, status: before } = identity;
  run.followUp = await sql.begin(async (tx) => {
    const { queueId } = await enqueue(tx, { userId, action: 'verify', now: now() });
    const on = { status: 'active', ...tokens, credentials_checked_at: now(), ...UNCHECKED } as const;
    const audit = { action: 'updated', details: { change: 'status', before, after: 'active' } } as const;
    await endChange(tx, run, change, { outcome: 'done', identity: on }, audit);
    await tellMember(tx, userId, 'came_back');
    return queueId;
  });
}
