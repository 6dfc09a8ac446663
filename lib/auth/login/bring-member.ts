import {
  type Arrival,
  type LoginDeps,
  type LoginProfile,
  PROFILE_FIELDS,
  useUpSignature,
  welcome,
} from './log-in.ts';
import { type LoginToken, makeLoginToken } from './login-token.ts';

/** A member as a backend knows him. What it does not say stays as it is known; null takes it away. */
export type BroughtProfile = { telegramId: number } & {
  [Field in Exclude<keyof LoginProfile, 'id'>]?: string | null | undefined;
};

/**
 * Takes in a member whom a backend has logged in, and makes the code by which his browser gets a session. In one
 * transaction the request is used up, the member is stored, and his code and the work that his identity needs are
 * written down: a request that was interrupted left nothing behind, and one whose answer was lost is signed anew.
 * Throws `SIGNATURE_REPLAYED` (401) for a request that was here before, also if it is here at this very moment.
 */
export function bringMember(
  deps: LoginDeps,
  { profile: { telegramId: id, ...said }, signature }: { profile: BroughtProfile; signature: string },
): Promise<Arrival & { code: LoginToken }> {
  const unsaid = PROFILE_FIELDS.filter((field) => said[field] === undefined);
  const known = Object.fromEntries(PROFILE_FIELDS.map((field) => [field, said[field] ?? undefined]));
  return deps.sql.begin(async (tx) => {
    await useUpSignature(tx, signature, 'SIGNATURE_REPLAYED');
    const arrival = await welcome(tx, deps, { id, ...known }, unsaid);
    const code = await makeLoginToken({ ...deps, sql: tx }, { kind: 'exchange', userId: arrival.member.id });
    return { ...arrival, code };
  });
}
