import { Duration } from 'aws-cdk-lib';
import { type HttpApi, HttpMethod, HttpRoute, HttpRouteKey } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { SettingName } from '../lib/config.ts';
import type { Contract } from '../lib/http/contract.ts';
import { VAULT_SETTINGS as VAULT } from '../lib/vault/vault-settings.ts';
import { addFunction, type Ground } from './function.ts';

/** An HTTP API gives up after 29 s: no route's function may run longer. */
const API_LIMIT = Duration.seconds(29);

export type RouteNeeds = {
  readonly settings: readonly SettingName[];
  /** Default 10 s. */
  readonly timeout?: Duration;
};
/** What each contract of a subsystem's `api.ts` needs: a contract that is forgotten here does not compile. */
export type RoutesOf<Api> = {
  readonly [Name in keyof Api as Api[Name] extends Contract ? Name : never]: RouteNeeds;
};

/** One function for every preflight of a browser (lib/http/cors.ts): for other methods, a path has its own route. */
export function addPreflight(scope: Construct, ground: Ground & { readonly api: HttpApi }): Lambda {
  const needs = {
    subsystem: 'auth',
    operation: 'preflight',
    role: 'api',
    settings: STATIC_SETTINGS,
  } as const;
  const fn = addFunction(scope, ground, { ...needs, timeout: Duration.seconds(5) });
  addRoute(scope, ground.api, { method: 'OPTIONS', path: '/api/{proxy+}' }, fn);
  return fn;
}

/** Gives every contract of a subsystem its function and its route. */
export function addRoutes<Api extends object>(
  scope: Construct,
  ground: Ground & { readonly api: HttpApi },
  subsystem: string,
  contracts: Api,
  routes: RoutesOf<Api>,
): Lambda[] {
  const needsOf: Readonly<Record<string, RouteNeeds | undefined>> = routes;
  return Object.entries(contracts)
    .filter((entry): entry is [string, Contract] => isContract(entry[1]))
    .map(([name, { operationId, method, path }]) => {
      const { settings, timeout = Duration.seconds(10) } = needsOf[name] ?? { settings: [] };
      if (timeout.toSeconds() > API_LIMIT.toSeconds())
        throw new Error(`${operationId} outlives the HTTP API`);
      const operation = kebabCase(operationId);
      const fn = addFunction(scope, ground, { subsystem, operation, role: 'api', settings, timeout });
      addRoute(scope, ground.api, { method, path }, fn);
      return fn;
    });
}

/** A route beside its function, not beside the API: each stack has its own. */
function addRoute(
  scope: Construct,
  httpApi: HttpApi,
  { method, path }: { method: Contract['method'] | 'OPTIONS'; path: string },
  fn: Lambda,
): void {
  new HttpRoute(scope, `${fn.node.id}-route`, {
    httpApi,
    routeKey: HttpRouteKey.with(path, HttpMethod[method]),
    integration: new HttpLambdaIntegration(`${fn.node.id}-integration`, fn),
  });
}

export function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'operationId' in value && 'path' in value;
}

export function kebabCase(camelCase: string): string {
  return camelCase.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** What every route reads: which host is asked for, and from which page. */
export const STATIC_SETTINGS = [
  'PDS_APP_ORIGIN',
  'PDS_DOMAIN',
  'PDS_ORIGIN_SECRET',
  'PDS_ALLOWED_ORIGINS',
] as const satisfies readonly SettingName[];
/** What every route with the database reads. */
export const HOST_SETTINGS = [...STATIC_SETTINGS, 'DATABASE_URL'] as const satisfies readonly SettingName[];
/** What every route with a session reads. */
export const SESSION_SETTINGS = [
  ...HOST_SETTINGS,
  'SESSION_SECRET',
  'ADMIN_TELEGRAM_IDS',
] as const satisfies readonly SettingName[];
/** What every route reads by which a member asks for a change. */
export const CHANGE_SETTINGS = [
  ...SESSION_SETTINGS,
  'PDS_PROVISIONING_ENABLED',
  'CHANGES_QUEUE_URL',
] as const satisfies readonly SettingName[];
/** What every route reads that seals or opens something. */
export const VAULT_SETTINGS = [...SESSION_SETTINGS, ...VAULT] as const satisfies readonly SettingName[];
