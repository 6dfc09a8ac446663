import {
  asMember,
  type Me,
  type Member,
  type MeValue,
  type Sessions,
  whoIsThere,
} from '../auth/session/session.ts';
import { readBearerToken, readSessionToken } from '../auth/session/session-cookie.ts';
import type { Contract } from './contract.ts';
import { apiError } from './error-codes.ts';
import type { ApiEvent } from './event.ts';
import type { Admit, Presented } from './request.ts';

/** Who asks, as far as that is known before the handler runs. */
export type Asker = {
  /**
   * `member` for a change: he is found before anything else, by the token that he `presented`. `me` for a read: its own
   * query finds him. `signature` for a signed request: see {@link Admit}.
   */
  known: { me?: Me; member?: Member; presented?: Presented; signature?: string | undefined };
  /** Throws `SESSION_REQUIRED` or `ADMIN_REQUIRED` unless a query of `me` has found him by now or finds him here. */
  insist(): Promise<void>;
};

const ANYBODY: Asker = { known: {}, insist: async () => {} };

/**
 * Throws as soon as it is clear that he may not: `SESSION_REQUIRED` (401) or `ADMIN_REQUIRED` (403), and for a signed
 * request whatever `admit` throws. A bearer token goes before a cookie (RFC 6750, 2.1).
 */
export async function askerOf(
  { access, method }: Pick<Contract, 'access' | 'method'>,
  { sessions, admit }: { sessions?: Sessions | undefined; admit?: Admit | undefined },
  event: ApiEvent,
): Promise<Asker> {
  if (access === 'public') return ANYBODY;
  if (access === 'backend' || access === 'telegram') {
    if (admit === undefined) throw new Error('a signed route needs to know who signs');
    return { ...ANYBODY, known: { signature: await admit(event) } };
  }
  const { authorization } = event.headers;
  const token =
    authorization === undefined ? readSessionToken(event.cookies) : readBearerToken(authorization);
  if (token === undefined) throw apiError('SESSION_REQUIRED');
  if (sessions === undefined) throw new Error('a route for members needs sessions');
  const ask = asMember(sessions, token, access);
  if (method !== 'GET') {
    const presented = { token, as: authorization === undefined ? 'cookie' : 'bearer' } as const;
    return { ...ANYBODY, known: { member: await whoIsThere(ask), presented } };
  }

  let found = false;
  const me: Me = async <Row extends object>(strings: TemplateStringsArray, ...values: readonly MeValue[]) => {
    const rows = await ask<Row>(strings, ...values);
    found = true;
    return rows;
  };
  const insist = async () => {
    if (!found) await whoIsThere(me);
  };
  return { known: { me }, insist };
}
