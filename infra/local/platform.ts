import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { keepPdsSecrets, type PdsSecrets } from './atproto/pds-secrets.ts';
import { type RemoteRights, remoteRightsOf } from './atproto/remote-rights.ts';
import { BOT_API_PATH, type BotApi, openBotApi } from './bot-api.ts';
import { type CloudOptions, type RunningCloud, startCloud } from './cloud.ts';
import { hideSecrets } from './hide-secrets.ts';
import { startGateway } from './http-api/gateway.ts';
import { registerLocalClient } from './openid/local-client.ts';
import { databaseUrlsOf, type OperatorKeys, operatorKeysOf } from './operator-keys.ts';
import { keepOperatorValues } from './operator-values.ts';
import { type PdsControls, pdsControls } from './pds-controls.ts';
import {
  type PdsMode,
  type PlatformFile,
  readPlatformFile,
  removePlatformFile,
  writePlatformFile,
} from './platform-file.ts';
import { lockDataDirectory } from './process/instance-lock.ts';
import { checkPort } from './process/ports.ts';
import { createStopper, type Stopper } from './process/stopper.ts';
import { scheduleRoute } from './schedule-route.ts';
import { pdsDirectory, plcUrlOf, remotePdsDirectory, startServers } from './servers.ts';
import { ADMIN_TELEGRAM_ID, telegramDialog } from './telegram.ts';
import { loadAssembly } from './template/assembly.ts';
import { synthesize } from './template/synthesize.ts';

export type PlatformOptions = {
  /** Where everything that survives a restart lies. */
  dataDir: string;
  /** Where the functions are bundled already (infra/build.ts). Default: they are bundled at the start. */
  bundles?: string;
  /** Port of the app; 0 or absent: a free one. */
  httpPort?: number;
  /** Port of the PDS; 0 or absent: one that was free at the first start on this folder. */
  pdsPort?: number;
  /** Where new members' accounts are made. Default `local`. The others take a second PDS. */
  mode?: PdsMode;
  /** Port of the second PDS; 0 or absent: one that was free at the first start on this folder. */
  remotePdsPort?: number;
  /** What the operator of the second PDS, which asks for invites, gives us. Default `invite`. */
  remoteRights?: RemoteRights;
  /** Whether the PDSs limit how much is asked of them. Default: in hybrid mode. */
  rateLimits?: boolean;
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

/** A running platform: what its file says, and what can be done with it. */
export type Platform = Omit<PlatformFile, 'pid'> &
  Pick<RunningCloud, 'functions' | 'fire' | 'schedules' | 'queueUrl'> & {
    /** The PDS, for whoever wants to see what happens without it. */
    pds: PdsControls;
    /** The PDS that stands for somebody else's. It runs in `remote` and `hybrid`, and wherever it once ran. */
    remotePds?: PdsControls | undefined;
    /** What the bot says, and how Telegram takes it. */
    botApi: Omit<BotApi, 'route'>;
    operator: OperatorKeys;
    /** Ends everything, in order. Repeatable. */
    stop(): Promise<void>;
  };

const DOMAIN = 'pnptv.test';
/** Stacks without a part that could run here. */
const NOT_RUN = /(^|-)(edge|monitoring)$/;
const LEFTOVERS_MS = 5_000;

/**
 * Bundles and synthesizes the app and runs it on this machine, with a real PostgreSQL, PDS and PLC directory around
 * it. Resolves when the first request can be served. Fails with one sentence, and then nothing is left running.
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const stopper = createStopper();
  try {
    return await start({ ...options, dataDir: path.resolve(options.dataDir) }, stopper);
  } catch (error) {
    await stopper.stop();
    throw error;
  }
}

async function start(options: PlatformOptions, stopper: Stopper): Promise<Platform> {
  const { dataDir, stage = 'local', mode = 'local', onProgress = () => {}, onNotice = () => {} } = options;
  stopper.add(await lockDataDirectory(dataDir));
  const operator = await keepOperatorValues(path.join(dataDir, 'operator.json'));
  const { botToken, internalApiKey, webhookSecret, plcPort } = operator;
  const remoteDir = remotePdsDirectory(dataDir);
  // Who was placed there lives there, whatever the mode is now.
  const hasRemote = mode !== 'local' || existsSync(remoteDir);
  const pdsSecrets = pdsSecretsIn(pdsDirectory(dataDir));
  const remoteSecrets = hasRemote ? Object.values(pdsSecretsIn(remoteDir)) : [];
  // A PDS logs the headers that it gets.
  const hidden = [botToken, internalApiKey, webhookSecret, ...Object.values(pdsSecrets), ...remoteSecrets];
  const onLog = options.onLog && hideSecrets(hidden, options.onLog);

  // Whatever starts last, the servers outlive those that talk to them.
  const serverStopper = createStopper();
  stopper.add(serverStopper.stop);
  const botApi = openBotApi({ botToken });
  const localRoutes = [telegramDialog({ botToken }), botApi.route];
  const gateway = await startGateway({
    port: options.httpPort ?? 0,
    domain: DOMAIN,
    localRoutes,
    staticDirectories: [path.join(import.meta.dirname, 'page')],
  });
  stopper.add(gateway.stop);
  const openid = await registerLocalClient({ origin: gateway.url, botToken });
  localRoutes.push(openid.route);
  const pdsPort = options.pdsPort || operator.pdsPort;
  // The servers of a platform that was killed end by themselves, a moment after it.
  const patienceMs = readPlatformFile(dataDir) ? LEFTOVERS_MS : 0;
  const remotePdsPort = options.remotePdsPort || operator.remotePdsPort;
  for (const port of [pdsPort, plcPort, ...(hasRemote ? [remotePdsPort] : [])])
    await checkPort(port, { patienceMs });
  const pdsUrl = `http://localhost:${pdsPort}`;
  const remotePdsUrl = hasRemote ? `http://localhost:${remotePdsPort}` : undefined;
  const plcUrl = plcUrlOf(plcPort);
  const gatewayUrl = `http://127.0.0.1:${gateway.port}`;

  const admins = [ADMIN_TELEGRAM_ID, options.settings?.ADMIN_TELEGRAM_IDS].filter(Boolean);
  const assembling = synthesize({
    dataDir,
    bundles: options.bundles,
    environment: {
      TELEGRAM_API_ROOT: `${gatewayUrl}${BOT_API_PATH}`,
      TELEGRAM_ADMIN_CHAT_ID: String(ADMIN_TELEGRAM_ID),
      ...openid.settings,
      ...options.settings,
      PDS_STAGE: stage,
      PDS_MODE: mode,
      PDS_DOMAIN: DOMAIN,
      PDS_APP_ORIGIN: gateway.url,
      PDS_LOCAL_ENDPOINT: pdsUrl,
      ...(remotePdsUrl && { PDS_REMOTE_PROVIDER: remotePdsUrl }),
      PDS_PLC_URL: plcUrl,
      ADMIN_TELEGRAM_IDS: admins.join(','),
    },
  }).then(({ directory, reused }) => {
    onProgress('app', reused ? 'unchanged since the last start' : 'bundled and synthesized');
    return loadAssembly(directory, (name) => !NOT_RUN.test(name));
  });
  const { rateLimits = mode === 'hybrid' } = options;
  const { postgresStarting, pdsStarting, remotePdsStarting } = startServers(
    { durable: options.durable, onProgress, onNotice, onLog, stopper: serverStopper },
    {
      dataDir,
      domain: DOMAIN,
      gatewayUrl,
      plcPort,
      pds: { port: pdsPort, rateLimits },
      ...(hasRemote && {
        remotePds: { port: remotePdsPort, rateLimits, inviteRequired: true, handleDomain: 'elsewhere.test' },
      }),
    },
  );
  const deploying = Promise.all([assembling, postgresStarting]).then(async ([stacks, postgresUrl]) => {
    const rights = await remotePdsStarting.then((remote) => {
      return (
        remote &&
        remoteRightsOf(remote.current(), { dir: remoteDir, rights: options.remoteRights ?? 'invite' })
      );
    });
    if (rights?.PDS_REMOTE_INVITE_CODE) hidden.push(rights.PDS_REMOTE_INVITE_CODE);
    const cloud = await startCloud(stacks, {
      keysFile: path.join(dataDir, 'kms.json'),
      secretsFile: path.join(dataDir, 'secrets.json'),
      bucketsFolder: path.join(dataDir, 'buckets'),
      postgresUrl,
      operatorSecrets: {
        ...openid.secrets,
        TELEGRAM_BOT_TOKEN: botToken,
        TELEGRAM_WEBHOOK_SECRET: webhookSecret,
        INTERNAL_API_KEYS: internalApiKey,
        PDS_ADMIN_PASSWORD: pdsSecrets.adminPassword,
        // Limits are there to be kept to.
        ...(!rateLimits && { PDS_RATE_LIMIT_BYPASS_KEY: pdsSecrets.rateLimitBypassKey }),
        ...rights,
      },
      preload: [memberHostsModule(gatewayUrl)],
      compileCache: path.join(dataDir, 'compiled'),
      poolLimits: options.poolLimits,
      onLog,
      onNotice,
    });
    stopper.add(cloud.stop);
    onProgress('functions', `${cloud.functions.ids().length} functions, ${cloud.api().routes.length} routes`);
    return cloud;
  });

  // Whatever is still starting has to be known before it can be stopped.
  const results = await Promise.allSettled([
    assembling,
    postgresStarting,
    pdsStarting,
    remotePdsStarting,
    deploying,
  ]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  const [cloud, pds, remotePds, postgresUrl] = await Promise.all([
    deploying,
    pdsStarting,
    remotePdsStarting,
    postgresStarting,
  ]);
  localRoutes.push(scheduleRoute(cloud));
  gateway.serve(cloud.api());

  const { functions, fire, schedules, queueUrl } = cloud;
  const databaseUrls = databaseUrlsOf(cloud, postgresUrl);
  const { url } = gateway;
  const keys = operatorKeysOf(cloud, databaseUrls.worker);
  const content = {
    url,
    mode,
    pdsUrl,
    remotePdsUrl,
    plcUrl,
    domain: DOMAIN,
    botToken,
    internalApiKey,
    webhookSecret,
    adminTelegramId: ADMIN_TELEGRAM_ID,
    databaseUrls,
    vault: { settings: keys.settings, environment: keys.environment },
  };
  writePlatformFile(dataDir, { pid: process.pid, ...content });
  stopper.add(async () => removePlatformFile(dataDir));
  const controls = {
    functions,
    fire,
    schedules,
    queueUrl,
    pds: pdsControls(pds),
    remotePds: remotePds && pdsControls(remotePds),
    botApi,
    stop: stopper.stop,
  };
  return { ...content, ...controls, operator: keys };
}

/** The secrets of the PDS in this folder, which is made at its first start. */
function pdsSecretsIn(dir: string): PdsSecrets {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return keepPdsSecrets(path.join(dir, 'secrets.json'));
}

/** Lets a function's process find members' names, which no DNS knows. */
function memberHostsModule(gateway: string): string {
  const module = new URL('./lambda/member-hosts.ts', import.meta.url);
  module.search = String(new URLSearchParams({ domain: DOMAIN, gateway }));
  return module.href;
}
