import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signBackendRequest } from '../../../infra/local/backend.ts';
import type { TelegramUser } from '../../../infra/local/telegram.ts';
import { exchangeCode, loginWidget } from '../../../lib/auth/api.ts';
import { makeLoginToken } from '../../../lib/auth/login/login-token.ts';
import { connect } from '../../../lib/db/connect.ts';
import { CONTRACTS } from '../../../lib/docs/contracts.ts';
import type { Contract } from '../../../lib/http/contract.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { createBackup } from '../../../lib/lifecycle/api.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { validInput } from '../bad-input/valid-input.ts';
import {
  ADMIN_ID,
  type Call,
  call,
  INTERNAL_API_KEYS,
  logIn,
  newcomer,
  SESSION_SECRET,
  setEnvironment,
  signedLogin,
  WEBHOOK_SECRET,
} from './app.ts';
import { loadHandler } from './handlers.ts';

/** What could be tried until it works, or costs more than a read: limited by member and by address. */
const BOTH = [
  'retryProvision',
  'createBackup',
  'restoreBackup',
  'revealCredentials',
  'createAppPassword',
  'revokeAppPassword',
  'stepUp',
  'enrollTotp',
  'confirmTotp',
];
const isDoor = ({ subsystem, access }: (typeof CONTRACTS)[number]) =>
  subsystem === 'auth' && (access === 'public' || access === 'backend');

const LIMITED = CONTRACTS.filter(({ limits }) => limits !== undefined);
const BOUNDS = LIMITED.flatMap((contract) =>
  (['member', 'address'] as const).flatMap((whose) => {
    const limit = contract.limits?.[whose];
    return limit ? [{ contract, whose, limit, operationId: contract.operationId, max: limit.max }] : [];
  }),
);

let database: TestDatabase;
let db: postgres.Sql;
let lastAddress = 0;

/** An IPv4 address that nobody had before. */
function newAddress(): string {
  lastAddress += 1;
  return `198.51.${lastAddress >> 8}.${lastAddress & 255}`;
}

/** A request in order, from somebody who may make it. Every other thing that it needs is missing. */
async function rightRequest(contract: Contract, user: TelegramUser = newcomer()): Promise<Call> {
  const { access, method, path } = contract;
  const [body, query, params] = (['body', 'query', 'params'] as const).map(
    (part) => validInput(contract, part, 1)?.valid[0],
  );
  const rawBody = body && JSON.stringify(body);
  const texts = { query, params } as Pick<Call, 'query' | 'params'>;
  const base = { ...texts, ...(rawBody !== undefined && { rawBody }), sourceIp: newAddress() };
  switch (access) {
    case 'public':
      return base;
    case 'member':
    case 'admin':
      return { ...base, cookie: await logIn(user) };
    case 'telegram':
      return { ...base, headers: { 'x-telegram-bot-api-secret-token': WEBHOOK_SECRET } };
    case 'backend':
      // Signed whenever it is sent: a signature is good once.
      return {
        ...base,
        get headers() {
          return signBackendRequest(INTERNAL_API_KEYS[0], { method, path, body: rawBody ?? '' });
        },
      };
  }
}

/** All but one of its uses in the present window, and in the next, should that begin meanwhile. */
async function useUp(
  { operationId }: Pick<Contract, 'operationId'>,
  subject: string,
  { max, windowSeconds }: Limit,
) {
  await db`
    INSERT INTO rate_limits (bucket, window_start, hits)
    SELECT ${`${operationId}:${subject}`}, date_bin(make_interval(secs => ${windowSeconds}), now() + ahead, 'epoch'), ${max - 1}
    FROM (VALUES (interval '0'), (make_interval(secs => ${windowSeconds}))) AS begun (ahead)
    ON CONFLICT (bucket, window_start) DO UPDATE SET hits = EXCLUDED.hits`;
}
type Limit = { max: number; windowSeconds: number };

async function expectLimited(
  handler: ApiHandler,
  contract: Contract,
  request: Call,
  { windowSeconds }: Limit,
) {
  const { status, error, headers } = await call(handler, contract, request);
  expect([status, error?.code]).toEqual([429, 'RATE_LIMITED']);
  const seconds = Number(headers['retry-after']);
  expect([seconds, Number.isInteger(seconds) && seconds >= 1 && seconds <= windowSeconds]).toEqual([
    seconds,
    true,
  ]);
}

async function expectLetIn(handler: ApiHandler, contract: Contract, request: Call) {
  const { status } = await call(handler, contract, request);
  expect([status, status !== 429 && status < 500]).toEqual([status, true]);
}

beforeAll(async () => {
  database = await freshDatabase();
  setEnvironment(database);
  db = postgres(database.superuserUrl, { max: 2 });
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

describe('a limit', () => {
  it('stands at every door, by address', () => {
    const open = CONTRACTS.filter((contract) => isDoor(contract) && !contract.limits?.address);
    expect(open.map(({ operationId }) => operationId)).toEqual([]);
  });

  it('stands, by member and by address, before what can be tried or costs much, and behind every second factor', () => {
    const all = CONTRACTS.map(({ operationId }) => operationId);
    const needy = CONTRACTS.filter(({ operationId, stepUp }) => stepUp || BOTH.includes(operationId));
    const open = needy.filter(({ limits }) => !limits?.member || !limits.address);
    expect(BOTH.filter((operation) => !all.includes(operation))).toEqual([]);
    expect(open.map(({ operationId }) => operationId)).toEqual([]);
  });

  it('by member is for routes that know him before they count: those that change something', () => {
    const blind = LIMITED.filter(({ limits, method }) => limits?.member && method === 'GET');
    expect(blind.map(({ operationId }) => operationId)).toEqual([]);
  });
});

describe.each(BOUNDS)('$operationId, $max a window by $whose', ({ contract, whose, limit }) => {
  it('lets the last one in, whatever becomes of it, and not one more', async () => {
    const handler = await loadHandler(contract);
    const user = contract.access === 'admin' ? { id: ADMIN_ID, first_name: 'Root' } : newcomer();
    const request = await rightRequest(contract, user);
    // Without its second factor a request counts by itself (auth/step-up-fields shows both).
    const asker = contract.stepUp ? `${user.id}:unconfirmed` : String(user.id);
    await useUp(contract, whose === 'address' ? String(request.sourceIp) : asker, limit);
    await expectLetIn(handler, contract, request);
    await expectLimited(handler, contract, request, limit);

    // Neither another session, nor what a proxy would say, makes somebody else of him.
    const forged = { 'x-forwarded-for': '203.0.113.9', 'x-pds-address': '203.0.113.9' };
    const { headers, ...again } = await rightRequest(contract, { ...user, first_name: 'Again' });
    if (whose === 'address') again.sourceIp = request.sourceIp;
    await expectLimited(handler, contract, { ...again, headers: { ...headers, ...forged } }, limit);
    if (contract.access !== 'admin') await expectLetIn(handler, contract, await rightRequest(contract));
  });
});

describe.each(BOUNDS.filter(({ whose }) => whose === 'address'))('$operationId', ({ contract, limit }) => {
  it('counts all of an IPv6 network as one, and not its neighbour', async () => {
    const handler = await loadHandler(contract);
    const from = async (sourceIp: string) => ({ ...(await rightRequest(contract)), sourceIp });
    await useUp(contract, '2001:db8:1:2::/64', limit);
    await expectLetIn(handler, contract, await from('2001:db8:1:2::1'));
    await expectLimited(handler, contract, await from('2001:db8:1:2:ffff:ffff:0:9'), limit);
    await expectLetIn(handler, contract, await from('2001:db8:1:3::1'));
  });
});

it('a member who does too much uses up nothing of what others of his network may do', async () => {
  const handler = await loadHandler(operationOf(createBackup));
  const user = newcomer();
  const request = await rightRequest(createBackup, user);
  const { member, address } = createBackup.limits;
  await useUp(createBackup, String(request.sourceIp), address);
  await useUp(createBackup, String(user.id), { ...member, max: member.max + 1 });
  for (const _ of [1, 2, 3]) await expectLimited(handler, createBackup, request, member);
  await expectLetIn(handler, createBackup, {
    ...(await rightRequest(createBackup)),
    sourceIp: request.sourceIp,
  });
});

describe('logins of one member', () => {
  const LIMIT = { max: 300, windowSeconds: 600 };

  it('are counted together, through whichever door he comes, and one that is refused uses nothing up', async () => {
    const [widget, exchange] = await Promise.all(
      [loginWidget, exchangeCode].map(operationOf).map(loadHandler),
    );
    if (!widget || !exchange) throw new Error('no doors');
    const user = newcomer();
    await logIn(user);
    const sessionSecrets = [SESSION_SECRET] as const;
    const sql = connect(database.superuserUrl);
    const { token: code } = await makeLoginToken(
      { sql, sessionSecrets },
      { kind: 'exchange', userId: String(user.id) },
    );
    await sql.end();
    await useUp({ operationId: 'login' }, String(user.id), LIMIT);
    const login = signedLogin({ ...user, first_name: 'Last' });
    expect((await call(widget, loginWidget, { body: login })).status).toBe(200);
    await expectLimited(exchange, exchangeCode, { body: { code }, sourceIp: newAddress() }, LIMIT);
    const again = signedLogin({ ...user, first_name: 'Again' });
    await expectLimited(widget, loginWidget, { body: again, sourceIp: newAddress() }, LIMIT);
    await logIn(newcomer());

    await db`DELETE FROM rate_limits WHERE bucket = ${`login:${user.id}`}`;
    expect((await call(exchange, exchangeCode, { body: { code } })).status).toBe(200);
    expect((await call(widget, loginWidget, { body: again })).status).toBe(200);
  });
});

function operationOf({ operationId }: Contract) {
  const found = CONTRACTS.find((contract) => contract.operationId === operationId);
  if (!found) throw new Error(`there is no ${operationId}`);
  return found;
}
