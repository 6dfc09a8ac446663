import { Function as CloudFrontFunction, FunctionCode, FunctionRuntime } from 'aws-cdk-lib/aws-cloudfront';
import type { Construct } from 'constructs';

/**
 * Which host was asked for and by whom, over whatever the viewer sent under these names. Runs before the cache is
 * asked, so that the host can be in its key.
 */
export const DESCRIBE_VIEWER = `function handler(event) {
  var request = event.request;
  request.headers['x-pds-host'] = { value: request.headers.host.value };
  request.headers['x-pds-address'] = { value: event.viewer.ip };
  return request;
}
`;

/** What a member's host has is two documents; the rest of the internet's questions never reach us. */
export const NOT_FOUND = `function handler() {
  return {
    statusCode: 404,
    statusDescription: 'Not Found',
    headers: { 'cache-control': { value: 'no-store' } },
  };
}
`;

export type EdgeFunctions = ReturnType<typeof addEdgeFunctions>;

/** The two functions that run at the edge. */
export function addEdgeFunctions(scope: Construct) {
  const add = (id: string, code: string) =>
    new CloudFrontFunction(scope, id, {
      code: FunctionCode.fromInline(code),
      runtime: FunctionRuntime.JS_2_0,
    });
  return { describeViewer: add('describe-viewer', DESCRIBE_VIEWER), notFound: add('not-found', NOT_FOUND) };
}
