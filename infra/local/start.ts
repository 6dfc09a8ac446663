import { createWriteStream, existsSync, renameSync, type WriteStream } from 'node:fs';
import path from 'node:path';
import { COMMON_OPTIONS, explain, readCommandLine, refuse } from './command-line.ts';
import { troubleIn } from './function-log.ts';
import { type Platform, startPlatform } from './platform.ts';
import { lockDataDirectory } from './process/instance-lock.ts';
import { removeData } from './remove-data.ts';

/** Settings of infra/stage.ts that make sense on one machine. */
const SETTINGS = [
  'PDS_HANDLE_STRATEGY',
  'PDS_DID_METHOD',
  'PDS_DATA_KEYS',
  'PDS_PROVISIONING_ENABLED',
  'TELEGRAM_BOT_USERNAME',
  'PDS_LOCAL_WEIGHT',
  'PDS_REMOTE_WEIGHT',
  'ADMIN_TELEGRAM_IDS',
  'PDS_ALLOWED_ORIGINS',
];
const MODES = ['local', 'remote', 'hybrid'] as const;
const USAGE = `Usage: npm start -- [options]
  --mode MODE               where new accounts are made: local, remote or hybrid (local). The last two take a
                            second Personal Data Server, which stands for somebody else's and asks for invites
  --port NUMBER             port of the app (3001)
  --pds-port NUMBER         port of the Personal Data Server (3000)
  --remote-pds-port NUMBER  port of the second one (3002)
  --data FOLDER             where everything lies that survives a restart (.data)
  --fresh                   begin with nothing: removes that folder first
  --logs                    print every line that functions, PDS and PLC directory log
These settings may be given as environment variables, e.g. PDS_HANDLE_STRATEGY=generated npm start:
  ${SETTINGS.join('\n  ')}`;
const STOP_LIMIT_MS = 3_000;

const options = readOptions();
const dataDir = path.resolve(options.data);
const started = performance.now();
const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
let platform: Platform | undefined;
let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);

try {
  if (options.fresh) {
    const unlock = await lockDataDirectory(dataDir);
    await removeData(dataDir);
    await unlock();
  }
  platform = await startPlatform({
    dataDir,
    httpPort: options.port,
    pdsPort: options.pdsPort,
    remotePdsPort: options.remotePdsPort,
    mode: options.mode,
    settings: Object.fromEntries(
      SETTINGS.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
    ),
    onProgress: (part, text) => console.log(`${seconds().padStart(7)}  ${part.padEnd(9)}  ${text}`),
    onNotice: (text) => console.error(`\n${text}`),
    onLog: openLog(),
  });
  console.log(`\nReady after ${seconds()}: open ${platform.url} (Ctrl-C stops it)`);
} catch (error) {
  console.error(`\n${explain(error)}`);
  process.exit(1);
}

function readOptions() {
  const {
    'pds-port': pdsPort,
    'remote-pds-port': remotePdsPort,
    port,
    mode,
    ...others
  } = readCommandLine(USAGE, {
    options: {
      ...COMMON_OPTIONS,
      port: { type: 'string', default: '3001' },
      'pds-port': { type: 'string', default: '3000' },
      'remote-pds-port': { type: 'string', default: '3002' },
      mode: { type: 'string', default: 'local' },
      fresh: { type: 'boolean', default: false },
      logs: { type: 'boolean', default: false },
    },
  });
  return {
    ...others,
    mode: MODES.find((known) => known === mode) ?? refuse(USAGE, '--mode takes local, remote or hybrid.'),
    port: readPort('--port', port),
    pdsPort: readPort('--pds-port', pdsPort),
    remotePdsPort: readPort('--remote-pds-port', remotePdsPort),
  };
}

function readPort(option: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  return refuse(USAGE, `${option} takes a number from 1 to 65535, or 0 for a free port.`);
}

/**
 * Every line goes to a file, and that of the run before stays beside it; the terminal gets what went wrong, or all of
 * it with --logs.
 */
function openLog() {
  let file: WriteStream | undefined;
  return (source: string, line: string) => {
    file ??= beginLogFile(path.join(dataDir, 'platform.log'));
    file.write(`${new Date().toISOString()} ${source} ${line}\n`);
    // A start that fails says why in one sentence.
    const shown = options.logs ? line : platform && troubleIn(source, line);
    if (shown) console.error(`[${source}] ${shown}`);
  };
}

function beginLogFile(file: string): WriteStream {
  if (existsSync(file)) renameSync(file, `${file}.previous`);
  return createWriteStream(file, { mode: 0o600 }).on('error', (error) => console.error(explain(error)));
}

async function stop(): Promise<void> {
  // Asked twice, or before there is anything to stop in order: at once. No child outlives this process.
  if (stopping || !platform) process.exit(130);
  stopping = true;
  console.log('\nStopping…');
  setTimeout(() => process.exit(0), STOP_LIMIT_MS);
  await platform.stop().catch((error) => console.error(explain(error)));
  process.exit(0);
}
