// The TypeScript worker of tests/e2e/polyglot: argument 1 is the server's address. Ends by SIGTERM.
import { NativeConnection, Worker } from '@temporalio/worker';
import * as activities from './activities.ts';
import { workflowsPath } from './harness.ts';

const connection = await NativeConnection.connect({ address: process.argv[2] });
const worker = await Worker.create({
  connection, taskQueue: 'polyglot-typescript', activities,
  workflowsPath: workflowsPath('./polyglot_workflows.ts'),
});
await worker.run();
await connection.close();
