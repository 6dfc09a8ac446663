import { setTimeout as sleep } from 'node:timers/promises';
import type { LambdaFunction } from '../lambda/function.ts';
import { gatewayAnswer, type HttpAnswer, toAnswer } from './answer.ts';
import { type HttpRequest, splitTarget, toEvent } from './request.ts';
import { matchRoute, type Route } from './routes.ts';

export type Integration = { fn: LambdaFunction; timeoutMs: number };

/** An HTTP API (AWS::ApiGatewayV2::Api) with its routes, as far as they have been created. */
export type HttpApi = {
  id: string;
  account: string;
  routes: Route[];
  integrations: Map<string, Integration>;
  stage: { name: string; variables?: Record<string, string> } | undefined;
};

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html */
export const MAX_BODY_BYTES = 10 * 1024 * 1024;
export const MAX_HEADER_BYTES = 10_240;
export const MAX_INTEGRATION_TIMEOUT_MS = 30_000;
/** A second below the quota: what is in time here is in time behind CloudFront, too. */
export const DEFAULT_INTEGRATION_TIMEOUT_MS = 29_000;

/** Answers one request as API Gateway does. Never rejects. */
export async function answerRequest(api: HttpApi, request: HttpRequest): Promise<HttpAnswer> {
  const [path] = splitTarget(request.target);
  const stage = api.stage;
  if (!stage) return gatewayAnswer(404, 'Not Found');
  if (request.body.length > MAX_BODY_BYTES) return gatewayAnswer(413, 'Request Entity Too Large');
  try {
    const match = matchRoute(api.routes, request.method, path);
    const integration = match && api.integrations.get(match.route.integrationId);
    if (!match || !integration) return gatewayAnswer(404, 'Not Found');
    const context = {
      apiId: api.id,
      account: api.account,
      stage: stage.name,
      stageVariables: stage.variables,
    };
    const event = toEvent(context, request, match.route.routeKey, match.pathParameters);
    return await invokeWithin(integration, event);
  } catch (error) {
    if (error instanceof URIError) return gatewayAnswer(400, 'Bad Request');
    return gatewayAnswer(500, 'Internal Server Error');
  }
}

async function invokeWithin({ fn, timeoutMs }: Integration, event: unknown): Promise<HttpAnswer> {
  const done = new AbortController();
  const late = sleep(timeoutMs, gatewayAnswer(503, 'Service Unavailable'), { signal: done.signal });
  late.catch(() => {});
  try {
    return await Promise.race([fn.invoke(event).then(toAnswer), late]);
  } finally {
    done.abort();
  }
}
