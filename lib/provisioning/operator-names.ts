import type { Settings } from '../config.ts';
import { operatorLabels } from '../identity/reserved.ts';
import type { OPERATOR_NAMES } from './worker-settings.ts';

/** The first labels that the operator uses himself. */
export function labelsOfOperator(settings: Settings<(typeof OPERATOR_NAMES)[number]>): string[] {
  const { PDS_DOMAIN, PDS_APP_ORIGIN, PDS_ADMIN_DID, PDS_LOCAL_ENDPOINT, PDS_REMOTE_PROVIDER } = settings;
  return operatorLabels(PDS_DOMAIN, [PDS_APP_ORIGIN, PDS_ADMIN_DID, PDS_LOCAL_ENDPOINT, PDS_REMOTE_PROVIDER]);
}
