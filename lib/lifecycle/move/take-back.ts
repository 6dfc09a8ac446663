import { tellMember } from '../../auth/bot/tell-member.ts';
import { updateIdentity } from '../../provisioning/identity.ts';
import { LOOK_BACK_MS, sealLeft, writeDown } from '../../provisioning/orphans/left.ts';
import { enqueue } from '../../provisioning/queue/queue.ts';
import type { Run } from '../../provisioning/run.ts';
import { SETTLING_MS } from '../../provisioning/steps/identity_published.ts';
import { advance, type End, endChange } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { isWornOut } from '../changes/patience.ts';
import { openFromChange } from '../changes/sealed.ts';
import { thaw } from './freeze.ts';
import { isFrozen, NO_WAY_BACK } from './progress.ts';
import { hasLeft } from './publish-plc.ts';
import { NEW_PASSWORD, runAt } from './stations.ts';

/** The name in `progress` of: an operator has taken it back. */
export const CALLED_BACK = 'called_back';
const BY_AN_OPERATOR = { code: 'MOVE_CALLED_BACK', message: 'An operator has taken the move back.' };

/** How a move ends that does not reach its aim. */
export type Retreat = Exclude<End, { outcome: 'done' }>;

/** What was decided before, and is not done yet. */
export function retreatOf({ progress }: Change): Retreat | undefined {
  return (progress.retreat as Retreat | null | undefined) ?? undefined;
}

/**
 * Takes back all of a move: the old account is active again, the document is kept again as always, and the account at
 * the other PDS, if there is or may be one, is left to the reconciler of orphans, which deletes it, or sees that it is
 * deactivated. That it is to be is stored first, so that whoever comes next goes on with it. False, and it is to go on,
 * when the PLC directory names the new PDS already.
 * An old PDS that does not let itself be activated for a day is left as it is, and so is what was carried over.
 */
export async function takeBack(run: Run, change: Change, retreat: Retreat): Promise<boolean> {
  if (retreatOf(change) === undefined) await advance(run.sql, run, change, { progress: { retreat } });
  if (await hasLeft(run, change)) {
    await advance(run.sql, run, change, { progress: { retreat: null, [NO_WAY_BACK]: true } });
    return false;
  }
  const isOpen = !isFrozen(change) || (await isThawed(run, change));
  const { sql, identity, now } = run;
  const { user_id: userId } = identity;
  const left = await leftThere(run, change);
  const end = isOpen ? retreat : LEFT_CLOSED;
  await sql.begin(async (tx) => {
    await enqueue(tx, { userId, action: 'verify', now: now() });
    if (left) await writeDown(tx, left, isOpen ? {} : keptFrom(change, now()));
    // As all the time: who gave up before `prepared` has changed nothing.
    await updateIdentity(tx, identity, {
      create_started_at: null,
      document_settles_at: new Date(now().getTime() + SETTLING_MS),
    });
    const why = end.outcome === 'failed' ? end : change.progress[CALLED_BACK] === true && BY_AN_OPERATOR;
    if (why) await tellMember(tx, userId, 'move_failed', { code: why.code, message: why.message });
    await endChange(tx, run, change, end, {
      action: 'moved',
      details: { to: String(change.wish.provider), step: change.step },
    });
  });
  return true;
}

const LEFT_CLOSED: Retreat = {
  outcome: 'failed',
  code: 'MOVE_NOT_TAKEN_BACK',
  message:
    'Your present PDS has not let us activate your account again for a day. When it is back, revoke your identity and come back. If it does not come back, tell an operator within 30 days: so long the other PDS keeps what was carried over.',
};

/**
 * What nobody can read at the old PDS may be all that there is: it is kept for as long as anything left behind. Where the
 * document once named it, it is looked at soon all the same: active it must not stay.
 */
function keptFrom({ step }: Change, at: Date) {
  return step === 'returned' ? { movedAt: at } : { lookAt: new Date(at.getTime() + LOOK_BACK_MS) };
}

/** False when the old PDS has not let it be for a day: one that is gone must not keep its member from every other change. */
async function isThawed(run: Run, change: Change): Promise<boolean> {
  try {
    await thaw(run, change);
    return true;
  } catch (error) {
    if (!(await isWornOut(run, change, error))) throw error;
    return false;
  }
}

/** What there is, or may be, of him at the other PDS; undefined when nothing was ever asked for. */
async function leftThere(run: Run, change: Change) {
  if (change.step === 'requested') return undefined;
  const [row] = await run.sql<{ create_started_at: Date | null }[]>`
    SELECT create_started_at FROM user_pds_mapping WHERE user_id = ${run.identity.user_id}`;
  const startedAt = row?.create_started_at ?? (change.step === 'prepared' ? undefined : run.now());
  if (startedAt === undefined && change.progress.came_back !== true) return undefined;
  const password = await openFromChange(run.vault, change, NEW_PASSWORD);
  const there = await runAt(run, String(change.wish.provider), Buffer.from(password).toString('utf8'));
  return sealLeft(there, startedAt ?? run.now());
}
