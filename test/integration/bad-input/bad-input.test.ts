import { randomInt } from 'node:crypto';
import type { Context } from 'aws-lambda';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signBackendRequest } from '../../../infra/local/backend.ts';
import { welcome } from '../../../lib/auth/login/log-in.ts';
import { startSession } from '../../../lib/auth/session/session.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { CONTRACTS } from '../../../lib/docs/contracts.ts';
import type { Access } from '../../../lib/http/contract.ts';
import { ERROR_CODES, isErrorCode } from '../../../lib/http/error-codes.ts';
import type { ApiAnswer } from '../../../lib/http/event.ts';
import { expectDocumented } from '../../e2e/documented.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { ADMIN_ID, INTERNAL_API_KEYS, SESSION_SECRET, setEnvironment, WEBHOOK_SECRET } from '../http/app.ts';
import { loadHandler } from '../http/handlers.ts';
import { type Credentials, type WrongRequest, wrongRequests } from './requests.ts';
import { ORIGIN_SECRET } from './spoiled-ways.ts';
import { CANARY } from './wrong-values.ts';

/** How many requests each route is sent, and what they are chosen by. */
const REQUESTS = Number(process.env.BAD_INPUT_REQUESTS ?? 10_000);
const SEED = Number(process.env.BAD_INPUT_SEED ?? randomInt(1, 2 ** 31));
const AT_ONCE = 16;
/** An answer names fields: 20 at most, of 64 characters each. */
const LONGEST_ANSWER = 20 * 64 * 6 + 500;

let database: TestDatabase;
let db: Sql;
const tokens = { member: '', admin: '' };

const withSession =
  (who: keyof typeof tokens): Credentials =>
  (draft) => {
    draft.cookies = [`__Host-session=${tokens[who]}`];
  };
/** With what a request is admitted. A new kind of access does not compile before it stands here. */
const CREDENTIALS: Readonly<Record<Access, Credentials>> = {
  public: () => {},
  member: withSession('member'),
  admin: withSession('admin'),
  backend: (draft, { method, path }) => {
    const { body = draft.body ?? '', isBase64Encoded } = draft.event ?? {};
    const sent = isBase64Encoded ? Buffer.from(String(body), 'base64') : body;
    Object.assign(draft.headers, signBackendRequest(INTERNAL_API_KEYS[0], { method, path, body: sent }));
  },
  telegram: (draft) => {
    draft.headers['x-telegram-bot-api-secret-token'] = WEBHOOK_SECRET;
  },
};

beforeAll(async () => {
  database = await freshDatabase();
  // Of the issuer, nobody has to say a word: it is not there.
  const oidc = { TELEGRAM_OIDC_ISSUER: 'http://127.0.0.1:9', TELEGRAM_OIDC_CLIENT_ID: '1' };
  const secrets = { PDS_ORIGIN_SECRET: ORIGIN_SECRET, TELEGRAM_OIDC_CLIENT_SECRET: 'a client secret' };
  setEnvironment(database, { ...oidc, ...secrets });
  db = connect(database.superuserUrl, { max: 2 });
  tokens.member = await newSession(123456789);
  tokens.admin = await newSession(ADMIN_ID);
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

async function newSession(id: number): Promise<string> {
  const deps = { adminIds: [], provisioningEnabled: true, sessionSecrets: [SESSION_SECRET] as const };
  const { token } = await db.begin(async (tx) => {
    await welcome(tx, deps, { id, first_name: 'Alice' });
    return startSession({ ...deps, tx }, { userId: String(id), loginMethod: 'widget', userAgent: undefined });
  });
  return token;
}

/** A fingerprint of every table but the counters of the rate limits. */
async function everything(): Promise<Record<string, string>> {
  const tables = await db<{ name: string }[]>`
    SELECT c.oid::regclass::text AS name FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'rate_limits' ORDER BY 1`;
  const prints = tables.map(async ({ name }) => {
    const [row] = await db<[{ print: string }]>`
      SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') AS print
      FROM ${db(name)} t`;
    return [name, row.print] as const;
  });
  return Object.fromEntries(await Promise.all(prints));
}

const context = { getRemainingTimeInMillis: () => 10_000 } as unknown as Context;
const STACK = /\bat .+:\d+:\d+|node_modules|postgres|\.ts\b/;
const documented = new Set<string>();

/** What is wrong with an answer; undefined when nothing is. */
function problemOf(contract: (typeof CONTRACTS)[number], request: WrongRequest, answer: ApiAnswer) {
  const { statusCode: status = 0, body: text = '', headers = {}, cookies = [] } = answer;
  if (status >= 500) return `answered ${status}`;
  if (text.includes(CANARY)) return 'echoes what was sent';
  if (STACK.test(text) && status >= 400) return 'shows a stack';
  const { requestId } = request.event.requestContext;
  if (headers['x-request-id'] !== requestId) return 'has no request id';
  const contentType = headers['content-type']?.toString();
  const shape = [contract.operationId, status, contentType, text.replace(requestId, '')].join(' ');
  if (!documented.has(shape)) {
    try {
      expectDocumented(contract.method, contract.path, { status, contentType, text });
    } catch (error) {
      return String(error);
    }
    documented.add(shape);
  }
  if (request.codes === undefined && status < 400) return undefined;
  if (text.length > LONGEST_ANSWER) return `is ${text.length} characters long`;
  if (cookies.length > 0) return 'sets a cookie';
  if (headers['cache-control'] !== 'no-store') return 'may be kept';
  const { code } = JSON.parse(text).error ?? {};
  if (!isErrorCode(code) || ERROR_CODES[code].status !== status)
    return `answered ${status} with code ${code}`;
  if (request.codes && !request.codes.includes(code)) return `was refused as ${code}`;
  return undefined;
}

/** Enough to send the request again; the seed tells the rest. */
function describeProblem(problem: string, { fault, event }: WrongRequest, { body: answer }: ApiAnswer) {
  const { body, headers, cookies, pathParameters, queryStringParameters } = event;
  const sent = { body, headers, cookies, pathParameters, queryStringParameters };
  return { problem, fault, answer: answer?.slice(0, 500), sent: JSON.stringify(sent).slice(0, 1_000) };
}

describe(`bad input, BAD_INPUT_SEED=${SEED}`, () => {
  it.each(CONTRACTS)(
    `$method $path: ${REQUESTS} requests with one thing wrong are refused with a code, and change nothing`,
    async (contract) => {
      const handler = await loadHandler(contract);
      const before = await everything();
      const requests = wrongRequests(contract, CREDENTIALS[contract.access], SEED);
      const problems: object[] = [];
      let left = REQUESTS;
      const send = async () => {
        while (left > 0 && problems.length < 5) {
          left -= 1;
          const request = requests.next().value as WrongRequest;
          const answer = await handler(request.event, context);
          const problem = problemOf(contract, request, answer);
          if (problem) problems.push(describeProblem(problem, request, answer));
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, send));
      expect(problems).toEqual([]);
      expect(await everything()).toEqual(before);
    },
    120_000,
  );
});
