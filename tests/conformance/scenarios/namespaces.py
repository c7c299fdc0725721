"""Namespaces: registered, changed, deprecated, listed, deleted."""

import time

from driver.registry import scenario
from driver.rpc import RpcError, to_json
from driver.values import done, secs

DAY_S = 86400


def own(t, **fields):
    """Registers a namespace of the scenario's own and makes it the script's."""
    name = t.wid + "-ns"
    fields.setdefault("workflow_execution_retention_period", secs(DAY_S))
    t.does("register", "RegisterNamespace", namespace=name, **fields)
    wait_known(t, name)
    t.namespace = name
    return name


def wait_known(t, name):
    """The original's services hear of a namespace some time later."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            t.call("GetWorkflowExecutionHistory", namespace=name, execution={"workflow_id": "x"})
        except RpcError as error:
            if "Namespace" not in error.message:
                return
        time.sleep(0.2)


def plain(answer):
    """Without what server_namespace compares: capabilities and limits."""
    noted = to_json(answer)
    for field in ("capabilities", "limits", "supports_schedules"):
        noted.get("namespace_info", {}).pop(field, None)
    return noted


def note_plain(t, label, method, **fields):
    try:
        t.note(label, plain(t.call(method, **fields)))
    except RpcError as error:
        t.note(label, error.to_json())


def update(t, label, **fields):
    note_plain(t, label, "UpdateNamespace", **fields)


def describe(t, label, name=None):
    note_plain(t, label, "DescribeNamespace", namespace=name or t.namespace)


@scenario()
def namespace_registered(t):
    """Every field of a registration."""
    own(
        t,
        description="what it is for",
        owner_email="owner@example.com",
        workflow_execution_retention_period=secs(3 * DAY_S),
        data={"k": "v"},
        security_token="token",
    )
    describe(t, "describe")
    t.does(
        "register again",
        "RegisterNamespace",
        namespace=t.namespace,
        workflow_execution_retention_period=secs(DAY_S),
    )


@scenario()
def namespace_register_errors(t):
    """Registrations that are refused."""

    def register(label, **fields):
        fields.setdefault("namespace", t.wid + "-refused")
        fields.setdefault("workflow_execution_retention_period", secs(DAY_S))
        t.does(label, "RegisterNamespace", **fields)

    register("no name", namespace="")
    register("long name", namespace="n" * 1001)
    register("no retention", workflow_execution_retention_period=None)
    register("zero retention", workflow_execution_retention_period=secs(0))
    register("short retention", workflow_execution_retention_period=secs(3599))
    register("negative retention", workflow_execution_retention_period=secs(-DAY_S))
    register("global", is_global_namespace=True)
    register("unknown cluster", active_cluster_name="elsewhere")
    register("unknown clusters", clusters=[{"cluster_name": "elsewhere"}])
    register("system name", namespace="temporal-system")
    register("archival", history_archival_state=2, visibility_archival_state=2)
    describe(t, "describe what asked for archival", t.wid + "-refused")


@scenario()
def namespace_updated(t):
    """Description, owner, data and retention; what is left out stays."""
    own(t, description="first", owner_email="a@example.com", data={"k": "v", "l": "w"})
    update(t, "description", update_info={"description": "second"})
    update(t, "owner", update_info={"owner_email": "b@example.com"})
    update(t, "data", update_info={"data": {"l": "x", "m": "y"}})
    update(
        t,
        "retention",
        config={"workflow_execution_retention_ttl": secs(2 * DAY_S)},
    )
    update(t, "nothing")
    describe(t, "describe")


@scenario()
def namespace_update_data_removal(t):
    """An empty value in data."""
    own(t, data={"k": "v", "l": "w"})
    update(t, "empty value", update_info={"data": {"k": ""}})
    describe(t, "describe")


@scenario()
def namespace_update_errors(t):
    """Updates that are refused."""
    own(t)
    update(t, "no name", namespace="")
    update(t, "unknown", namespace=t.namespace + "-nowhere")

    def retention(label, value):
        update(t, label, config={"workflow_execution_retention_ttl": value})

    retention("zero retention", secs(0))
    retention("short retention", secs(3599))
    retention("negative retention", secs(-DAY_S))
    update(t, "archival", config={"history_archival_state": 2})
    update(t, "promotion", promote_namespace=True)
    update(t, "active cluster", replication_config={"active_cluster_name": "elsewhere"})
    update(t, "same active cluster", replication_config={"active_cluster_name": "active"})
    update(t, "clusters", replication_config={"clusters": [{"cluster_name": "elsewhere"}]})
    update(
        t,
        "unknown binary and a new one",
        delete_bad_binary="x",
        config={"bad_binaries": {"binaries": {"y": {"reason": "r"}}}},
    )
    update(t, "delete an unknown binary", delete_bad_binary="x")
    describe(t, "describe")


@scenario()
def namespace_update_replication(t):
    """Replication of a namespace that is local."""
    own(t)
    update(t, "handover", replication_config={"state": 2})
    update(t, "normal", replication_config={"state": 1})
    update(t, "unknown state", replication_config={"state": 9})
    same = {"active_cluster_name": "active", "clusters": [{"cluster_name": "active"}]}
    update(t, "same clusters", replication_config=same)
    update(t, "no cluster name", replication_config={"clusters": [{}]})
    describe(t, "describe")


@scenario()
def namespace_update_nothing_known(t):
    """What is never an error: unknown states, URIs, the system's flags."""
    own(t)
    update(t, "unknown state", update_info={"state": 9})
    update(t, "archival uri", config={"history_archival_uri": "file:///tmp/x"})
    update(t, "long description", update_info={"description": "d" * 2000})
    update(t, "deprecated", update_info={"state": 2})
    update(t, "deprecated again", update_info={"state": 2})
    update(t, "registered again", update_info={"state": 1})
    update(t, "handover of a deprecated one", replication_config={"state": 2})


@scenario()
def namespace_bad_binaries(t):
    """Bad binaries are kept only if something else changes too."""
    own(t)
    bad = {"binaries": {"one": {"reason": "it crashes", "operator": "me"}}}
    update(t, "add one", config={"bad_binaries": bad})
    more = {"binaries": {"two": {"reason": "it loops", "operator": "me"}}}
    update(t, "add two", config={"bad_binaries": more})
    update(t, "remove one", delete_bad_binary="one")
    describe(t, "describe")
    with_more = {"update_info": {"description": "d"}, "config": {"bad_binaries": bad}}
    update(t, "add one with a description", **with_more)
    with_more = {"update_info": {"description": "e"}, "config": {"bad_binaries": more}}
    update(t, "add two with a description", **with_more)
    update(t, "remove one of two", delete_bad_binary="one")
    describe(t, "describe what is left")
    many = {str(i): {"reason": "r"} for i in range(11)}
    update(t, "too many", config={"bad_binaries": {"binaries": many}})


@scenario()
def namespace_aliases(t):
    """Custom search attributes are names for the fields of their type."""
    own(t)

    def alias(label, **aliases):
        update(t, label, config={"custom_search_attribute_aliases": aliases})

    alias("one", Keyword01="Color")
    alias("the same", Keyword01="Color")
    alias("another name", Keyword01="Colour")
    describe(t, "describe")
    alias("two more", Keyword02="Size", Int01="Count")
    alias("a name that is in use", Keyword03="Size")
    alias("removed", Keyword02="")
    alias("removed again", Keyword02="")
    alias("removed and another", Keyword01="", Keyword02="Color")
    time.sleep(1)
    answer = t.call("ListSearchAttributes")
    t.note("listed", to_json(answer)["custom_attributes"])
    t.does("remove one", "RemoveSearchAttributes", search_attributes=["Count"])
    time.sleep(1)
    describe(t, "describe at the end")


@scenario()
def namespace_alias_errors(t):
    """Aliases that would shadow others, or are of no field."""
    own(t)
    for field, name in {
        "Nonsense": "A",
        "Keyword99": "B",
        "Keyword03": "WorkflowId",
        "Keyword04": "TemporalX",
    }.items():
        update(t, field, config={"custom_search_attribute_aliases": {field: name}})


@scenario()
def namespace_deprecated(t):
    """Deprecated: what still works in it."""
    own(t)
    t.start(workflow_id=t.wid + "-before")
    t.does("deprecate", "DeprecateNamespace")
    describe(t, "describe")
    time.sleep(2.5)
    t.start(label="start after")
    execution = {"workflow_id": t.wid + "-before"}
    t.signal(workflow_execution=execution, label="signal")
    t.task()
    t.terminate(workflow_execution=execution)
    update(t, "update", update_info={"description": "still"})
    t.does("deprecate again", "DeprecateNamespace")
    t.does("deprecate unknown", "DeprecateNamespace", namespace=t.namespace + "-nowhere")
    t.does("deprecate nothing", "DeprecateNamespace", namespace="")


@scenario(server_wide=True)
def namespace_list_pages(t):
    """ListNamespaces, page by page; names are noted without the system's order."""
    for i in range(3):
        t.does(
            f"register {i}",
            "RegisterNamespace",
            namespace=f"{t.wid}-{i}",
            workflow_execution_retention_period=secs(DAY_S),
        )
    found, token, pages = [], b"", 0
    while True:
        page = t.call("ListNamespaces", page_size=2, next_page_token=token)
        found += [n.namespace_info.name for n in page.namespaces]
        assert len(page.namespaces) <= 2
        pages += 1
        token = page.next_page_token
        if not token or pages > 100:
            break
    t.note("own names", sorted(n for n in found if n.startswith(t.wid)))
    t.note("each once", len(found) == len(set(found)))
    t.note("default is among them", "default" in found)
    t.note("system is among them", "temporal-system" in found)
    everything = t.call("ListNamespaces", page_size=0)
    one = [n for n in everything.namespaces if n.namespace_info.name == f"{t.wid}-1"]
    t.note("an entry, whole", [plain(n) for n in one])
    try:
        t.call("ListNamespaces", page_size=-1)
    except RpcError as error:
        t.note("negative size", error.code)


@scenario()
def namespace_deleted(t):
    """Deleted with what is in it; the name is free again."""
    name = own(t)
    t.idle()
    t.start("start two", workflow_id=t.wid + "-two")
    t.step(done())
    answer = t.call("DeleteNamespace", namespace=name)
    new_name = answer.deleted_namespace
    t.note("new name", new_name.startswith(name + "-deleted-") and len(new_name) - len(name) == 14)
    describe(t, "describe", name)
    t.does("delete again", "DeleteNamespace", namespace=name)
    t.does(
        "register again",
        "RegisterNamespace",
        namespace=name,
        workflow_execution_retention_period=secs(DAY_S),
    )
    wait_known(t, name)
    t.describe("describe the workflow")
    t.start("start again", request_id="another")
    t.terminate()


@scenario()
def namespace_deleted_by_id(t):
    """Deleted by its id."""
    name = own(t)
    answer = t.call("DescribeNamespace", namespace=name)
    deleted = t.call("DeleteNamespace", namespace=None, namespace_id=answer.namespace_info.id)
    t.note("new name", deleted.deleted_namespace.startswith(name + "-deleted-"))
    time.sleep(1)
    describe(t, "describe", name)


@scenario()
def namespace_deleted_with_delay(t):
    """With a delay the record stays for a while, under its new name and state."""
    name = own(t)
    t.start()
    id = t.call("DescribeNamespace", namespace=name).namespace_info.id
    deleted = t.call("DeleteNamespace", namespace=name, namespace_delete_delay=secs(60))
    renamed = deleted.deleted_namespace
    found = t.call("DescribeNamespace", namespace=renamed)
    t.note("state under the new name", to_json(found.namespace_info)["state"])
    t.note("same id", found.namespace_info.id == id)
    t.note("state by id", t.call("DescribeNamespace", namespace=None, id=id).namespace_info.state)
    describe(t, "describe by the old name", name)

    def listed(**fields):
        page = t.call("ListNamespaces", page_size=1000, **fields)
        return [n.namespace_info.state for n in page.namespaces if n.namespace_info.id == id]

    t.note("listed", listed())
    t.note("listed with the deleted", listed(namespace_filter={"include_deleted": True}))
    time.sleep(2.5)


    def refused(label, method, **fields):
        try:
            t.call(method, namespace=renamed, **fields)
        except RpcError as error:
            t.note(label, [error.code, error.message.replace(renamed, "renamed")])

    refused("start in it", "StartWorkflowExecution", **t.start_fields(request_id="z"))
    refused("signal in it", "SignalWorkflowExecution", signal_name="s")
    refused("poll in it", "PollWorkflowTaskQueue", task_queue={"name": t.queue})
    refused("update it", "UpdateNamespace", update_info={"description": "d"})
    refused("delete it again", "DeleteNamespace")


@scenario()
def namespace_delete_errors(t):
    """Deletions that are refused."""
    t.does("nothing", "DeleteNamespace", namespace="")
    t.does("unknown", "DeleteNamespace", namespace=t.wid + "-nowhere")
    t.does("system", "DeleteNamespace", namespace="temporal-system")
    t.does("unknown id", "DeleteNamespace", namespace=None, namespace_id="nowhere")
    t.does("both", "DeleteNamespace", namespace="default", namespace_id="nowhere")
