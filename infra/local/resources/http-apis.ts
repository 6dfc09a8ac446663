import * as z from 'zod';
import { DEFAULT_INTEGRATION_TIMEOUT_MS, type HttpApi, MAX_INTEGRATION_TIMEOUT_MS } from '../http-api/api.ts';
import { boolean, type Cloud, functionByArn, kind, number, physicalName } from './cloud.ts';

/** AWS::ApiGatewayV2::Api of protocol HTTP. */
const api = kind(
  { ProtocolType: z.literal('HTTP'), Name: z.string().optional() },
  ['DisableExecuteApiEndpoint', 'IpAddressType'],
  async (cloud, resource) => {
    const id = resource.logicalId;
    cloud.apis.set(id, {
      id,
      account: cloud.account,
      routes: [],
      integrations: new Map(),
      stage: undefined,
    });
    const endpoint = `https://${id}.execute-api.${cloud.region}.amazonaws.com`;
    return { ref: id, attributes: { ApiId: id, ApiEndpoint: endpoint } };
  },
);

/** AWS::ApiGatewayV2::Integration: a Lambda proxy with payload format 2.0. */
const integration = kind(
  {
    ApiId: z.string(),
    IntegrationType: z.literal('AWS_PROXY'),
    IntegrationUri: z.string(),
    PayloadFormatVersion: z.literal('2.0'),
    TimeoutInMillis: number.default(DEFAULT_INTEGRATION_TIMEOUT_MS),
  },
  ['IntegrationMethod', 'ConnectionType', 'CredentialsArn'],
  async (cloud, resource, properties) => {
    const fn = functionByArn(cloud, properties.IntegrationUri);
    const integrationOf = { fn, timeoutMs: Math.min(properties.TimeoutInMillis, MAX_INTEGRATION_TIMEOUT_MS) };
    const id = physicalName(resource);
    apiById(cloud, properties.ApiId).integrations.set(id, integrationOf);
    return { ref: id, attributes: { IntegrationId: id } };
  },
);

/** AWS::ApiGatewayV2::Route without an authorizer: sessions are checked in the handlers. */
const route = kind(
  {
    ApiId: z.string(),
    RouteKey: z.string(),
    Target: z.string().startsWith('integrations/'),
    AuthorizationType: z.literal('NONE').optional(),
  },
  ['OperationName'],
  async (cloud, resource, { ApiId, RouteKey, Target }) => {
    const { routes } = apiById(cloud, ApiId);
    if (routes.some(({ routeKey }) => routeKey === RouteKey))
      throw new Error(`there are two routes ${RouteKey}`);
    routes.push({ routeKey: RouteKey, integrationId: Target.slice('integrations/'.length) });
    return { ref: physicalName(resource), attributes: { RouteId: physicalName(resource) } };
  },
);

/** AWS::ApiGatewayV2::Stage: only `$default`, which has no prefix in the path. Throttling is AWS's own. */
const stage = kind(
  {
    ApiId: z.string(),
    StageName: z.literal('$default'),
    AutoDeploy: boolean.optional(),
    StageVariables: z.record(z.string(), z.string()).optional(),
  },
  ['AccessLogSettings', 'DefaultRouteSettings', 'RouteSettings'],
  async (cloud, _resource, { ApiId, StageName, StageVariables }) => {
    apiById(cloud, ApiId).stage = { name: StageName, variables: StageVariables };
    return { ref: StageName };
  },
);

function apiById(cloud: Cloud, id: string): HttpApi {
  const found = cloud.apis.get(id);
  if (!found) throw new Error(`${id} is no HTTP API that runs locally`);
  return found;
}

export const httpApiKinds = {
  'AWS::ApiGatewayV2::Api': api,
  'AWS::ApiGatewayV2::Integration': integration,
  'AWS::ApiGatewayV2::Route': route,
  'AWS::ApiGatewayV2::Stage': stage,
};
