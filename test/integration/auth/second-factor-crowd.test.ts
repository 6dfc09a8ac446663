import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../../lib/app-error.ts';
import { verifyMember } from '../../../lib/audit/verify.ts';
import { disableTotp, renewRecoveryCodes } from '../../../lib/auth/second-factor/change.ts';
import { confirmTotp } from '../../../lib/auth/second-factor/confirm.ts';
import { enrollTotp } from '../../../lib/auth/second-factor/enroll.ts';
import { grantStepUp } from '../../../lib/auth/second-factor/grant-step-up.ts';
import { asMember, type Member, startSession, whoIsThere } from '../../../lib/auth/session/session.ts';
import { revokeOtherSessions } from '../../../lib/auth/session/sessions.ts';
import type { StepUpNeed } from '../../../lib/auth/step-up.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { documentedCode } from '../../../lib/http/answer.ts';
import { createLocalWrapper } from '../../../lib/vault/local-wrapper.ts';
import { createVault, type Vault } from '../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { ENCRYPTION_KEY, logIn, newcomer, SESSION_SECRET, setEnvironment } from '../http/app.ts';
import { codeOf, memberWithFactor } from './second-factor.ts';

/** Twenty requests at the same time, each with a connection of its own: what one of them does, the others meet. */
const CROWD = Array.from({ length: 20 });
const sessionSecrets = [SESSION_SECRET] as const;
const OPERATION = { operation: 'renewRecoveryCodes', target: null } as const;

let database: TestDatabase;
let sql: Sql;
let vault: Vault;

beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database);
  sql = connect(database.apiUrl, { max: CROWD.length });
  vault = createVault({ sql, wrapper: createLocalWrapper(ENCRYPTION_KEY), environment: 'test' });
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

type Session = { member: Member; token: string };
async function sessionOf(token: string): Promise<Session> {
  const member = await whoIsThere(asMember({ sql, sessionSecrets, adminIds: [] }, token));
  return { member, token };
}
async function newSession(userId: string): Promise<Session> {
  const session = { userId, loginMethod: 'widget', userAgent: undefined } as const;
  return sessionOf((await startSession({ tx: sql, sessionSecrets }, session)).token);
}
const tokenIn = (cookie: string) => cookie.slice(cookie.indexOf('=') + 1);
const stepUp = ({ member, token }: Session, code: string, by: Vault = vault) => {
  const presented = { token, as: 'cookie' } as const;
  return grantStepUp(
    { sql, vault: by, sessionSecrets, now: new Date() },
    { member, presented, code, ...OPERATION },
  );
};
/** As if confirmed: a step-up of this session for an operation. */
async function confirmed({ member }: Session, operation: string): Promise<StepUpNeed> {
  const { id: userId, session_id: sessionId } = member;
  await sql`
    INSERT INTO step_ups (session_id, user_id, operation, expires_at)
    VALUES (${sessionId}, ${userId}, ${operation}, now() + interval '5 minutes')`;
  return { userId, sessionId, operation, target: null, used: false };
}

/** How often each outcome was met. */
async function outcomes(requests: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const result of await Promise.allSettled(requests)) {
    const fulfilled = result.status === 'fulfilled';
    if (!fulfilled && !(result.reason instanceof AppError)) throw result.reason;
    const name = fulfilled ? 'done' : result.reason.code;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

async function stateOf(id: string) {
  const [{ pnptv_uuid } = { pnptv_uuid: '' }] = await sql<{ pnptv_uuid: string }[]>`
    SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = ${id}`;
  expect(await verifyMember(sql, pnptv_uuid)).toMatchObject({ intact: true });
  const [state] = await sql`
    SELECT (SELECT cardinality(recovery_code_hashes) FROM totp_factors WHERE user_id = ${id}) AS codes,
      (SELECT count(*) FROM step_ups WHERE user_id = ${id} AND used_at IS NULL) AS step_ups,
      (SELECT array_agg(action ORDER BY seq) FROM pds_provisioning_log WHERE user_id = ${id}) AS actions`;
  return state;
}

describe('of twenty at the same time', () => {
  it('one confirms an app, and has the recovery codes that count', async () => {
    const { id } = await memberWithFactor();
    await sql`DELETE FROM totp_factors WHERE user_id = ${id}`;
    const { member } = await newSession(id);
    const now = new Date();
    const { secret } = await enrollTotp({ sql, vault, issuer: 'pnptv.test', now }, member);
    const code = codeOf(secret);
    const requests = CROWD.map(() => confirmTotp({ sql, vault, now }, member, code));
    const counts = await outcomes(requests);
    expect(counts).toMatchObject({ done: 1 });
    expect(await stateOf(id)).toMatchObject({ codes: 10, actions: Array(2).fill('second_factor_enrolled') });
    const codes = (await Promise.allSettled(requests)).flatMap((one) =>
      one.status === 'fulfilled' ? one.value : [],
    );
    expect(await outcomes([stepUp(await newSession(id), codes[9] ?? '')])).toEqual({ done: 1 });
  });

  it.each([
    ['an app’s code', 10, [], ({ secret }: Shown) => codeOf(secret, 1)],
    ['a recovery code', 9, ['recovery_code_used'], ({ codes }: Shown) => codes[0]],
  ])('from as many sessions, one gets a step-up for %s', async (_, left, actions, codeFrom) => {
    const shown = await memberWithFactor();
    const sessions = await Promise.all(CROWD.map(() => newSession(shown.id)));
    const code = codeFrom(shown);
    const counts = await outcomes(sessions.map((session) => stepUp(session, code)));
    expect(counts).toEqual({ done: 1, CODE_INVALID: 19 });
    const state = await stateOf(shown.id);
    expect(state).toMatchObject({ codes: left, step_ups: 1 });
    const others = state?.actions.filter((action: string) => action !== 'step_up_refused');
    expect(others).toEqual(['second_factor_enrolled', ...actions]);
  });
  type Shown = Awaited<ReturnType<typeof memberWithFactor>>;

  it('in one session, one gets a new token, and the others keep their codes', async () => {
    const { id, cookie, codes } = await memberWithFactor();
    const session = await sessionOf(tokenIn(cookie));
    const counts = await outcomes(codes.map((code) => stepUp(session, code)));
    expect(counts).toEqual({ done: 1, SESSION_REQUIRED: 9 });
    expect(await stateOf(id)).toMatchObject({ codes: 9, step_ups: 1 });
  });

  it('one uses a step-up', async () => {
    const { id, cookie } = await memberWithFactor();
    const need = await confirmed(await sessionOf(tokenIn(cookie)), 'renewRecoveryCodes');
    const counts = await outcomes(CROWD.map(() => renewRecoveryCodes({ sql }, { ...need })));
    expect(counts).toEqual({ done: 1, STEP_UP_REQUIRED: 19 });
    expect(await stateOf(id)).toMatchObject({
      actions: ['second_factor_enrolled', 'recovery_codes_renewed'],
    });
  });

  it('none uses the step-up of a session that was ended while they were under way', async () => {
    const { id, cookie } = await memberWithFactor();
    const need = await confirmed(await sessionOf(tokenIn(cookie)), 'renewRecoveryCodes');
    await revokeOtherSessions(sql, (await newSession(id)).member);
    const counts = await outcomes(CROWD.map(() => renewRecoveryCodes({ sql }, { ...need })));
    expect(counts).toEqual({ STEP_UP_REQUIRED: 20 });
    expect(await stateOf(id)).toMatchObject({ codes: 10, step_ups: 1 });
  });

  it('each with a step-up of his own, one removes the factor, and nobody waits for another for ever', async () => {
    const { id } = await memberWithFactor();
    const sessions = await Promise.all(CROWD.map(() => newSession(id)));
    const needs = await Promise.all(sessions.map((session) => confirmed(session, 'disableTotp')));
    const counts = await outcomes(needs.map((need) => disableTotp({ sql }, need)));
    expect(counts).toEqual({ done: 1, STEP_UP_REQUIRED: 19 });
    expect(await stateOf(id)).toMatchObject({
      codes: null,
      step_ups: 0,
      actions: ['second_factor_enrolled', 'second_factor_removed'],
    });
  });
});

describe('without KMS', () => {
  const down = async () => Promise.reject(new AppError('KMS_UNAVAILABLE', 'no answer', { retryable: true }));
  const blind = () =>
    createVault({
      sql,
      environment: 'test',
      wrapper: { ...createLocalWrapper(ENCRYPTION_KEY), generateDataKey: down, unwrap: down },
    });

  it('nothing is set up, no code of an app is used up or counted as wrong, and a recovery code goes on', async () => {
    const { id, secret, codes } = await memberWithFactor();
    const fresh = newcomer();
    await logIn(fresh);
    const other = await newSession(String(fresh.id));
    const now = new Date();
    const enrolling = enrollTotp({ sql, vault: blind(), issuer: 'pnptv.test', now }, other.member);
    expect(documentedCode(await enrolling.catch((error) => error))).toBe('UNAVAILABLE');
    expect(await sql`SELECT FROM totp_factors WHERE user_id = ${other.member.id}`).toHaveLength(0);

    const session = await newSession(id);
    const failed = await stepUp(session, codeOf(secret, 1), blind()).catch((error) => error);
    expect(documentedCode(failed)).toBe('UNAVAILABLE');
    expect(await outcomes([stepUp(session, codes[0], blind())])).toEqual({ done: 1 });
    expect(await outcomes([stepUp(await newSession(id), codeOf(secret, 1))])).toEqual({ done: 1 });
    const actions = ['second_factor_enrolled', 'recovery_code_used'];
    expect(await stateOf(id)).toMatchObject({ codes: 9, step_ups: 2, actions });
  });
});
