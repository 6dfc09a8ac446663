import { appendAudit } from '../../audit/append.ts';
import type { Transaction } from '../../db/connect.ts';
import { type Notice, notifyOperators } from '../../operators/notify.ts';
import { storeHealthChecks } from '../../pds/health-checks.ts';
import { FAILURES_TO_INACCESSIBLE } from '../../pds/health-problems.ts';
import { sealSession } from '../account/seal-session.ts';
import { updateIdentity } from '../identity.ts';
import { openAccountHost } from '../providers/provider-access.ts';
import { CheckFailed } from '../queue/outcome.ts';
import { completeRow } from '../queue/settle.ts';
import type { Run } from '../run.ts';
import { type Checked, checkIdentity } from './check-identity.ts';

const RECHECK_MS = 60_000;

/**
 * Checks for real whether the member's identity works, and stores what was found, with fresh tokens if he got some.
 * A PDS that is too busy says nothing about the identity: the check waits. A failed one is repeated a minute later;
 * the third in a row makes the identity inaccessible. What changes for the member goes into the audit log, and operators
 * hear of whoever becomes inaccessible, once.
 */
export async function verify(run: Run): Promise<void> {
  const { sql, identity, work, now } = run;
  run.host = await openAccountHost(run);
  const checked = await checkIdentity(run, run.host);
  const { checks, problem, session, trouble } = checked;
  run.host.trouble = trouble;
  const renewed = session && {
    ...(await sealSession(run, session)),
    credentials_checked_at: now(),
  };
  if (trouble?.fault === 'throttled') {
    // Nothing was found out; but tokens that were renewed meanwhile are the only ones from now on.
    await sql.begin(async (tx) => {
      if (renewed) await updateIdentity(tx, identity, renewed);
      await keepPasswordReset(tx, run, checked);
    });
    throw trouble;
  }
  const accessible = checks.every(({ status }) => status === 'success');
  const failures = accessible ? 0 : identity.consecutive_failures + 1;
  const givenUp = failures >= FAILURES_TO_INACCESSIBLE;
  const before = identity.verification_status;
  const after = accessible ? 'accessible' : givenUp ? 'inaccessible' : before;
  const settled = accessible || givenUp;
  const { user_id: userId, pnptv_uuid: pnptvUuid } = identity;

  await sql.begin(async (tx) => {
    if (settled) await completeRow(tx, work);
    await updateIdentity(tx, identity, {
      ...renewed,
      verification_status: after,
      consecutive_failures: failures,
      health_problem: accessible ? null : (problem ?? 'CHECK_FAILED'),
      ...(accessible && { last_verified_at: now() }),
      ...(settled && { lease_until: null }),
    });
    await storeHealthChecks(
      tx,
      checks.map((check) => ({ ...check, subject: { userId, pnptvUuid } })),
    );
    await keepPasswordReset(tx, run, checked);
    if (after !== before) await logChange(tx, run, { before, after, checked });
  });
  if (!settled) throw new CheckFailed(new Date(now().getTime() + RECHECK_MS), trouble);
}

type Change = { before: string; after: string; checked: Checked };

async function logChange(tx: Transaction, run: Run, { before, after, checked }: Change) {
  const { user_id: userId, pnptv_uuid: pnptvUuid, health_problem } = run.identity;
  await appendAudit(tx, {
    userId,
    pnptvUuid,
    action: 'verified',
    status: after === 'accessible' ? 'success' : 'failed',
    details: {
      before,
      after,
      failed_checks: checked.checks
        .filter(({ status }) => status !== 'success')
        .map(({ checkType }) => checkType),
    },
    ...(health_problem && { errorCode: health_problem }),
  });
  if (after === 'inaccessible') await notifyOperators(tx, noticeOf(run));
}

/** A PDS or a PLC directory that is down concerns many members: that is one thing to see to. */
function noticeOf({ identity, outside }: Run): Notice {
  const { pnptv_uuid, health_problem, provider_id } = identity;
  if (health_problem === 'PLC_DOWN') return { kind: 'plc_directory_down', subject: outside.plcUrl };
  if (health_problem === 'PROVIDER_DOWN' && provider_id !== null) {
    return { kind: 'provider_inaccessible', subject: provider_id };
  }
  return { kind: 'identity_inaccessible', subject: pnptv_uuid };
}

/** What was backed up before holds a password that is not the account's any more, or never was ours. */
async function keepPasswordReset(tx: Transaction, run: Run, { passwordReset }: Checked) {
  if (!passwordReset) return;
  const { identity } = run;
  await run.backUp(tx, identity.user_id);
  await appendAudit(tx, {
    userId: identity.user_id,
    pnptvUuid: identity.pnptv_uuid,
    action: 'updated',
    status: 'success',
    details: { change: 'The account’s sign-in was not the one that we keep; it is that again.' },
  });
}
