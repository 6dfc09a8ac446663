import path from 'node:path';
import postgres from 'postgres';
import { type Pds, type PdsOptions, startPds } from './atproto/pds.ts';
import { startPlc } from './atproto/plc.ts';
import { startPostgres } from './postgres/postgres.ts';
import { type KeptChild, keepRunning } from './process/kept-child.ts';
import type { Stopper } from './process/stopper.ts';

type Dependencies = {
  stopper: Stopper;
  /** False skips every fsync of the database. */
  durable?: boolean;
  onProgress(part: string, text: string): void;
  onNotice(text: string): void;
  onLog?: (source: string, line: string) => void;
};

export type ServerOptions = {
  dataDir: string;
  /** Members' domain, and who answers for its names. */
  domain: string;
  gatewayUrl: string;
  plcPort: number;
  pds: DataServer;
  /** The one that stands for a PDS of somebody else's. */
  remotePds?: DataServer | undefined;
};

/** What one PDS has for itself. */
type DataServer = Pick<PdsOptions, 'handleDomain' | 'inviteRequired' | 'rateLimits'> & { port: number };

/**
 * Starts the servers that the app meets on this machine instead of RDS and the network: PostgreSQL, then the PLC
 * directory, then the PDSs. Each is started again when it crashes, and stopped by the stopper.
 */
export function startServers(deps: Dependencies, options: ServerOptions) {
  const { dataDir, pds, remotePds } = options;
  const postgresStarting = startDatabase(deps, options);
  const plcStarting = postgresStarting.then((postgresUrl) => startPlcDirectory(deps, options, postgresUrl));
  const pdsStarting = plcStarting.then(() =>
    startDataServer(deps, options, { ...pds, source: 'pds', name: 'PDS', dir: pdsDirectory(dataDir) }),
  );
  const remotePdsStarting = plcStarting.then(() => {
    const dir = remotePdsDirectory(dataDir);
    if (!remotePds) return undefined;
    return startDataServer(deps, options, { ...remotePds, source: 'remote-pds', name: 'remote PDS', dir });
  });
  return { postgresStarting, pdsStarting, remotePdsStarting };
}

/** The PLC directory's address, known before it is up. */
export const plcUrlOf = (plcPort: number): string => `http://127.0.0.1:${plcPort}`;

/** Where the PDS keeps everything; its secrets are made before it starts. */
export const pdsDirectory = (dataDir: string): string => path.join(dataDir, 'pds');

/** Where the second PDS keeps everything; it is there from the first start in a mode that needs one. */
export const remotePdsDirectory = (dataDir: string): string => path.join(dataDir, 'remote-pds');

/** Where PostgreSQL keeps everything. */
export const postgresDirectory = (dataDir: string): string => path.join(dataDir, 'postgres');

async function startDatabase(deps: Dependencies, { dataDir }: ServerOptions): Promise<string> {
  // Functions know its address: when it comes back, it comes back there.
  let port: number | undefined;
  const server = await keepRunning(async () => {
    const started = await startPostgres({ dir: postgresDirectory(dataDir), port, durable: deps.durable });
    port = started.port;
    return started;
  }, deps.onNotice);
  deps.stopper.add(server.stop);
  deps.onProgress('database', 'PostgreSQL is up');
  return server.current().url;
}

async function startPlcDirectory(
  { stopper, onProgress, onNotice, onLog }: Dependencies,
  { plcPort }: ServerOptions,
  postgresUrl: string,
): Promise<void> {
  const databaseUrl = await ensurePlcDatabase(postgresUrl);
  const directory = await keepRunning(
    () => startPlc({ port: plcPort, databaseUrl, onLog: onLog && ((line) => onLog('plc', line)) }),
    onNotice,
  );
  stopper.add(directory.stop);
  onProgress('plc', `PLC directory is up on ${directory.current().url}`);
}

async function startDataServer(
  { stopper, onProgress, onNotice, onLog }: Dependencies,
  { domain, gatewayUrl, plcPort }: ServerOptions,
  { source, name, ...server }: DataServer & { source: string; name: string; dir: string },
): Promise<KeptChild<Pds>> {
  const pds = await keepRunning(
    () =>
      startPds({
        ...server,
        plcUrl: plcUrlOf(plcPort),
        gatewayUrl,
        domain,
        onLog: onLog && ((line) => onLog(source, line)),
      }),
    onNotice,
  );
  stopper.add(pds.stop);
  onProgress('pds', `${name} is up on ${pds.current().url}`);
  return pds;
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
