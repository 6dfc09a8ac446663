import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { ServerEnvironment } from '@atproto/pds';
import type { PdsAdmin } from '../../../lib/pds/client/admin.ts';
import type { Child, OnLog } from '../process/child.ts';
import { freePort } from '../process/free-port.ts';
import { startNodeChild } from '../process/node-child.ts';
import type { MemberHosts } from './member-fetch.ts';
import { keepPdsSecrets } from './pds-secrets.ts';

export type PdsOptions = {
  /** Where its databases, blobs and secrets lie. */
  dir: string;
  /** Loopback port; 0 or absent: a free one. */
  port?: number;
  /** The PLC directory that it writes did:plc identities to. */
  plcUrl: string;
  /** Who answers for `https://<name>.<domain>/…`, see member-fetch.ts. */
  gatewayUrl: string;
  /** Members' domain. Never a service handle domain of this PDS: we serve those names ourselves. */
  domain: string;
  /** Its identity in service JWTs (`aud`). Default `did:web:localhost%3A<port>`, so that no two PDSs share one. */
  serviceDid?: string;
  /** The domain in which it gives out handles itself (did:plc). Default `hosted.test`. */
  handleDomain?: string;
  /** Default: made once and kept under `dir`. */
  adminPassword?: string;
  inviteRequired?: boolean;
  /** The limits of the Docker distribution; requests that show `rateLimitBypassKey` pass them. */
  rateLimits?: boolean;
  /** It keeps the preferences of apps, as one does that knows an app's server. Nobody answers there. */
  appView?: boolean;
  /** A module that its process loads first: a test lets its clock run faster by it. */
  preload?: URL;
  onLog?: OnLog;
};

export type Pds = Child & {
  /** Its public URL, to the letter as it stands in DID documents. */
  url: string;
  port: number;
  did: string;
  adminPassword: string;
  rateLimitBypassKey: string;
  /** Keeps connections open but answers nothing, like a server that hangs, until `resume`. */
  pause(): void;
  resume(): void;
};

/** As the Docker distribution has it; by default it would be 5 MB. */
const BLOB_UPLOAD_LIMIT = 100 * 1024 * 1024;

export type PdsProcessInput = { memberHosts: MemberHosts; environment: ServerEnvironment };

/**
 * Starts the real PDS (`@atproto/pds`) in a process of its own on 127.0.0.1 and resolves when it listens.
 * Fails with LOCAL_START_FAILED; a taken port is named.
 */
export async function startPds(options: PdsOptions): Promise<Pds> {
  const { plcUrl, gatewayUrl, domain, onLog } = options;
  const dir = path.resolve(options.dir);
  const blobs = path.join(dir, 'blobs');
  mkdirSync(blobs, { recursive: true, mode: 0o700 });
  const secrets = keepPdsSecrets(path.join(dir, 'secrets.json'));
  const port = options.port || (await freePort());
  const did = options.serviceDid ?? `did:web:localhost%3A${port}`;
  const adminPassword = options.adminPassword ?? secrets.adminPassword;

  const environment: ServerEnvironment = {
    port,
    hostname: 'localhost',
    serviceDid: did,
    serviceHandleDomains: [`.${options.handleDomain ?? 'hosted.test'}`],
    dataDirectory: dir,
    blobstoreDiskLocation: blobs,
    blobstoreDiskTmpLocation: path.join(dir, 'blobs-unfinished'),
    blobUploadLimit: BLOB_UPLOAD_LIMIT,
    // @NOTE its resolver asks no host that is an IP address (allowIpHost in `@atproto/pds`, context.ts), so that it would
    // know no did:plc by its key.
    didPlcUrl: plcUrl.replace('//127.0.0.1:', '//localhost:'),
    crawlers: [],
    inviteRequired: options.inviteRequired ?? false,
    rateLimitsEnabled: options.rateLimits ?? false,
    rateLimitBypassKey: secrets.rateLimitBypassKey,
    ...(options.appView && { bskyAppViewUrl: 'http://127.0.0.1:9', bskyAppViewDid: 'did:web:app.invalid' }),
    jwtSecret: secrets.jwtSecret,
    adminPassword,
    plcRotationKeyK256PrivateKeyHex: secrets.plcRotationKey,
    // The PLC directory and the gateway are http on a loopback address.
    disableSsrfProtection: true,
    devMode: true,
  };
  const child = await startNodeChild({
    name: 'PDS',
    entry: new URL('./pds-process.ts', import.meta.url),
    input: { memberHosts: { domain, gatewayUrl }, environment } satisfies PdsProcessInput,
    directory: dir,
    preload: options.preload,
    env: { LOG_ENABLED: onLog ? 'true' : 'false' },
    onLog,
  });
  return {
    ...child,
    url: `http://localhost:${port}`,
    did,
    adminPassword,
    rateLimitBypassKey: secrets.rateLimitBypassKey,
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
  };
}

const ADMIN_TIMEOUT_MS = 10_000;

/** How its operator speaks to it. Its rate limits do not bind him. */
export function pdsAdmin({
  url,
  adminPassword,
  rateLimitBypassKey,
}: Pick<Pds, 'url' | 'adminPassword' | 'rateLimitBypassKey'>): PdsAdmin {
  const timeoutMs = ADMIN_TIMEOUT_MS;
  return { fetch, now: () => new Date(), endpoint: url, timeoutMs, rateLimitBypassKey, adminPassword };
}
