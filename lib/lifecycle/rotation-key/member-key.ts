import { type AuditEntry, appendAudit } from '../../audit/append.ts';
import { sayTo } from '../../auth/bot/tell-member.ts';
import { type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Transaction } from '../../db/connect.ts';
import { documentedCode } from '../../http/answer.ts';
import { apiError } from '../../http/error-codes.ts';
import type { PlcData } from '../../identity/plc/data.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { backUpCredentials } from '../custody/backup.ts';
import type { asPlcOwner } from '../recovery-key/owner.ts';
import { recoveryKeyNews } from '../recovery-key/register.ts';
import type { Changed } from '../recovery-key/set.ts';
import { ofLog } from '../recovery-key/show.ts';
import { type ChangeDeps, changeRotationKeys } from './change.ts';
import { holderOf, readLog } from './show.ts';

type Owner = ReturnType<typeof asPlcOwner>;
type Wish = { publicKey: string; stepUp: StepUpNeed };

/**
 * Puts a key of the member's own, which he has shown to hold, at the top of the rotation keys of his did:plc, in the
 * place of one that he had there before. A key that is at the top already stays there, and nothing is written: so whoever
 * got no answer asks again. Throws what `changeRotationKeys` throws.
 */
export function putOnTop(deps: ChangeDeps, owner: Owner, { publicKey, stepUp }: Wish): Promise<Changed> {
  const ours = `did:key:${owner.rotation_public_key}`;
  return change(deps, { owner, ours, publicKey, stepUp }, (log) => withKeyOnTop(log, { ours, publicKey }));
}

/** Takes a key of the member's own out again. Throws `RECOVERY_KEY_NOT_FOUND` (404), too. */
export function takeOut(deps: ChangeDeps, owner: Owner, { publicKey, stepUp }: Wish): Promise<Changed> {
  const ours = `did:key:${owner.rotation_public_key}`;
  return change(deps, { owner, ours, publicKey, stepUp }, (log, isFirst) => {
    const { data } = log;
    if (!data?.rotationKeys.includes(publicKey) || holderOf(publicKey, log, ours) !== 'member') {
      if (isFirst) throw apiError('RECOVERY_KEY_NOT_FOUND');
      return undefined;
    }
    expectOurs(data, ours);
    return { ...data, rotationKeys: data.rotationKeys.filter((key) => key !== publicKey) };
  });
}

/**
 * Before our key is opened, one transaction uses up the step-up, writes a `recovery` backup and the intent into the audit
 * log, and has the bot tell the member: afterwards it may be that nobody hears whether it happened. What became of it
 * follows in the log. `next`: what the DID is to come to; undefined when it does already.
 */
async function change(
  deps: ChangeDeps,
  { owner, ours, publicKey, stepUp }: Wish & { owner: Owner; ours: string },
  next: (log: PlcLog, isFirst?: boolean) => PlcData | undefined,
): Promise<Changed> {
  const { sql, vault, directory, now } = deps;
  const before = await readLog(directory, owner.pds_did);
  if (next(before, true) === undefined) {
    await sql.begin((tx) => useStepUp(tx, stepUp));
    return { ...ofLog(before, { ours, now: now() }), changed: false };
  }
  const note = (tx: Transaction, entry: Pick<AuditEntry, 'status' | 'errorCode'>) =>
    appendAudit(tx, {
      userId: owner.user_id,
      pnptvUuid: owner.pnptv_uuid,
      action: 'recovery_key_changed',
      ...entry,
      details: { did_key: publicKey, session_id: stepUp.sessionId },
      createdBy: owner.user_id,
    });
  await sql.begin(async (tx) => {
    await useStepUp(tx, stepUp);
    if (owner.status === 'active') await backUpCredentials({ tx, vault }, owner.user_id, 'recovery');
    await sayTo(tx, owner.user_id, recoveryKeyNews({ next: null }));
    await note(tx, { status: 'pending' });
  });
  const after = await changeRotationKeys(deps, { owner, head: before.head, next }).catch(async (error) => {
    await sql.begin((tx) => note(tx, { status: 'failed', errorCode: documentedCode(error) }));
    throw error;
  });
  await sql.begin((tx) => note(tx, { status: 'success' }));
  return { ...ofLog(after, { ours, now: now() }), changed: true };
}

/**
 * What the DID comes to with the member's key before ours and those of the PDS; one that he had before gives way.
 * Undefined when it is at the top already. Throws `ROTATION_KEYS_NOT_OURS` (409) when we have no say in it any more.
 */
export function withKeyOnTop(
  log: PlcLog,
  { ours, publicKey }: { ours: string; publicKey: string },
): PlcData | undefined {
  const { data } = log;
  if (data?.rotationKeys[0] === publicKey) return undefined;
  expectOurs(data, ours);
  const others = data.rotationKeys.filter(
    (key) => holderOf(key, log, ours) !== 'member' && key !== publicKey,
  );
  return { ...data, rotationKeys: [publicKey, ...others] };
}

function expectOurs(data: PlcData | undefined, ours: string): asserts data is PlcData {
  if (!data?.rotationKeys.includes(ours)) throw apiError('ROTATION_KEYS_NOT_OURS');
}
