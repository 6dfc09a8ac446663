import { mkdirSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { type CloudOptions, type RunningCloud, startCloud } from './cloud.ts';
import { freePort } from './free-port.ts';
import { startGateway } from './gateway.ts';
import { lockDataDirectory } from './instance-lock.ts';
import { type KeptChild, keepRunning } from './kept-child.ts';
import { keepOperatorValues } from './operator-values.ts';
import { type Pds, startPds } from './pds.ts';
import { keepPdsSecrets } from './pds-secrets.ts';
import { removePlatformFile, writePlatformFile } from './platform-file.ts';
import { startPlc } from './plc.ts';
import { checkPort } from './ports.ts';
import { startPostgres } from './postgres.ts';
import { createStopper } from './stopper.ts';
import { synthesize } from './synthesize.ts';
import { demoTelegramId, telegramDialog } from './telegram.ts';
import { loadAssembly } from './template/assembly.ts';

export type PlatformOptions = {
  /** Where everything that survives a restart lies. */
  dataDir: string;
  /** Port of the app; 0 or absent: a free one. */
  httpPort?: number;
  /** Port of the PDS; 0 or absent: a free one. */
  pdsPort?: number;
  /** False skips every fsync of the database. Default true. */
  durable?: boolean;
  /** Which times and database sizes infra/stage.ts takes. Default `local`. */
  stage?: 'local' | 'test';
  /** More settings for infra/stage.ts, e.g. PDS_HANDLE_STRATEGY. */
  settings?: Readonly<Record<string, string>>;
  poolLimits?: CloudOptions['poolLimits'];
  /** A part of the platform is up. */
  onProgress?: (part: string, text: string) => void;
  /** A line that a function, the PDS or the PLC directory printed. */
  onLog?: (source: string, line: string) => void;
  /** Something happened that whoever runs the platform should know. */
  onNotice?: (text: string) => void;
};

export type Platform = Pick<RunningCloud, 'functions' | 'fire' | 'schedules' | 'queueUrl'> & {
  /** The app's origin. */
  url: string;
  pdsUrl: string;
  plcUrl: string;
  domain: string;
  databaseUrls: { owner: string; api: string; worker: string; superuser: string };
  botToken: string;
  /** The Telegram id that is an admin here (ADMIN_TELEGRAM_IDS). */
  adminTelegramId: number;
  /** The PDS, for whoever wants to see what happens without it. */
  pds: {
    url: string;
    did: string;
    pid(): number;
    stop(): Promise<void>;
    start(): Promise<void>;
    kill(): void;
    pause(): void;
    resume(): void;
  };
  /** What an operator holds: the worker's database role, the KMS key, and the environment that reaches KMS. */
  operator: {
    databaseUrl: string;
    settings: { PDS_ENVIRONMENT: string; PDS_KMS_KEY_ID: string };
    environment: Readonly<Record<string, string>>;
  };
  /** Ends everything, in order. Repeatable. */
  stop(): Promise<void>;
};

const DOMAIN = 'pnptv.test';
const ADMIN_NAME = 'admin';
/** Stacks without a part that could run here. */
const NOT_RUN = /(^|-)(edge|monitoring)$/;

/**
 * Bundles and synthesizes the app and runs it on this machine, with a real PostgreSQL, PDS and PLC directory around
 * it. Resolves when the first request can be served. Fails with one sentence, and then nothing is left running.
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const dataDir = path.resolve(options.dataDir);
  const stopper = createStopper();
  try {
    return await start({ ...options, dataDir }, stopper);
  } catch (error) {
    await stopper.stop();
    throw error;
  }
}

type Stopper = ReturnType<typeof createStopper>;

async function start(options: PlatformOptions, stopper: Stopper): Promise<Platform> {
  const { dataDir, stage = 'local', onProgress = () => {}, onNotice = () => {} } = options;
  stopper.add(await lockDataDirectory(dataDir));
  const { botToken, plcPort } = await keepOperatorValues(path.join(dataDir, 'operator.json'));
  const pdsDir = path.join(dataDir, 'pds');
  mkdirSync(pdsDir, { recursive: true, mode: 0o700 });
  const pdsSecrets = keepPdsSecrets(path.join(pdsDir, 'secrets.json'));
  // The PDS logs the headers that it gets.
  const onLog = options.onLog && hideSecrets([botToken, ...Object.values(pdsSecrets)], options.onLog);
  const adminTelegramId = demoTelegramId(ADMIN_NAME);

  const gateway = await startGateway({
    port: options.httpPort ?? 0,
    domain: DOMAIN,
    localRoutes: [telegramDialog({ botToken })],
    staticDirectories: [path.join(import.meta.dirname, 'page')],
  });
  stopper.add(() => gateway.stop());
  const pdsPort = options.pdsPort || (await freePort());
  await checkPort(pdsPort);
  const pdsUrl = `http://localhost:${pdsPort}`;
  const plcUrl = `http://127.0.0.1:${plcPort}`;

  const assembling = synthesize({
    dataDir,
    environment: {
      ...options.settings,
      PDS_STAGE: stage,
      PDS_MODE: 'local',
      PDS_DOMAIN: DOMAIN,
      PDS_APP_ORIGIN: gateway.url,
      PDS_LOCAL_ENDPOINT: pdsUrl,
      PDS_PLC_URL: plcUrl,
      ADMIN_TELEGRAM_IDS: [adminTelegramId, ...(options.settings?.ADMIN_TELEGRAM_IDS?.split(',') ?? [])].join(
        ',',
      ),
    },
  }).then(({ directory, reused }) => {
    onProgress('app', reused ? 'unchanged since the last start' : 'bundled and synthesized');
    return loadAssembly(directory, (name) => !NOT_RUN.test(name));
  });

  let databasePort: number | undefined;
  const databaseStarting = keepRunning(async () => {
    const server = await startPostgres({
      dir: path.join(dataDir, 'postgres'),
      port: databasePort,
      durable: options.durable,
    });
    databasePort = server.port;
    return server;
  }, onNotice).then((server) => {
    stopper.add(() => server.stop());
    onProgress('database', 'PostgreSQL is up');
    return server.current().url;
  });

  const identityServers = databaseStarting.then(async (postgresUrl) => {
    const databaseUrl = await ensurePlcDatabase(postgresUrl);
    const plc = await keepRunning(
      () => startPlc({ port: plcPort, databaseUrl, onLog: onLog && ((line) => onLog('plc', line)) }),
      onNotice,
    );
    stopper.add(() => plc.stop());
    onProgress('plc', `PLC directory is up on ${plcUrl}`);
    const pds = await keepRunning(
      () =>
        startPds({
          dir: pdsDir,
          port: pdsPort,
          plcUrl,
          gatewayUrl: `http://127.0.0.1:${gateway.port}`,
          domain: DOMAIN,
          onLog: onLog && ((line) => onLog('pds', line)),
        }),
      onNotice,
    );
    stopper.add(() => pds.stop());
    onProgress('pds', `PDS is up on ${pdsUrl}`);
    return pds;
  });

  const deployed = Promise.all([assembling, databaseStarting]).then(async ([stacks, postgresUrl]) => {
    const preload = new URL('./lambda/member-hosts.ts', import.meta.url);
    preload.search = String(
      new URLSearchParams({ domain: DOMAIN, gateway: `http://127.0.0.1:${gateway.port}` }),
    );
    const cloud = await startCloud(stacks, {
      keysFile: path.join(dataDir, 'kms.json'),
      secretsFile: path.join(dataDir, 'secrets.json'),
      postgresUrl,
      operatorSecrets: {
        TELEGRAM_BOT_TOKEN: botToken,
        PDS_ADMIN_PASSWORD: pdsSecrets.adminPassword,
        PDS_RATE_LIMIT_BYPASS_KEY: pdsSecrets.rateLimitBypassKey,
      },
      preload: [preload.href],
      compileCache: path.join(dataDir, 'compiled'),
      poolLimits: options.poolLimits,
      onLog,
      onNotice,
    });
    stopper.add(() => cloud.stop());
    onProgress('functions', `${cloud.functions.ids().length} functions, ${cloud.api().routes.length} routes`);
    return { cloud, postgresUrl };
  });

  // Whatever is still starting has to be known before it can be stopped.
  const started = await Promise.allSettled([assembling, databaseStarting, identityServers, deployed]);
  for (const result of started) if (result.status === 'rejected') throw result.reason;
  const { cloud, postgresUrl } = await deployed;
  const pds = await identityServers;
  gateway.serve(cloud.api());

  const databaseUrls = databaseUrlsOf(cloud, postgresUrl);
  const content = {
    url: gateway.url,
    pdsUrl,
    plcUrl,
    domain: DOMAIN,
    botToken,
    adminTelegramId,
    databaseUrls,
  };
  writePlatformFile(dataDir, { pid: process.pid, ...content });
  stopper.add(async () => removePlatformFile(dataDir));
  const { functions, fire, schedules, queueUrl, environment } = cloud;
  return {
    ...content,
    functions,
    fire,
    schedules,
    queueUrl,
    pds: pdsControls(pds),
    operator: { databaseUrl: databaseUrls.worker, settings: vaultSettings(cloud), environment },
    stop: stopper.stop,
  };
}

function hideSecrets(secrets: readonly string[], log: (source: string, line: string) => void): typeof log {
  return (source, line) =>
    log(
      source,
      secrets.reduce((text, secret) => text.replaceAll(secret, '[secret]'), line),
    );
}

function pdsControls(pds: KeptChild<Pds>): Platform['pds'] {
  const { url, did } = pds.current();
  return {
    url,
    did,
    pid: () => pds.current().pid,
    stop: pds.stop,
    start: pds.start,
    kill: () => pds.current().kill('SIGKILL'),
    pause: () => pds.current().pause(),
    resume: () => pds.current().resume(),
  };
}

function databaseUrlsOf({ databaseLogins }: RunningCloud, postgresUrl: string): Platform['databaseUrls'] {
  const urlOf = (role: string) => {
    const url = databaseLogins.get(role);
    if (!url) throw new Error(`No secret of the stacks is the login of ${role}.`);
    return url;
  };
  const owner = urlOf('pds_owner');
  const superuser = new URL(postgresUrl);
  superuser.pathname = new URL(owner).pathname;
  return { owner, api: urlOf('pds_api'), worker: urlOf('pds_worker'), superuser: superuser.href };
}

/** With what the functions open sealed values: any function that has both settings says it. */
function vaultSettings({ functions }: RunningCloud): Platform['operator']['settings'] {
  for (const id of functions.ids()) {
    const { PDS_ENVIRONMENT, PDS_KMS_KEY_ID } = functions.environment(id);
    if (PDS_ENVIRONMENT && PDS_KMS_KEY_ID) return { PDS_ENVIRONMENT, PDS_KMS_KEY_ID };
  }
  throw new Error('No function of the stacks has PDS_ENVIRONMENT and PDS_KMS_KEY_ID.');
}

async function ensurePlcDatabase(postgresUrl: string): Promise<string> {
  const sql = postgres(postgresUrl, { max: 1, onnotice: () => {} });
  try {
    const [existing] = await sql`SELECT FROM pg_database WHERE datname = 'plc'`;
    if (!existing) await sql`CREATE DATABASE plc`;
  } finally {
    await sql.end();
  }
  const url = new URL(postgresUrl);
  url.pathname = '/plc';
  return url.href;
}
