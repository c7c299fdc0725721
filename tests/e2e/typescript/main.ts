// The official TypeScript SDK against the server named by PERDURE_SERVER.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import {
  ActivityFailure, ApplicationFailure, CancelledFailure, WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError, WorkflowNotFoundError, type WorkflowHandle,
} from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { EXECUTABLE, eventually, runTests, Server, test, unique, withWorker } from './harness.ts';
import * as workflows from './workflows.ts';

// Failures are on purpose here.
Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });
const server = await new Server().start();
const client = await server.client();

async function start(queue: string, workflow: string, ...args: unknown[]): Promise<WorkflowHandle> {
  const options = { args, taskQueue: queue, workflowId: unique('ts') };
  return await client.workflow.start(workflow, options);
}

async function count(handle: WorkflowHandle, attributes: string): Promise<number> {
  const events = (await handle.fetchHistory()).events ?? [];
  return events.filter((e) => (e as Record<string, unknown>)[attributes] != null).length;
}

test('one activity', () => withWorker(server.address, async (queue) => {
  assert.equal(await (await start(queue, 'greeting', 'you')).result(), 'Hello, you!');
}));

test('retries until it succeeds', () => withWorker(server.address, async (queue) => {
  const handle = await start(queue, 'retrying', 3);
  assert.equal(await handle.result(), 3);
  assert.equal(await count(handle, 'activityTaskStartedEventAttributes'), 1);
}));

test('a failure chain arrives whole', () => withWorker(server.address, async (queue) => {
  const handle = await start(queue, 'chain');
  const failed = await handle.result().catch((e) => e);
  assert(failed instanceof WorkflowFailedError);
  assert(failed.cause instanceof ActivityFailure);
  const outer = failed.cause.cause;
  assert(outer instanceof ApplicationFailure);
  assert.deepEqual([outer.message, outer.type, outer.nonRetryable],
    ['cannot transfer', 'Final', true]);
  const inner = outer.cause;
  assert(inner instanceof ApplicationFailure);
  assert.deepEqual([inner.message, inner.type], ['no such account', 'Lookup']);
  assert.deepEqual(inner.details, [{ id: 7 }, 'more']);
}));

test('any error becomes an application failure', () => withWorker(server.address, async (queue) => {
  const failed = await (await start(queue, 'carelessly')).result().catch((e) => e);
  assert(failed instanceof WorkflowFailedError);
  assert(failed.cause instanceof ActivityFailure);
  const failure = failed.cause.cause;
  assert(failure instanceof ApplicationFailure);
  assert.deepEqual([failure.message, failure.type, failure.nonRetryable, failure.details],
    ['no such key', 'RangeError', false, []]);
  assert.equal(failure.cause?.message, 'no lock');
}));

test('an interceptor makes an error fail the workflow', async () => {
  const queue = unique('queue');
  await withWorker(server.address, async () => {
    const failed = await (await start(queue, 'special')).result().catch((e) => e);
    assert(failed instanceof WorkflowFailedError);
    assert(failed.cause instanceof ApplicationFailure);
    assert.deepEqual([failed.cause.message, failed.cause.type], ['very special', 'Special']);
  }, queue, './workflows_intercepted.ts', true);
});

test('cancellation is found in the chain', () => withWorker(server.address, async (queue) => {
  assert.deepEqual(await (await start(queue, 'impatient')).result(),
    ['ActivityFailure', 'CancelledFailure']);
}));

test('heartbeat details survive the timeout', () => withWorker(server.address, async (queue) => {
  assert.deepEqual(await (await start(queue, 'beating')).result(), { page: 17 });
}));

test('cancel reaches the activity', () => withWorker(server.address, async (queue) => {
  const handle = await start(queue, 'cancellable');
  await eventually(async () => {
    const [pending] = (await handle.describe()).raw.pendingActivities ?? [];
    return pending?.heartbeatDetails;
  });
  await handle.cancel();
  const failed = await handle.result().catch((e) => e);
  assert(failed instanceof WorkflowFailedError);
  assert(failed.cause instanceof CancelledFailure);
  assert.equal(await count(handle, 'activityTaskCanceledEventAttributes'), 1);
}));

test('signals and queries', () => withWorker(server.address, async (queue) => {
  const handle = await start(queue, 'collect');
  for (let i = 0; i < 5; i++) await handle.signal(workflows.add, i);
  assert.deepEqual(await handle.query(workflows.soFar), [0, 1, 2, 3, 4]);
  await handle.signal(workflows.end);
  assert.deepEqual(await handle.result(), [0, 1, 2, 3, 4]);
  assert.deepEqual(await handle.query(workflows.soFar), [0, 1, 2, 3, 4]);
}));

test('timers fire in time order', () => withWorker(server.address, async (queue) => {
  assert.deepEqual(await (await start(queue, 'timers')).result(), [200, 400, 600]);
}));

test('continue as new', () => withWorker(server.address, async (queue) => {
  assert.equal(await (await start(queue, 'countdown', 2)).result(), 'lift-off');
}));

test('a failed workflow task waits for the next deployment', async () => {
  const queue = unique('queue');
  const handle = await withWorker(server.address, async () => {
    const started = await start(queue, 'buggy');
    await eventually(async () => await count(started, 'workflowTaskFailedEventAttributes'));
    const failed = (await started.fetchHistory()).events
      ?.find((e) => e.workflowTaskFailedEventAttributes)?.workflowTaskFailedEventAttributes;
    assert.equal(failed?.failure?.message, 'a bug');
    return started;
  }, queue);
  await withWorker(server.address, async () => {
    assert.equal(await handle.result(), 'fixed');
  }, queue, './workflows_fixed.ts');
});

test('ids: taken, unknown, terminated', async () => {
  const options = { taskQueue: 'nobody', workflowId: unique('id') };
  const handle = await client.workflow.start('collect', options);
  await assert.rejects(client.workflow.start('collect', options),
    WorkflowExecutionAlreadyStartedError);
  await handle.terminate('enough');
  assert.equal((await handle.describe()).status.name, 'TERMINATED');
  await assert.rejects(client.workflow.getHandle(unique('none')).describe(), WorkflowNotFoundError);
});

test('a workflow goes on after kill -9', async () => {
  const own = await new Server().start();
  try {
    const first = await own.client();
    const workflowId = unique('kill');
    await withWorker(own.address, async (queue) => {
      const options = { args: [5], taskQueue: queue, workflowId };
      const handle = await first.workflow.start('steps', options);
      await eventually(async () =>
        await count(handle, 'activityTaskCompletedEventAttributes') >= 2);
      await own.end('SIGKILL');
      await pause(300);
      await own.start();
      const again = (await own.client()).workflow.getHandle(workflowId);
      assert.deepEqual(await again.result(), Array(5).fill('done'));
    });
  } finally {
    await own.remove();
  }
});

test('the SDK test environment launches it', async () => {
  const env = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'existing-path', path: EXECUTABLE } },
  });
  try {
    await withWorker(env.address, async (queue) => {
      assert.equal(await env.client.workflow.execute('greeting', {
        args: ['env'], taskQueue: queue, workflowId: unique('env'),
      }), 'Hello, env!');
    });
  } finally {
    await env.teardown();
  }
});

await runTests();
await client.connection.close();
await server.remove();
await Runtime.instance().shutdown();
