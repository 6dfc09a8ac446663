import { signBackendRequest } from '../../infra/local/backend.ts';
import type { Contract } from '../../lib/http/contract.ts';
import { validInput } from '../integration/bad-input/valid-input.ts';
import { deployedSecret, type RunningPlatform } from './running-platform.ts';

/** Who asks, with every right to: what is refused is refused for what is sent. */
export type Rightful = { running: RunningPlatform; memberCookie: string; adminCookie: string };

/** The path of a contract with its documented parameters. */
export function rightPath(contract: Contract): string {
  const params = exampleFor(contract, 'params') ?? {};
  return contract.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(params[name])),
  );
}

/** The documented example of what a contract takes; undefined where it takes nothing. */
export function exampleFor(
  contract: Contract,
  part: 'body' | 'query' | 'params',
): Record<string, unknown> | undefined {
  return validInput(contract, part, 1)?.valid[0];
}

/** The headers by which a request is admitted. */
export function credentialsFor(
  { running, memberCookie, adminCookie }: Rightful,
  { access, method }: Pick<Contract, 'access' | 'method'>,
  path: string,
  body: string,
): Record<string, string> {
  switch (access) {
    case 'public':
      return {};
    case 'member':
      return { cookie: memberCookie };
    case 'admin':
      return { cookie: adminCookie };
    case 'backend':
      return signBackendRequest(running.platform.internalApiKey, { method, path, body });
    case 'telegram':
      return { 'x-telegram-bot-api-secret-token': deployedSecret(running.dataDir, /webhook/i) };
  }
}
