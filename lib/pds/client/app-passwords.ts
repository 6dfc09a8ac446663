import * as z from 'zod/mini';
import { callXrpc, type PdsConnection } from '../xrpc.ts';
import { XrpcError } from '../xrpc-error.ts';

export type AppPassword = { name: string; createdAt: string; privileged: boolean };

const appPassword = z.object({
  name: z.string(),
  createdAt: z.iso.datetime({ offset: true }),
  privileged: z._default(z.boolean(), false),
});

/**
 * com.atproto.server.createAppPassword. The PDS makes the password and shows it in this answer alone.
 * @NOTE `@atproto/pds` has no limit and takes any name; one that exists already is an error 500 there.
 */
export async function createAppPassword(
  pds: PdsConnection,
  accessJwt: string,
  input: { name: string; privileged: boolean },
): Promise<AppPassword & { password: string }> {
  const nsid = 'com.atproto.server.createAppPassword';
  const made = await callXrpc(pds, {
    nsid,
    input,
    authorization: `Bearer ${accessJwt}`,
    answer: z.extend(appPassword, { password: z.string().check(z.minLength(1), z.maxLength(256)) }),
  });
  if (made.name === input.name) return made;
  throw new XrpcError({ nsid, fault: 'malformed', detail: 'an app password by another name' });
}

/** com.atproto.server.listAppPasswords: newest first. */
export async function listAppPasswords(pds: PdsConnection, accessJwt: string): Promise<AppPassword[]> {
  const { passwords } = await callXrpc(pds, {
    nsid: 'com.atproto.server.listAppPasswords',
    authorization: `Bearer ${accessJwt}`,
    answer: z.object({ passwords: z.array(appPassword) }),
  });
  return passwords;
}

/**
 * com.atproto.server.revokeAppPassword; may be repeated. It also ends the refresh tokens that were got by it; an access
 * token lives on for as long as it is good.
 */
export async function revokeAppPassword(pds: PdsConnection, accessJwt: string, name: string): Promise<void> {
  await callXrpc(pds, {
    nsid: 'com.atproto.server.revokeAppPassword',
    input: { name },
    authorization: `Bearer ${accessJwt}`,
  });
}
