import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { networkOf } from '../auth/rate-limit.ts';
import type { Member } from '../auth/session/session.ts';
import { hasStepUp, needStepUp, type StepUpNeed } from '../auth/step-up.ts';
import { envelope, errorAnswer, withCommonHeaders } from './answer.ts';
import { askerOf } from './asker.ts';
import { refuseForeignPages } from './browser-origin.ts';
import type { Contract } from './contract.ts';
import { withCors } from './cors.ts';
import { apiError } from './error-codes.ts';
import { type ApiAnswer, type ApiEvent, requestIdOf } from './event.ts';
import { admitHost, originOf } from './host.ts';
import { readInput } from './input.ts';
import type { Handler, Request, RouteDeps } from './request.ts';
import { isStorable } from './validate.ts';

/** How long before the Lambda's own time-out we give up, so that the caller still gets an answer of ours. */
const TIME_TO_ANSWER_MS = 300;

export type ApiHandler = (event: ApiEvent, context: Context) => Promise<ApiAnswer>;

/**
 * Makes the Lambda of a contract out of what its route does. Every request goes the same way and stops at the first
 * step that refuses it: host → the browser's origin → session and role → body → fields → rate limits → `handler`. What
 * the handler returns leaves in the envelope; what anything throws is mapped in answer.ts.
 */
export function route<const C extends Contract>(
  contract: C,
  deps: RouteDeps<C>,
  handler: Handler<C>,
): ApiHandler {
  const logOf = (event: ApiEvent) =>
    deps.log.with({ request_id: requestIdOf(event), operation: contract.operationId });
  const finish = (event: ApiEvent, answer: ApiAnswer) =>
    withCommonHeaders(
      contract.host === 'app' ? withCors(deps.hosts, event, answer) : answer,
      contract.host,
      requestIdOf(event),
    );

  const answer = async (
    event: ApiEvent,
    _: Context,
    { signal }: { signal: AbortSignal },
  ): Promise<ApiAnswer> => {
    const origin = originOf(deps.hosts, event);
    admitHost(deps.hosts, contract.host, origin);
    refuseForeignPages(deps.hosts, contract, event, origin);
    await deps.awake?.();
    const asker = await askerOf(contract, deps, event);
    const input = await readInput(contract, event).catch(async (refusal) => {
      await asker.insist(); // 401 goes before 400
      throw refusal;
    });
    const stepUp = needStepUp(contract, asker.known.member, input);
    await countUse(contract, deps, { member: await countedAs(deps, stepUp, asker.known.member), ...origin });
    const newCookies: string[] = [];
    const request = {
      ...origin,
      ...asker.known,
      ...input,
      stepUp,
      userAgent: textOf(event, 'user-agent'),
      acceptLanguage: textOf(event, 'accept-language'),
      cookies: event.cookies ?? [],
      setCookie: (cookie: string) => void newCookies.push(cookie),
      log: logOf(event),
      signal,
    };
    const result = await handler(request as unknown as Request<C>);
    await asker.insist();
    if (stepUp && !stepUp.used) throw new Error(`${contract.operationId} did not ask for the second factor`);
    return finish(event, {
      ...envelope(contract, result),
      ...(newCookies.length > 0 && { cookies: newCookies }),
    });
  };

  const timeoutEarlyResponse = () => {
    throw apiError('TIMEOUT');
  };
  return middy<ApiEvent, ApiAnswer>(answer, {
    timeoutEarlyInMillis: TIME_TO_ANSWER_MS,
    timeoutEarlyResponse,
  }).onError(({ event, error }) => finish(event, errorAnswer(error, logOf(event), requestIdOf(event))));
}

/** A header that is kept or shown. One that could not be stored is as good as none: it fails nobody's login. */
function textOf({ headers }: ApiEvent, name: string): string | undefined {
  const text = headers[name];
  return text !== undefined && isStorable(text) ? text : undefined;
}

/**
 * Whose limit a member's request counts for. What lacks its second factor counts by itself: somebody who has found nothing
 * but an open session must not use up what its owner may do a day.
 */
async function countedAs(
  { sessions }: RouteDeps<Contract>,
  stepUp: StepUpNeed | undefined,
  member: Member | undefined,
): Promise<string | undefined> {
  if (stepUp === undefined || sessions === undefined) return member?.id;
  return (await hasStepUp(sessions.sql, stepUp)) ? stepUp.userId : `${stepUp.userId}:unconfirmed`;
}

/**
 * Counts a request that is in order against the limits of its contract. Throws `RATE_LIMITED` (429). What is too much for
 * one member does not count for his network: he would use up what others behind the same address may do.
 */
async function countUse(
  { operationId, limits }: Contract,
  { limit }: RouteDeps<Contract>,
  { member, address }: { member: string | undefined; address: string },
): Promise<void> {
  if (limits === undefined) return;
  if (limit === undefined) throw new Error('a limited route needs to know how to count');
  if (limits.member && member) await limit(operationId, member, limits.member);
  if (limits.address) await limit(operationId, networkOf(address), limits.address);
}
