import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { memberHostFetch } from '../../infra/local/atproto/member-fetch.ts';
import { type Platform, startPlatform } from '../../infra/local/platform.ts';
import { demoTelegramId } from '../../infra/local/telegram.ts';
import { logIn, type ObservedStep, watchUntilActive } from './member-journey.ts';
import { openCredentials } from './open-credentials.ts';
import { type Checks, proveIdentity } from './prove-identity.ts';

const NAMES = [
  'alice',
  'bob',
  'carol',
  'dave',
  'erin',
  'frank',
  'grace',
  'heidi',
  'ivan',
  'judy',
  'mallory',
  'niaj',
];

type Outcome = {
  did: string;
  handle: string;
  status: string;
  duration_ms: number;
  steps: ObservedStep[];
  record_uri: string;
  checks: Checks;
  /** What could not be checked because it cannot be on this machine. */
  not_applicable: string[];
};

const values = readOptions();
const count = Number(values.members);

const say = (line: string) => console.log(line);
const dataDir = await mkdtemp(path.join(tmpdir(), 'pds-demo-'));
let platform: Platform | undefined;
let failed = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => void cleanUp().then(() => process.exit(130)));
try {
  platform = await startPlatform({
    dataDir,
    durable: false,
    settings: { PDS_DID_METHOD: values['did-method'] },
    onProgress: (part, text) => say(`  ${part}: ${text}`),
  });
  await demonstrate(platform);
} catch (error) {
  failed = true;
  console.error(error instanceof Error ? error.message : error);
} finally {
  await cleanUp();
}
process.exit(failed ? 1 : 0);

async function cleanUp(): Promise<void> {
  await platform?.stop();
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
}

async function demonstrate(platform: Platform): Promise<void> {
  const members = Array.from({ length: count }, (_, index) => memberName(index));
  say(
    `\nLogging in ${count === 1 ? 'one member' : `${count} members at once`} with signed Telegram payloads…`,
  );
  const active = await Promise.all(
    members.map(async (username) => {
      const started = performance.now();
      const { cookie } = await logIn(platform, {
        id: demoTelegramId(username),
        first_name: username,
        username,
      });
      const pollMs = count === 1 ? 5 : 50;
      const { info, steps } = await watchUntilActive(platform, cookie, {
        pollMs,
        timeoutMs: 60_000,
        started,
      });
      const { pds_did: did, pds_handle: handle, pds_endpoint: endpoint } = info;
      if (!did || !handle || !endpoint) throw new Error(`${username} is active without a complete identity`);
      return {
        did,
        handle: handle.slice(1),
        endpoint,
        status: info.status,
        steps,
        ms: performance.now() - started,
      };
    }),
  );

  Object.assign(process.env, platform.operator.environment);
  const credentials = await openCredentials(
    platform.operator,
    active.map((member) => member.did),
  );
  const fetch = memberHostFetch({
    domain: platform.domain,
    gatewayUrl: platform.url,
    fetch: globalThis.fetch,
  });
  const outcomes: Outcome[] = [];
  for (const member of active) {
    const opened = credentials.get(member.did);
    if (!opened) throw new Error(`nothing is stored for ${member.did}`);
    const proof = await proveIdentity({ fetch, plcUrl: platform.plcUrl }, member, opened);
    const { did, handle, status, steps } = member;
    outcomes.push({
      did,
      handle,
      status,
      duration_ms: Math.round(member.ms),
      steps,
      record_uri: proof.recordUri,
      checks: proof.checks,
      not_applicable: proof.notApplicable,
    });
  }

  for (const outcome of outcomes) print(outcome, count === 1);
  failed = outcomes.some(
    (outcome) => outcome.status !== 'active' || Object.values(outcome.checks).includes(false),
  );
  say(
    failed
      ? '\nNot every check holds.'
      : `\nEvery check holds for ${count === 1 ? 'the member' : `all ${count} members`}.`,
  );
  if (values.json) say(JSON.stringify(count === 1 ? outcomes[0] : { members: outcomes }));
}

function readOptions() {
  const members = { type: 'string', default: '1' } as const;
  const json = { type: 'boolean', default: false } as const;
  const didMethod = { type: 'string', default: 'web' } as const;
  try {
    const { values } = parseArgs({ options: { json, members, 'did-method': didMethod } });
    const isMethod = ['web', 'plc'].includes(values['did-method']);
    if (isMethod && /^([1-9]\d?|[1-4]\d\d|500)$/.test(values.members)) return values;
    console.error(
      isMethod ? '--members takes a whole number from 1 to 500.' : '--did-method takes web or plc.',
    );
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  }
  console.error('Usage: npm run demo [-- --members NUMBER] [-- --did-method web|plc] [-- --json]');
  process.exit(2);
}

function memberName(index: number): string {
  const name = NAMES[index % NAMES.length] ?? 'demo';
  return index < NAMES.length ? name : `${name}_${Math.floor(index / NAMES.length) + 1}`;
}

function print(outcome: Outcome, inDetail: boolean): void {
  say(`\n@${outcome.handle}  ${outcome.did}  ${outcome.status} after ${outcome.duration_ms} ms`);
  if (!inDetail) return;
  for (const { name, ms } of outcome.steps) say(`  ${String(ms).padStart(6)} ms  ${name}`);
  for (const [name, holds] of Object.entries(outcome.checks))
    say(`  ${holds ? '✓' : '✗'} ${name.replaceAll('_', ' ')}`);
  for (const name of outcome.not_applicable)
    say(`  – ${name.replaceAll('_', ' ')}: the PLC directory of this machine takes no Ed25519 keys`);
  say(`  record ${outcome.record_uri}`);
}
