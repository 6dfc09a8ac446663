import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { signBackendRequest } from '../../infra/local/backend.ts';
import { signInitData, signWidgetPayload, type TelegramUser } from '../../infra/local/telegram.ts';
import { privateMessage } from '../../infra/local/telegram-update.ts';
import { type LoginTokenKind, makeLoginToken } from '../../lib/auth/login/login-token.ts';
import { readTarget } from '../../lib/auth/second-factor/target.ts';
import { totpCode } from '../../lib/auth/second-factor/totp.ts';
import { tokenHashes } from '../../lib/auth/session/session-cookie.ts';
import { storedTarget, targetOf } from '../../lib/auth/step-up-target.ts';
import { CONTRACTS } from '../../lib/docs/contracts.ts';
import type { Access, Contract } from '../../lib/http/contract.ts';
import { ERROR_CODES, type ErrorCode } from '../../lib/http/error-codes.ts';
import {
  createAppPassword,
  recoverByCancelling,
  recoverByHandOver,
  requestHandOver,
  setRecoveryKey,
} from '../../lib/lifecycle/api.ts';
import { type Answer, type AskOptions, ask } from './ask.ts';
import { logIn } from './member-journey.ts';
import { exampleFor } from './rightful.ts';
import {
  deployedSecret,
  newcomer,
  openPlatform,
  type RunningPlatform,
  untilActive,
} from './running-platform.ts';
import { enroll, setUpFactor } from './second-factor.ts';

const ASKERS = [
  'nobody',
  'forger',
  'logged out',
  'member',
  'other member',
  'member without step-up',
  'admin',
  'signed backend',
] as const;
type Asker = (typeof ASKERS)[number];
type Verdict = 'admitted' | ErrorCode;

const WITHOUT_SESSION = {
  nobody: 'SESSION_REQUIRED',
  forger: 'SESSION_REQUIRED',
  'logged out': 'SESSION_REQUIRED',
  'signed backend': 'SESSION_REQUIRED',
} as const;
const ADMITTED = {
  member: 'admitted',
  'other member': 'admitted',
  'member without step-up': 'admitted',
  admin: 'admitted',
} as const;
/** A session, of whomever, is no signature. */
const everybody = (verdict: Verdict) =>
  Object.fromEntries(ASKERS.map((asker) => [asker, verdict])) as Record<Asker, Verdict>;

/** Who may call which routes. A new kind of access does not compile before it stands here. */
const VERDICTS: Readonly<Record<Access, Readonly<Record<Asker, Verdict>>>> = {
  public: everybody('admitted'),
  member: { ...WITHOUT_SESSION, ...ADMITTED },
  admin: {
    ...WITHOUT_SESSION,
    member: 'ADMIN_REQUIRED',
    'other member': 'ADMIN_REQUIRED',
    'member without step-up': 'ADMIN_REQUIRED',
    admin: 'admitted',
  },
  backend: { ...everybody('SIGNATURE_INVALID'), 'signed backend': 'admitted' },
  telegram: everybody('WEBHOOK_SECRET_INVALID'),
};

/** Whose sessions these are, and no second factor was shown in them. */
const WITHOUT_STEP_UP: Asker = 'member without step-up';
/** What is `member`'s own is not there for anybody else who is logged in, an administrator included. */
const OF_MEMBER_ONLY: Readonly<Record<string, ErrorCode>> = {
  revokeSession: 'SESSION_NOT_FOUND',
  restoreBackup: 'BACKUP_NOT_FOUND',
  cancelChange: 'CHANGE_NOT_FOUND',
  revokeAppPassword: 'APP_PASSWORD_NOT_FOUND',
  downloadExport: 'EXPORT_NOT_FOUND',
  consentToJoin: 'JOIN_NOT_FOUND',
  refuseJoin: 'JOIN_NOT_FOUND',
  confirmTotp: 'TOTP_NOT_ENROLLED',
  stepUp: 'TOTP_NOT_ENROLLED',
  renewRecoveryCodes: 'TOTP_NOT_ENROLLED',
  disableTotp: 'TOTP_NOT_ENROLLED',
};

/** What nobody here has, or has signed, who may ask for it all the same. */
const OF_NOBODY: Readonly<Record<string, ErrorCode>> = {
  setRecoveryKey: 'RECOVERY_KEY_NOT_PROVEN',
  removeRecoveryKey: 'RECOVERY_KEY_NOT_FOUND',
  requestHandOver: 'TARGET_UNREACHABLE',
  recoverByHandOver: 'RECOVERY_SIGNATURE_EXPIRED',
  recoverByCancelling: 'RECOVERY_SIGNATURE_EXPIRED',
  moveIdentity: 'MOVE_ALREADY_THERE',
  // What would begin at once, beside the change that everybody waits for (`keepBusy`).
  renameHandle: 'CHANGE_IN_PROGRESS',
  revokeIdentity: 'CHANGE_IN_PROGRESS',
  reactivateIdentity: 'CHANGE_IN_PROGRESS',
};

type Sent = AskOptions & { params?: Record<string, string>; query?: Record<string, string> };
type Target = TelegramUser & { did: string; handle: string };

/** What is sent to the routes that need something; each is about `member`. */
const REQUESTS: Readonly<Record<string, (target: Target) => Sent | Promise<Sent>>> = {
  loginWidget: () => ({ body: signWidgetPayload(running.platform.botToken, newcomer()) }),
  loginMiniApp: () => ({
    body: { init_data: signInitData({ botToken: running.platform.botToken }, newcomer()) },
  }),
  // Whose login it is, the cookie of the browser says that began it: nobody here has one.
  finishOidcLogin: () => ({ query: { state: 'S'.repeat(43), code: 'x' } }),
  provision: ({ id }) => ({ body: { userId: String(id) } }),
  revokeSession: async () => ({ params: { id: await newSessionId() } }),
  showLoginLink: async ({ id }) => ({ params: { token: await newLoginToken('link', id) } }),
  useLoginLink: async ({ id }) => ({ params: { token: await newLoginToken('link', id) } }),
  internalLogin: () => ({ body: { telegramId: newcomer().id } }),
  telegramWebhook: ({ id }) => ({ body: privateMessage({ id }, '/start') }),
  exchangeCode: async ({ id }) => ({ body: { code: await newLoginToken('exchange', id) } }),
  redriveWork: async () => ({ params: { id: await newestWorkId() } }),
  restoreBackup: async ({ id }) => ({ params: { id: await newestBackupId(id) } }),
  cancelChange: async ({ id }) => ({ params: { id: await newChangeId(id) } }),
  renameHandle: () => keepBusy({ body: { handle: `n${randomUUID().slice(0, 8)}` } }),
  revokeIdentity: () => keepBusy({}),
  reactivateIdentity: () => keepBusy({}),
  createAppPassword: () => ({ body: { name: newAppName() } }),
  revokeAppPassword: async (user) => ({ params: { name: await newAppPassword(user) } }),
  requestExport: () => ({ body: { contents: 'data' } }),
  downloadExport: async ({ id }) => ({ params: { id: await newExportId(id) } }),
  enrollTotp: async () => {
    await forgetFactors();
    return {};
  },
  confirmTotp: async (user) => {
    await forgetFactors();
    const secret = await enroll(running.platform, await logInAnew(user));
    return { body: { code: totpCode(secret, new Date()) } };
  },
  stepUp: async () => ({ body: { operation: 'disableTotp', code: await newRecoveryCode() } }),
  renewRecoveryCodes: async () => {
    await newRecoveryCode();
    return {};
  },
  disableTotp: async () => {
    await newRecoveryCode();
    return {};
  },
  revealCredentials: () => ({ body: { credential: 'private_key' } }),
  setRecoveryKey: () => ({ body: exampleFor(setRecoveryKey, 'body') }),
  removeRecoveryKey: () => ({ params: { key: 'did:key:zQ3shR6ZRPvP3QHbGnJXBFBYyniEZuW13ZL9urvob9EiNf6AW' } }),
  requestHandOver: () => ({ body: exampleFor(requestHandOver, 'body') }),
  recoverByHandOver: () => ({ body: exampleFor(recoverByHandOver, 'body') }),
  recoverByCancelling: () => ({ body: exampleFor(recoverByCancelling, 'body') }),
  moveIdentity: () => ({ body: { provider: 'local' } }),
  consentToJoin: async ({ id }) => ({ params: { id: await newJoinId(id) } }),
  refuseJoin: async ({ id }) => ({ params: { id: await newJoinId(id) } }),
  approveJoin: async ({ id }) => ({ params: { id: await newJoinId(id) } }),
  withdrawJoin: async ({ id }) => ({ params: { id: await newJoinId(id) } }),
  requestJoin: async ({ id }) => ({
    body: { from_user_id: String(id), to_user_id: await thirdAccount(), reason: 'a new phone' },
  }),
  didJson: ({ did }) => ({ host: did.slice('did:web:'.length) }),
  atprotoDid: ({ handle }) => ({ host: handle }),
};

let running: RunningPlatform;
let member: Target;
let otherMember: TelegramUser;
let sessionSecret: string;
let logins = 0;

/** Telegram signs one login of one member a second: with another name it is another login. */
const logInAnew = async ({ id, username }: Pick<TelegramUser, 'id' | 'username'>) => {
  logins += 1;
  const user = { id, ...(username && { username }), first_name: `Login ${logins}` };
  return (await logIn(running.platform, user)).cookie;
};

async function newSessionId(): Promise<string> {
  await logInAnew(member);
  const [session] = await running.sql<{ id: string }[]>`
    SELECT id FROM sessions WHERE user_id = ${String(member.id)} ORDER BY created_at DESC LIMIT 1`;
  return session?.id ?? '';
}

let apps = 0;
function newAppName(): string {
  apps += 1;
  return `app-${apps}`;
}

async function newAppPassword(user: TelegramUser): Promise<string> {
  await running.sql`DELETE FROM rate_limits`;
  const [cookie, body] = [await logInAnew(user), { name: newAppName() }];
  await stepUp(createAppPassword, cookie, body);
  const { status } = await ask(running.platform, 'POST', createAppPassword.path, { cookie, body });
  expect(status).toBe(200);
  return body.name;
}

/** There always is one: a restore leaves a new one behind. */
/** One that waits for its time; the one before is over. */
async function newChangeId(userId: number): Promise<string> {
  const { sql } = running;
  await endChanges();
  const [change] = await sql<[{ id: string }]>`
    INSERT INTO pds_changes (user_id, pnptv_uuid, kind, requested_by, due_at)
    SELECT user_id, pnptv_uuid, 'delete', user_id, now() + interval '1 day'
    FROM user_pds_mapping WHERE user_id = ${String(userId)} RETURNING id::text`;
  return change.id;
}

/** Of a member's identity to an account that is nobody's here, as another administrator wants it. */
async function newJoinId(userId: number): Promise<string> {
  const [join] = await running.sql<[{ id: string }]>`
    INSERT INTO pds_joins (from_user_id, to_user_id, reason, requested_by)
    VALUES (${String(userId)}, ${await thirdAccount()}, 'a new phone', '1') RETURNING id::text`;
  return join.id;
}

async function thirdAccount(): Promise<string> {
  const id = '777000777';
  await running.sql`INSERT INTO users (id) VALUES (${id}) ON CONFLICT DO NOTHING`;
  await running.sql`INSERT INTO user_pds_mapping (user_id) VALUES (${id}) ON CONFLICT DO NOTHING`;
  return id;
}

/** What is rotated comes to its end, or the password that was just set would be lost with it. */
async function rotationsOver(): Promise<void> {
  const open = () =>
    running.sql`SELECT FROM pds_changes WHERE kind = 'rotate_keys' AND ended_at IS NULL`.then(
      ({ length }) => length,
    );
  await expect.poll(open, { timeout: 30_000 }).toBe(0);
}

/** Lets everybody wait for a change that comes in a day: another one is refused to whoever may ask for it. */
async function keepBusy(sent: Sent): Promise<Sent> {
  await running.sql`
    INSERT INTO pds_changes (user_id, pnptv_uuid, kind, requested_by, due_at)
    SELECT user_id, pnptv_uuid, 'delete', user_id, now() + interval '1 day' FROM user_pds_mapping
    ON CONFLICT DO NOTHING`;
  return sent;
}

/** What one asker has set going stands in nobody else's way. */
async function endChanges(): Promise<void> {
  const { sql } = running;
  await rotationsOver();
  await sql`UPDATE pds_changes SET ended_at = now(), outcome = 'cancelled', sealed = '{}' WHERE ended_at IS NULL`;
  await sql`UPDATE pds_joins SET ended_at = now(), outcome = 'withdrawn' WHERE ended_at IS NULL`;
  await sql`
    UPDATE pds_provisioning_queue SET status = 'completed'
    WHERE action NOT IN ('create', 'retry', 'verify') AND status IN ('pending', 'processing')`;
}

/** One that is ready to be downloaded. */
async function newExportId(userId: number): Promise<string> {
  const [made] = await running.sql<[{ id: string }]>`
    INSERT INTO pds_exports (user_id, pnptv_uuid, contents, step, ended_at, outcome)
    SELECT user_id, pnptv_uuid, 'data', 'sealed', now(), 'ready'
    FROM user_pds_mapping WHERE user_id = ${String(userId)} RETURNING id::text`;
  return made.id;
}

async function newestBackupId(userId: number): Promise<string> {
  const [newest] = await running.sql<[{ id: number }]>`
    SELECT max(id) AS id FROM pds_credential_backups WHERE user_id = ${String(userId)} AND NOT is_used`;
  return String(newest.id);
}

async function newestWorkId(): Promise<string> {
  const [newest] = await running.sql<[{ id: number }]>`SELECT max(id) AS id FROM pds_provisioning_queue`;
  return String(newest.id);
}

async function newLoginToken(kind: LoginTokenKind, id: number): Promise<string> {
  const deps = { sql: running.sql, sessionSecrets: [sessionSecret] as const };
  return (await makeLoginToken(deps, { kind, userId: String(id) })).token;
}

async function forgetFactors(): Promise<void> {
  await running.sql`DELETE FROM totp_factors`;
  // More of them are set up here than anybody may.
  await running.sql`DELETE FROM rate_limits`;
}

/** Of the second factor that `member` has from now on, and nobody else. */
async function newRecoveryCode(): Promise<string> {
  await forgetFactors();
  const { codes } = await setUpFactor(running.platform, await logInAnew(member));
  return codes[0];
}

/** What the second factor leaves behind when it is shown for this request (lib/auth/step-up.ts). */
async function stepUp(contract: Contract, cookie: string, fields: Record<string, unknown>) {
  const { operationId } = contract;
  if (!contract.stepUp) return;
  const target = storedTarget(readTarget(operationId, targetOf(contract, fields)));
  const [hash] = tokenHashes([sessionSecret], cookie.slice(cookie.indexOf('=') + 1));
  await running.sql`
    INSERT INTO step_ups (session_id, user_id, operation, target, expires_at)
    SELECT id, user_id, ${operationId}, ${target}, now() + interval '5 minutes' FROM sessions
    WHERE token_hmac = ${hash as Uint8Array}`;
}

/** A cookie for one request; whatever that one ends, the next asker has a session of his own. */
const COOKIES: Readonly<Record<Asker, () => Promise<string | undefined>>> = {
  nobody: async () => undefined,
  forger: async () => `__Host-session=${'A'.repeat(43)}`,
  'logged out': async () => {
    const cookie = await logInAnew(member);
    expect((await ask(running.platform, 'POST', '/api/auth/logout', { cookie })).status).toBe(200);
    return cookie;
  },
  member: () => logInAnew(member),
  'other member': () => logInAnew(otherMember),
  'member without step-up': () => logInAnew(member),
  admin: () => logInAnew({ id: running.platform.adminTelegramId }),
  'signed backend': async () => undefined,
};

/** The request with a backend's signature over it. */
function signed(method: string, path: string, { body, ...sent }: AskOptions): AskOptions {
  const rawBody = body === undefined ? '' : JSON.stringify(body);
  const headers = signBackendRequest(running.platform.internalApiKey, { method, path, body: rawBody });
  return { ...sent, ...(rawBody !== '' && { rawBody }), headers: { ...sent.headers, ...headers } };
}

beforeAll(async () => {
  running = await openPlatform();
  sessionSecret = deployedSecret(running.dataDir, /session/i);
  const user = newcomer('patient_zero');
  otherMember = newcomer('neighbour');
  for (const each of [user, otherMember, { id: running.platform.adminTelegramId }]) await logInAnew(each);
  await untilActive(running, { timeoutMs: 150_000 });
  const [row] = await running.sql<{ did: string; handle: string }[]>`
    SELECT pds_did AS did, pds_handle AS handle FROM user_pds_mapping WHERE user_id = ${String(user.id)}`;
  if (!row) throw new Error('no identity');
  member = { ...user, ...row };
}, 300_000);
afterAll(() => running?.close());

/** All that a route could have changed. What the worker does by itself comes and goes: checks, automatic backups. */
async function state() {
  const [counts] = await running.sql`
    SELECT (SELECT count(*) FROM users) AS users,
      (SELECT count(*) FROM sessions WHERE revoked_at IS NULL) AS sessions,
      (SELECT count(*) FROM pds_credential_backups WHERE backup_type = 'manual') AS backups,
      (SELECT count(*) FROM pds_provisioning_queue WHERE action <> 'verify') AS work`;
  return counts;
}

function verdictOn({ operationId, access, stepUp: need }: Contract, asker: Asker): Verdict {
  const verdict = VERDICTS[access][asker];
  if (verdict !== 'admitted') return verdict;
  if (access === 'public') return OF_NOBODY[operationId] ?? verdict;
  if (asker === WITHOUT_STEP_UP && need) return 'STEP_UP_REQUIRED';
  if (asker === 'member' || asker === WITHOUT_STEP_UP) return OF_NOBODY[operationId] ?? verdict;
  return OF_NOBODY[operationId] ?? OF_MEMBER_ONLY[operationId] ?? verdict;
}

function expectVerdict(answer: Answer, { redirect }: Contract, verdict: Verdict): void {
  const status = verdict === 'admitted' ? (redirect ?? 200) : ERROR_CODES[verdict].status;
  expect([answer.status, answer.json?.error?.code ?? 'admitted']).toEqual([status, verdict]);
}

const CELLS = CONTRACTS.flatMap((contract) =>
  ASKERS.map((asker) => ({ ...contract, contract, asker, verdict: verdictOn(contract, asker) })),
);

describe('every route', () => {
  afterEach(endChanges);

  it('that needs something to be asked for is asked for it', () => {
    const needy = CONTRACTS.filter(
      ({ params, query, body, host }) =>
        params || body || host === 'member' || (query && !query.safeParse({}).success),
    );
    expect(Object.keys(REQUESTS)).toEqual(
      expect.arrayContaining(needy.map(({ operationId }) => operationId)),
    );
    const known = CONTRACTS.map(({ operationId }) => operationId);
    expect(known).toEqual(expect.arrayContaining(Object.keys(REQUESTS)));
  });

  it.each(CELLS)('$method $path, asked by $asker: $verdict', async ({ contract, asker, verdict }) => {
    const { method, path, operationId, access } = contract;
    const cookie = await COOKIES[asker]();
    const { params = {}, query, ...sent }: Sent = (await REQUESTS[operationId]?.(member)) ?? {};
    const place = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? '');
    const address = query ? `${place}?${new URLSearchParams(query)}` : place;
    if (cookie !== undefined && asker !== WITHOUT_STEP_UP)
      await stepUp(contract, cookie, { ...(sent.body as object), ...params });
    const before = await state();
    const request = { ...sent, cookie };
    const answer = await ask(
      running.platform,
      method,
      address,
      asker === 'signed backend' ? signed(method, address, request) : request,
    );
    expectVerdict(answer, contract, verdict);
    if (verdict !== 'admitted') {
      expect(answer.headers['set-cookie']).toBeUndefined();
      expect(await state()).toEqual(before);
    }
    if (access === 'member' && asker !== 'member' && asker !== WITHOUT_STEP_UP) {
      for (const theirs of [member.did, member.handle, `"${member.id}"`]) {
        expect(answer.text).not.toContain(theirs);
      }
    }
  });
});
