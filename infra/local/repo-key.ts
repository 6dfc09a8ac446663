import path from 'node:path';
import { AppError } from '../../lib/app-error.ts';
import type { Did } from '../../lib/brands.ts';
import { readSettings } from '../../lib/config.ts';
import { connect, type Sql } from '../../lib/db/connect.ts';
import { prepareRepoKey, publishRepoKey } from '../../lib/lifecycle/rotate/repo-key.ts';
import { XrpcError } from '../../lib/pds/xrpc-error.ts';
import { openVault } from '../../lib/vault/open-vault.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';
import { reachMemberHosts } from './atproto/member-fetch.ts';
import { COMMON_OPTIONS, fail, readCommandLine, refuse } from './command-line.ts';
import { findPlatform } from './platform-file.ts';

const USAGE = `Usage: npm run repo-key -- STEP DID [--database URL] [--data FOLDER]
  STEP            prepare: before the key file of the PDS is replaced. Until publish, nobody keeps the document
                  publish: makes the document name the key that the PDS has now
                  verify: reads document and repository as anybody does, and checks that the one key signed the other
  DID             of an active member
  --database URL  in this database (postgres://…), as its owner. Publish needs the keys in the environment, as
                  npm run rewrap does, and verify PDS_PLC_URL where it is not plc.directory
  --data FOLDER   without it: of the platform that runs on this folder (.data)
README, "What is rotated, and what cannot be", has what the operator of the PDS does in between.`;

const { data, database, operands } = readCommandLine(USAGE, {
  options: { ...COMMON_OPTIONS, database: { type: 'string' } },
  operands: ['STEP', 'DID'],
});
const [step = '', did = ''] = operands;
const STEPS: Readonly<Record<string, (sql: Sql, of: Did) => Promise<string>>> = { prepare, publish, verify };
const run = STEPS[step] ?? refuse(USAGE, `${step} is no step.`);
if (!did.startsWith('did:')) refuse(USAGE, `${did} is no DID.`);
try {
  console.log(await inDatabase((sql) => run(sql, did as Did)));
} catch (error) {
  fail(error instanceof XrpcError ? new AppError('PDS', `The PDS did not do it: ${error.message}`) : error);
}

async function inDatabase<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
  const platform = database === undefined ? await findPlatform(path.resolve(data)) : undefined;
  if (platform) {
    const { vault, domain, url, plcUrl } = platform;
    Object.assign(process.env, vault.environment, vault.settings, { PDS_PLC_URL: plcUrl });
    reachMemberHosts({ domain, gatewayUrl: url });
  }
  const sql = connect(database ?? platform?.databaseUrls.owner ?? '', {
    applicationName: 'repo-key',
    max: 2,
  });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function prepare(sql: Sql, of: Did): Promise<string> {
  await prepareRepoKey(sql, of);
  return 'The document is not to be kept by anybody from now on. Wait a minute, then replace the key file.';
}

async function publish(sql: Sql, of: Did): Promise<string> {
  const vault = await openVault(await readSettings(VAULT_SETTINGS), sql);
  const deps = { sql, vault, providers: [], fetch, now: () => new Date() };
  const { before, after } = await publishRepoKey(deps, of);
  return before === after
    ? `The PDS signs with the key that was published already, ${after}.`
    : `Published ${after} in the place of ${before}.`;
}

/** By clients that are not ours. */
async function verify(_: Sql, of: Did): Promise<string> {
  const [{ IdResolver }, { verifyRepoCar }] = await Promise.all([
    import('@atproto/identity'),
    import('@atproto/repo'),
  ]);
  const { PDS_PLC_URL: plcUrl } = await readSettings(['PDS_PLC_URL']);
  const resolver = new IdResolver({ fetch: (...args) => fetch(...args), plcUrl });
  const { pds, signingKey } = await resolver.did.resolveAtprotoData(of, true);
  const answer = await fetch(`${pds}/xrpc/com.atproto.sync.getRepo?did=${encodeURIComponent(of)}`);
  if (!answer.ok) throw new AppError('PDS', `${pds} does not give out the repository: ${answer.status}.`);
  try {
    await verifyRepoCar(new Uint8Array(await answer.arrayBuffer()), of, signingKey);
  } catch (cause) {
    const { message } = cause as Error;
    throw new AppError(
      'REPO_NOT_SIGNED',
      `${signingKey}, which is published, has not signed it: ${message}`,
      {
        cause,
      },
    );
  }
  return `The repository is signed by ${signingKey}, which is published.`;
}
