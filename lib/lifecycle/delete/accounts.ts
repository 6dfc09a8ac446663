import { notifyOperators } from '../../operators/notify.ts';
import { endOrphan } from '../../provisioning/orphans/reconcile.ts';
import { forgetOrphan, type Orphan, openOrphansOf } from '../../provisioning/orphans/rows.ts';
import { Parked } from '../../provisioning/queue/outcome.ts';
import type { Run } from '../../provisioning/run.ts';
import { advance } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { type AccountEnd, endForeignAccount, endLeftBehind, endOwnAccount, isUnreadable } from './account.ts';
import { atProvider, isOfProvider } from './at-provider.ts';

/** So long what does not answer, or not as it should, is waited for; who wants to be forgotten is not kept for ever by what is gone. */
const PATIENCE_MS = 7 * 24 * 3600_000;

type End = AccountEnd | 'unreachable';
type Ends = { [provider: string]: End };

/**
 * Ends every account that a member has or may have: where he lives, what creations of unknown outcome may have left, and
 * what lies at other providers where we have the rights of an admin. What is done is stored one by one. Operators are told
 * of what only they can delete. Of who has left for a PDS of his own choice only what he left behind at ours is ended: where
 * he lives now is no business of ours. Throws Parked while a provider has to be waited for.
 */
export async function endAccounts(run: Run, change: Change): Promise<void> {
  const { identity, providers } = run;
  const { provider_id: home, pds_did: did, left_at } = identity;
  const endAtHome = left_at === null ? endOwnAccount : endLeftBehind;
  if (home !== null) await once(run, change, home, () => endAtHome(run, home));
  const orphans = await openOrphansOf(run.sql, identity.user_id);
  for (const orphan of orphans) await settle(run, change, orphan);
  if (did === null || left_at !== null) return;
  const foreign = await foreignPlaces(run);
  for (const { id, adminPassword } of providers) {
    if (id === home || adminPassword === undefined || foreign.has(id)) continue;
    await once(run, change, id, () => endForeignAccount(run, id, did));
  }
}

/** Where an account with his DID lies that our password does not open: it is not touched, and operators know of it. */
async function foreignPlaces({ sql, identity }: Run): Promise<ReadonlySet<string>> {
  const rows = await sql<{ provider_id: string }[]>`
    SELECT provider_id FROM pds_possible_orphans WHERE user_id = ${identity.user_id} AND state = 'foreign'`;
  return new Set(rows.map(({ provider_id }) => provider_id));
}

/** Once for a provider, however often the work is begun. */
async function once(
  run: Run,
  change: Change,
  providerId: string,
  end: () => Promise<End | undefined>,
): Promise<void> {
  if (endsOf(change)[providerId] !== undefined) return;
  const became = await end().catch((error) => {
    if (!isOfProvider(error) || !isOutOfPatience(run, change)) throw error;
    return 'unreachable' as const;
  });
  if (became === undefined) return;
  await run.sql.begin(async (tx) => {
    await advance(tx, run, change, { progress: { accounts: { ...endsOf(change), [providerId]: became } } });
    if (became === 'deleted' || became === 'absent') return;
    // The address of the account is random: it leads the PDS's operator to it and says nothing of the member.
    const subject = `${run.identity.account_email ?? run.identity.pnptv_uuid} at ${providerId}: ${became}`;
    await notifyOperators(tx, { kind: 'account_left', subject });
  });
}

/** What reconciliation does for the living, whatever else he has: nobody moves in any more. */
async function settle(run: Run, change: Change, orphan: Orphan & { create_started_at: Date }): Promise<void> {
  const { now, times } = run;
  const over = new Date(orphan.create_started_at.getTime() + times.quarantine * 1000);
  if (over > now()) throw new Parked('outcome_unknown', over);
  try {
    const end = await atProvider(run, orphan.provider_id, (host) => endOrphan(run, host, orphan));
    if (end === undefined)
      throw new Parked('outcome_unknown', new Date(now().getTime() + times.quarantine * 1000));
  } catch (error) {
    const isHopeless = isUnreadable(error) || (isOfProvider(error) && isOutOfPatience(run, change));
    if (!isHopeless) throw error;
    await run.sql.begin(async (tx) => {
      await forgetOrphan(tx, orphan);
      const became: End = isUnreadable(error) ? 'left' : 'unreachable';
      const subject = `${run.identity.account_email ?? orphan.pnptv_uuid} at ${orphan.provider_id}: ${became}`;
      await notifyOperators(tx, { kind: 'account_left', subject });
    });
  }
}

/** What became of them so far, by provider. */
export function endsOf({ progress }: Pick<Change, 'progress'>): Ends {
  return (progress.accounts ?? {}) as Ends;
}

export function isOutOfPatience({ now }: Pick<Run, 'now'>, { due_at }: Pick<Change, 'due_at'>): boolean {
  return now().getTime() > due_at.getTime() + PATIENCE_MS;
}
