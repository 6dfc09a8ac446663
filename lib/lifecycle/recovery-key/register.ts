import { type AuditEntry, appendAudit } from '../../audit/append.ts';
import { sayTo } from '../../auth/bot/tell-member.ts';
import { type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { readOpenChange } from '../changes/change.ts';
import type { Notice } from '../changes/notice.ts';
import { holdRegisteredKey, type RegisteredKey, storeRegisteredKey } from './key.ts';
import type { Owner } from './owner.ts';
import { isSigned } from './proof.ts';
import type { Changed } from './set.ts';
import { ofRegistered } from './show.ts';
import { keyStatement } from './words.ts';

type Deps = { sql: Sql; notice: Pick<Notice, 'recoveryKey'>; now: () => Date };

/**
 * Registers the recovery key of a did:web. Confirmed by the one before, it takes its place at once and is trusted as that
 * was. Without, it does so in 72 hours; at once where none is trusted yet, and then it is itself trusted only after 72
 * hours: who has the session for a while must not come by a key that the session cannot take away any more.
 * The key that is there already stays, and what was to take its place does not.
 *
 * Throws `RECOVERY_KEY_NOT_CONFIRMED` (400), and `CHANGE_IN_PROGRESS` (409) while the key before has the identity handed
 * over: who has nothing but the session must not outwait it.
 */
export function register(
  { notice, ...deps }: Deps,
  owner: Owner,
  {
    publicKey,
    confirmation,
    stepUp,
  }: { publicKey: string; confirmation: string | undefined; stepUp: StepUpNeed },
): Promise<Changed> {
  return change(deps, owner, stepUp, async (tx, held, at) => {
    if (confirmation !== undefined) {
      const statement = keyStatement(owner.pds_did, publicKey);
      if (held.key === null || !isSigned(held.key, statement, confirmation))
        throw apiError('RECOVERY_KEY_NOT_CONFIRMED', { fields: ['confirmation'] });
      return { ...held, key: publicKey, next: null };
    }
    if (held.key === publicKey) return { ...held, next: null };
    if (!isTrusted(held, at)) return { key: publicKey, trustedAt: after(at, notice), next: null };
    if (held.next?.key === publicKey) return held;
    await expectNotInUse(tx, owner);
    return { ...held, next: { key: publicKey, at: after(at, notice) } };
  });
}

/**
 * Takes a key away: one that is to take the place of another, or is not trusted yet, at once; a trusted one in 72 hours.
 * Throws `RECOVERY_KEY_NOT_FOUND` (404), and `CHANGE_IN_PROGRESS` as `register` does.
 */
export function unregister(
  { notice, ...deps }: Deps,
  owner: Owner,
  { key, stepUp }: { key: string; stepUp: StepUpNeed },
): Promise<Changed> {
  return change(deps, owner, stepUp, async (tx, held, at) => {
    if (held.next?.key === key) return { ...held, next: null };
    if (held.key !== key) throw apiError('RECOVERY_KEY_NOT_FOUND');
    if (!isTrusted(held, at)) return { key: null, trustedAt: null, next: null };
    if (held.next !== null && held.next.key === null) return held;
    await expectNotInUse(tx, owner);
    return { ...held, next: { key: null, at: after(at, notice) } };
  });
}

/** Whether what this key asks for is out of the session's reach. */
export function isTrusted({ trustedAt }: RegisteredKey, at: Date): boolean {
  return trustedAt !== null && trustedAt <= at;
}

/** In one transaction with the step-up, the audit log, and what the member is told. */
async function change(
  { sql, now }: Omit<Deps, 'notice'>,
  { user_id: userId, pnptv_uuid: pnptvUuid, pds_did }: Owner,
  stepUp: StepUpNeed,
  next: (tx: Transaction, held: RegisteredKey, at: Date) => Promise<RegisteredKey>,
): Promise<Changed> {
  return sql.begin(async (tx) => {
    const at = now();
    const held = await holdRegisteredKey(tx, userId, at);
    const wanted = await next(tx, held, at);
    await useStepUp(tx, stepUp);
    const changed = JSON.stringify(wanted) !== JSON.stringify(held);
    if (changed) {
      await storeRegisteredKey(tx, userId, wanted);
      await sayTo(tx, userId, recoveryKeyNews(wanted));
      const details = { ...noted(wanted), session_id: stepUp.sessionId };
      await appendAudit(tx, { userId, pnptvUuid, ...ENTRY, details, createdBy: userId });
    }
    return { ...ofRegistered(pds_did, wanted), changed };
  });
}

const ENTRY = { action: 'recovery_key_changed', status: 'success' } as const satisfies Partial<AuditEntry>;

/** For the log: the keys that hold from now on, and from when on others do. */
function noted({ key, next }: RegisteredKey) {
  return { recovery_key: key, ...(next && { next_recovery_key: next.key, takes_effect_at: next.at }) };
}

/** What the member is told whenever something about his key changes. */
export function recoveryKeyNews({ next }: Pick<RegisteredKey, 'next'>) {
  return { kind: 'recovery_key', details: { at: next?.at.toISOString() ?? null } } as const;
}

/** The row before the change: `recover` has them in the same order. */
async function expectNotInUse(tx: Transaction, { user_id }: Owner): Promise<void> {
  const open = await readOpenChange(tx, user_id);
  if (open?.requested_by === 'recovery_key') throw apiError('CHANGE_IN_PROGRESS');
}

function after(at: Date, { recoveryKey }: Pick<Notice, 'recoveryKey'>): Date {
  return new Date(at.getTime() + recoveryKey * 1000);
}
