import type { Log } from '../observability/log.ts';
import { errorAnswer, withCommonHeaders } from './answer.ts';
import { guestOf } from './browser-origin.ts';
import type { Contract } from './contract.ts';
import { apiError } from './error-codes.ts';
import { type ApiAnswer, type ApiEvent, requestIdOf } from './event.ts';
import { admitHost, type HostSettings, originOf } from './host.ts';

/** CORS: https://fetch.spec.whatwg.org/#http-cors-protocol */
const TO_GUESTS = {
  'access-control-allow-credentials': 'true',
  'access-control-expose-headers': 'content-disposition, retry-after, x-request-id',
};
const METHODS: readonly Contract['method'][] = ['GET', 'POST', 'PATCH', 'DELETE'];
const TO_PREFLIGHTS = {
  'access-control-allow-methods': METHODS.join(', '),
  'access-control-allow-headers': 'authorization, content-type',
  // Two hours: no browser remembers it for longer.
  'access-control-max-age': '7200',
  'cache-control': 'no-store',
};

/**
 * The answer with the headers by which a browser lets the page of an allowed origin read it, also in a member's name.
 * The page of any other origin gets none of them.
 * @NOTE API Gateway could write them, but then drops those that a function writes: DID documents would lose their `*`.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html
 */
export function withCors(settings: HostSettings, event: ApiEvent, answer: ApiAnswer): ApiAnswer {
  if (settings.PDS_ALLOWED_ORIGINS === undefined) return answer;
  const guest = guestOf(settings, event);
  const headers = guest === undefined ? {} : { ...TO_GUESTS, 'access-control-allow-origin': guest };
  return { ...answer, headers: { ...answer.headers, ...headers, vary: 'Origin' } };
}

/** Makes the Lambda that tells a browser whether a page may call our routes: if its origin is an allowed one. */
export function preflight({ hosts, log }: { hosts: HostSettings; log: Log }) {
  return async (event: ApiEvent): Promise<ApiAnswer> => {
    const requestId = requestIdOf(event);
    const finish = (answer: ApiAnswer) => withCommonHeaders(withCors(hosts, event, answer), 'app', requestId);
    try {
      admitHost(hosts, 'app', originOf(hosts, event));
      if (guestOf(hosts, event) === undefined) throw apiError('ORIGIN_FORBIDDEN');
      return finish({ statusCode: 204, headers: TO_PREFLIGHTS });
    } catch (refusal) {
      const ours = log.with({ request_id: requestId, operation: 'preflight' });
      return finish(errorAnswer(refusal, ours, requestId));
    }
  };
}
