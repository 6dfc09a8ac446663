import { parseArgs } from 'node:util';
import { startPlatform } from '../../infra/local/platform.ts';

// A platform in a process of its own, for tests that kill it. Its `platform.json` says how to reach it.
const { values } = parseArgs({
  options: {
    data: { type: 'string', default: '' },
    bundles: { type: 'string', default: '' },
    port: { type: 'string', default: '0' },
    'pds-port': { type: 'string', default: '0' },
  },
});
await startPlatform({
  dataDir: values.data,
  bundles: values.bundles,
  httpPort: Number(values.port),
  pdsPort: Number(values['pds-port']),
  stage: 'test',
});
console.log('ready');
