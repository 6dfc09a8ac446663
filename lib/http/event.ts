import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';

/** A request as an HTTP API hands it to a Lambda (payload format 2.0): header names are in lower case. */
export type ApiEvent = APIGatewayProxyEventV2;
export type ApiAnswer = APIGatewayProxyStructuredResultV2;

/** The id that stands in the answer and in every log line about it. */
export function requestIdOf(event: ApiEvent): string {
  return event.requestContext.requestId;
}
