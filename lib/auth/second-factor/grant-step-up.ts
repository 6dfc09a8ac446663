import { appendAudit } from '../../audit/append.ts';
import type { Secrets } from '../../config.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { Presented } from '../../http/request.ts';
import type { Vault } from '../../vault/vault.ts';
import { type Member, renewToken } from '../session/session.ts';
import { type StepUpTarget, storedTarget } from '../step-up-target.ts';
import { type Factor, readFactor } from './factor.ts';
import { countWrongCode, type FittingCode, recogniseCode, spendCode } from './spend-code.ts';

/** How long a step-up is good for. */
const LIFETIME = '5 minutes';

type Deps = { sql: Sql; vault: Vault; sessionSecrets: Secrets; now: Date };
type Wish = { member: Member; presented: Presented; operation: string; target: StepUpTarget; code: string };
type Granted = { token: string; expiresAt: Date };

/**
 * Lets a member do one operation on one target, once, in the next 5 minutes and from this session, for a code of his
 * second factor. In one transaction the code is used up, the session gets a new token and the step-up is stored; of any
 * number of requests with one code at the same time one succeeds. Throws `TOTP_NOT_ENROLLED` (409), `CODE_INVALID` and
 * `TOTP_LOCKED` (403), and `SESSION_REQUIRED` (401), with the code still good, when the session got another token meanwhile.
 */
export async function grantStepUp({ sql, sessionSecrets, ...deps }: Deps, wish: Wish): Promise<Granted> {
  const { member, presented, operation, target } = wish;
  const factor = await readFactor(sql, member.id);
  if (!factor.confirmed_at) throw apiError('TOTP_NOT_ENROLLED');
  const code = await recogniseCode(deps, factor, wish.code);
  const granted = await sql.begin(async (tx): Promise<Granted | undefined> => {
    if (code === undefined || !(await spendCode(tx, factor, code))) {
      await countWrongCode(tx, factor);
      await noteRefusal(tx, factor, wish);
      return undefined;
    }
    const { token } = presented;
    const next = await renewToken(tx, sessionSecrets, { sessionId: member.session_id, token });
    const [stepUp] = await tx<[{ expires_at: Date }]>`
      INSERT INTO step_ups (session_id, user_id, operation, target, expires_at)
      VALUES (${member.session_id}, ${member.id}, ${operation}, ${storedTarget(target)}, now() + ${LIFETIME}::interval)
      RETURNING expires_at`;
    await noteRecoveryCode(tx, factor, wish, code);
    return { token: next, expiresAt: stepUp.expires_at };
  });
  if (granted === undefined) throw apiError('CODE_INVALID');
  return granted;
}

/** Once an hour at most: the member shall see that somebody tries, and nobody shall fill his log. */
async function noteRefusal(tx: Transaction, factor: Factor, wish: Wish): Promise<void> {
  const noted = await tx`
    SELECT FROM pds_provisioning_log
    WHERE pnptv_uuid = ${factor.pnptv_uuid} AND action = 'step_up_refused' AND created_at > now() - interval '1 hour' LIMIT 1`;
  if (noted.count > 0) return;
  await appendAudit(tx, {
    ...entryOf(factor, wish),
    action: 'step_up_refused',
    status: 'failed',
    errorCode: 'CODE_INVALID',
  });
}

async function noteRecoveryCode(
  tx: Transaction,
  factor: Factor,
  wish: Wish,
  code: FittingCode,
): Promise<void> {
  if ('recoveryHash' in code) {
    await appendAudit(tx, { ...entryOf(factor, wish), action: 'recovery_code_used', status: 'success' });
  }
}

function entryOf({ user_id, pnptv_uuid }: Factor, { member, operation, target }: Wish) {
  const details = { operation, target, session_id: member.session_id };
  return { userId: user_id, pnptvUuid: pnptv_uuid, details, createdBy: user_id };
}
