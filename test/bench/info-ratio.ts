import type { Context } from 'aws-lambda';
import postgres from 'postgres';
import { startSession } from '../../lib/auth/session/session.ts';
import { connect } from '../../lib/db/connect.ts';
import type { ApiEvent } from '../../lib/http/event.ts';
import type { Ground } from './ground.ts';
import { inTurn, timed } from './measure.ts';

const SESSION_SECRET = 'only-for-this-run-and-long-enough-for-a-secret';
const ORIGIN = 'http://localhost:3001';

/**
 * `GET /api/pds/info` as the Lambda's handler serves it (event in, answer out), and the very statement that it sends
 * to PostgreSQL, alone, on a connection of the same kind; in turn.
 */
export async function measureInfo(ground: Ground, rounds: number) {
  const sql = connect(ground.apiUrl);
  const [member] = await sql<{ user_id: string }[]>`
    SELECT user_id FROM user_pds_mapping WHERE status = 'active' ORDER BY id LIMIT 1`;
  if (!member) throw new Error('nobody is provisioned yet');
  const { token } = await sql.begin((tx) =>
    startSession(
      { tx, sessionSecrets: [SESSION_SECRET] },
      { userId: member.user_id, loginMethod: 'widget', userAgent: undefined },
    ),
  );
  await sql.end();

  Object.assign(process.env, {
    DATABASE_URL: ground.apiUrl,
    SESSION_SECRET,
    PDS_APP_ORIGIN: ORIGIN,
    PDS_DOMAIN: 'pnptv.test',
  });
  const { handler } = await import('../../functions/pds/info.ts');
  // The session comes in a cookie and as a bearer token, in turn.
  const events = [
    infoEvent({ cookies: [`__Host-session=${token}`] }),
    infoEvent({ headers: { authorization: `Bearer ${token}` } }),
  ] as const;
  const context = { getRemainingTimeInMillis: () => 10_000 } as Context;
  for (const event of events) {
    const { statusCode, body } = await handler(event, context);
    if (statusCode !== 200) throw new Error(`info answered ${statusCode}: ${body}`);
  }

  const statement = await statementOf(ground, token);
  const bare = postgres(ground.apiUrl, { max: 1, onnotice: () => {} });
  try {
    return await inTurn(
      { rounds, warmUp: 200 },
      () => timed(() => bare.unsafe(statement.text, statement.parameters as never[], { prepare: true })),
      (round) => timed(() => handler(events[round % 2 === 0 ? 0 : 1], context)),
    );
  } finally {
    await bare.end();
  }
}

/** What the handler's own query module sends, text and parameters, caught on its way to the server. */
async function statementOf(ground: Ground, token: string): Promise<{ text: string; parameters: unknown[] }> {
  const { asMember } = await import('../../lib/auth/session/session.ts');
  const { readInfo } = await import('../../lib/pds/info.ts');
  const sent: { text: string; parameters: unknown[] }[] = [];
  const spy = postgres(ground.apiUrl, {
    max: 1,
    onnotice: () => {},
    debug: (_connection, text, parameters) => void sent.push({ text, parameters: [...parameters] }),
  });
  const sql = spy as unknown as ReturnType<typeof connect>;
  const known = { sql, sessionSecrets: [SESSION_SECRET], adminIds: [] } as const;
  await readInfo({ sql, provisioningEnabled: true }, asMember(known, token));
  await spy.end();
  const statement = sent.find(({ text }) => text.includes('user_pds_mapping'));
  if (!statement) throw new Error('the statement of info was not seen');
  return statement;
}

function infoEvent({ cookies, headers }: { cookies?: string[]; headers?: Record<string, string> }): ApiEvent {
  return {
    version: '2.0',
    routeKey: 'GET /api/pds/info',
    rawPath: '/api/pds/info',
    rawQueryString: '',
    ...(cookies && { cookies }),
    headers: { host: new URL(ORIGIN).host, ...headers },
    isBase64Encoded: false,
    requestContext: {
      accountId: '000000000000',
      apiId: 'local',
      domainName: 'localhost',
      domainPrefix: 'localhost',
      http: {
        method: 'GET',
        path: '/api/pds/info',
        protocol: 'HTTP/1.1',
        sourceIp: '127.0.0.1',
        userAgent: 'bench',
      },
      requestId: 'bench',
      routeKey: 'GET /api/pds/info',
      stage: '$default',
      time: '',
      timeEpoch: 0,
    },
  };
}
