import { appendAudit } from '../audit/append.ts';
import type { PdsSession } from '../pds/client.ts';
import { checkIdentity, type HealthCheck } from './check-identity.ts';
import { updateIdentity } from './identity.ts';
import { CheckFailed } from './outcome.ts';
import { openAccountHost } from './provider-access.ts';
import { type Run, reserved } from './run.ts';
import { sealForMapping } from './secrets.ts';
import { completeRow } from './settle.ts';

/** Failed checks in a row after which an identity counts as inaccessible; one alone may be a restart. */
const FAILURES_TO_INACCESSIBLE = 3;
const RECHECK_MS = 60_000;

/**
 * Checks for real whether the member's identity works, and stores what was found, with fresh tokens if he got some.
 * A PDS that is too busy says nothing about the identity: the check waits. A failed one is repeated a minute later;
 * the third in a row makes the identity inaccessible. What changes for the member goes into the audit log.
 */
export async function verify(run: Run): Promise<void> {
  const { sql, identity, work, now } = run;
  const { data_key_id } = reserved(run);
  run.host = await openAccountHost(run);
  const { checks, session, trouble } = await checkIdentity(run, run.host);
  run.host.trouble = trouble;
  const tokens = session && (await sealTokens(run, data_key_id, session));
  if (trouble?.fault === 'throttled') {
    // Nothing was found out; but tokens that were renewed meanwhile are the only ones from now on.
    if (tokens) await updateIdentity(sql, identity, tokens);
    throw trouble;
  }
  const accessible = checks.every(({ status }) => status === 'success');
  const failures = accessible ? 0 : identity.consecutive_failures + 1;
  const givenUp = failures >= FAILURES_TO_INACCESSIBLE;
  const before = identity.verification_status;
  const after = accessible ? 'accessible' : givenUp ? 'inaccessible' : before;
  const settled = accessible || givenUp;

  await sql.begin(async (tx) => {
    if (settled) await completeRow(tx, work);
    await updateIdentity(tx, identity, {
      ...tokens,
      verification_status: after,
      consecutive_failures: failures,
      last_verified_at: now(),
      ...(settled && { lease_until: null }),
    });
    await tx`INSERT INTO pds_health_checks ${tx(checks.map((check) => rowOf(run, check)))}`;
    if (after !== before) {
      await appendAudit(tx, {
        userId: identity.user_id,
        pnptvUuid: identity.pnptv_uuid,
        action: 'verified',
        status: accessible ? 'success' : 'failed',
        details: {
          before,
          after,
          failed_checks: checks.filter(isFailed).map(({ check_type }) => check_type),
        },
      });
    }
  });
  if (!settled) throw new CheckFailed(new Date(now().getTime() + RECHECK_MS), trouble);
}

async function sealTokens({ vault, identity }: Run, dataKeyId: string, session: PdsSession) {
  const [pds_access_token, pds_refresh_token] = await Promise.all([
    sealForMapping(vault, dataKeyId, identity, 'pds_access_token', session.accessJwt),
    sealForMapping(vault, dataKeyId, identity, 'pds_refresh_token', session.refreshJwt),
  ]);
  return { pds_access_token, pds_refresh_token };
}

function rowOf({ sql, identity }: Run, check: HealthCheck) {
  const { user_id, pnptv_uuid, pds_endpoint } = identity;
  return { user_id, pnptv_uuid, pds_endpoint, ...check, details: sql.json(check.details) };
}

function isFailed({ status }: HealthCheck): boolean {
  return status !== 'success';
}
