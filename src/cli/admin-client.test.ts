import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScriptedAdmin } from '../../test/support/scripted-admin.ts';
import { parseAddress } from '../core/address.ts';
import { AdminClient } from './admin-client.ts';

test('a stream of events that falls silent has ended: its host hangs, though its system keeps the connection', async () => {
  await using admin = await ScriptedAdmin.start();
  const address = parseAddress(admin.host) ?? assert.fail();
  const client = new AdminClient({ address, token: undefined, saidBy: 'flag' }, { eventSilenceMs: 200 });
  const events = client.events('/api/v1/events', AbortSignal.timeout(30_000));
  const failure = {
    name: 'CommandFailure',
    kind: 'passing',
    message: `no answer from the admin API at ${admin.host}: it has said nothing for 0.2 s`,
  };
  await assert.rejects(events.next(), failure);
});
