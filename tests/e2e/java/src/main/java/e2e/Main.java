package e2e;

import io.temporal.api.failure.v1.Failure;
import io.temporal.api.history.v1.HistoryEvent;
import io.temporal.client.WorkflowClient;
import io.temporal.client.WorkflowFailedException;
import io.temporal.client.WorkflowOptions;
import io.temporal.client.WorkflowUpdateException;
import io.temporal.failure.ActivityFailure;
import io.temporal.failure.ApplicationFailure;
import io.temporal.failure.ChildWorkflowFailure;
import io.temporal.serviceclient.WorkflowServiceStubs;
import io.temporal.serviceclient.WorkflowServiceStubsOptions;
import io.temporal.worker.Worker;
import io.temporal.worker.WorkerFactory;
import java.util.Objects;

/**
 * The official Java SDK against the server at the address given: activities, failures, children,
 * timeouts, updates. Prints a line per check and `N passed, N failed`.
 */
public final class Main {
  private static final String QUEUE = "java";
  private final WorkflowClient client;
  private int passed;
  private int failed;

  private Main(WorkflowClient client) {
    this.client = client;
  }

  private interface Check {
    void run() throws Exception;
  }

  private void check(String name, Check check) {
    try {
      check.run();
      passed++;
      System.out.println("ok " + name);
    } catch (Exception | AssertionError e) {
      failed++;
      System.out.println("not ok " + name + "\n  " + e);
    }
  }

  private static void equal(Object got, Object want) {
    if (!Objects.equals(got, want)) {
      throw new AssertionError("got " + got + ", want " + want);
    }
  }

  private <T> T stub(Class<T> type, String name) {
    WorkflowOptions options =
        WorkflowOptions.newBuilder().setWorkflowId("java-" + name).setTaskQueue(QUEUE).build();
    return client.newWorkflowStub(type, options);
  }

  private static Throwable failureOf(Check check) throws Exception {
    try {
      check.run();
    } catch (WorkflowFailedException | WorkflowUpdateException e) {
      return e.getCause();
    }
    throw new AssertionError("it should have failed");
  }

  /** Looks at the chain that Accounts.transfer makes. */
  private static void isTransfer(Throwable failure) {
    ActivityFailure activity = (ActivityFailure) failure;
    ApplicationFailure outer = (ApplicationFailure) activity.getCause();
    ApplicationFailure inner = (ApplicationFailure) outer.getCause();
    equal(activity.getRetryState().name(), "RETRY_STATE_NON_RETRYABLE_FAILURE");
    equal(outer.getOriginalMessage(), "cannot transfer");
    equal(outer.getType(), "Final");
    equal(outer.isNonRetryable(), true);
    equal(inner.getOriginalMessage(), "no such account");
    equal(inner.getType(), "Lookup");
    equal(inner.getDetails().get(0, Integer.class), 7);
    equal(inner.getDetails().get(1, String.class), "more");
  }

  /** Only an application failure says which SDK made it. */
  private void sources() {
    for (HistoryEvent event : client.fetchHistory("java-chain").getEvents()) {
      if (event.hasActivityTaskFailedEventAttributes()) {
        equal(event.getActivityTaskFailedEventAttributes().getFailure().getSource(), "JavaSDK");
      }
      if (event.hasWorkflowExecutionFailedEventAttributes()) {
        Failure failure = event.getWorkflowExecutionFailedEventAttributes().getFailure();
        equal(failure.getSource(), "");
        equal(failure.getCause().getSource(), "JavaSDK");
        return;
      }
    }
    throw new AssertionError("it should have failed");
  }

  private void failedChild() throws Exception {
    Workflows.Parent parent = stub(Workflows.Parent.class, "failed-child");
    ChildWorkflowFailure child = (ChildWorkflowFailure) failureOf(() -> parent.run(true));
    isTransfer(child.getCause());
  }

  private void updates() throws Exception {
    Workflows.Counter counter = stub(Workflows.Counter.class, "updates");
    WorkflowClient.start(counter::run);
    equal(counter.add(5), 5);
    ApplicationFailure rejected = (ApplicationFailure) failureOf(() -> counter.add(-1));
    equal(rejected.getOriginalMessage(), "less than nothing");
    equal(counter.add(2), 7);
    equal(counter.sum(), 7);
    counter.end();
    equal(counter.run(), 7);
  }

  private void runAll() {
    check(
        "an activity is retried until it succeeds",
        () -> equal(stub(Workflows.Retrying.class, "retries").run(), 3));
    check(
        "a chain of failures arrives whole",
        () -> isTransfer(failureOf(() -> stub(Workflows.Chain.class, "chain").run())));
    check("failures say where they come from", this::sources);
    check(
        "a timeout carries the last heartbeat",
        () -> equal(stub(Workflows.TimedOut.class, "timeout").run(), 17));
    check(
        "a child's result",
        () -> equal(stub(Workflows.Parent.class, "child").run(false), "child: 3"));
    check("a child's failure", this::failedChild);
    check("updates are completed and rejected", this::updates);
  }

  public static void main(String[] args) {
    WorkflowServiceStubs service =
        WorkflowServiceStubs.newServiceStubs(
            WorkflowServiceStubsOptions.newBuilder().setTarget(args[0]).build());
    WorkflowClient client = WorkflowClient.newInstance(service);
    WorkerFactory factory = WorkerFactory.newInstance(client);
    Worker worker = factory.newWorker(QUEUE);
    worker.registerWorkflowImplementationTypes(
        Workflows.RetryingImpl.class,
        Workflows.ChainImpl.class,
        Workflows.TimedOutImpl.class,
        Workflows.ParentImpl.class,
        Workflows.CounterImpl.class);
    worker.registerActivitiesImplementations(new Workflows.AccountsImpl());
    factory.start();
    Main main = new Main(client);
    main.runAll();
    factory.shutdownNow();
    service.shutdownNow();
    System.out.printf("%d passed, %d failed%n", main.passed, main.failed);
    System.exit(main.failed > 0 ? 1 : 0);
  }
}
