"""Checks rendered manifests: check.py NAME FILE. Says everything that is wrong, and fails if anything is."""
import sys

import kubernetes_validate
import yaml

name, path = sys.argv[1:]
documents = [d for d in yaml.safe_load_all(open(path)) if d]
problems = []


def expect(holds, what):
    if not holds:
        problems.append(what)


def of(kind):
    return {d["metadata"]["name"]: d for d in documents if d["kind"] == kind}


def title(document):
    return f'{document["kind"]} {document["metadata"]["name"]}'


# Kubernetes' own schemas, strictly: a field that it does not know is an error.
for document in documents:
    if document["apiVersion"].startswith("snapshot.storage.k8s.io/"):
        continue
    try:
        kubernetes_validate.validate(document, "1.29", strict=True)
    except kubernetes_validate.ValidationError as error:
        problems.append(f"{title(document)}: {error.message} at {'.'.join(map(str, error.path))}")

cluster_wide = {
    "Namespace", "PriorityClass", "CSIDriver", "StorageClass", "VolumeSnapshotClass", "ClusterRole", "ClusterRoleBinding",
}
for document in documents:
    expect(
        (document["kind"] in cluster_wide) == ("namespace" not in document["metadata"]),
        f"{title(document)} is in the wrong namespace")
keys = [(d["kind"], d["metadata"]["name"]) for d in documents]
expect(len(keys) == len(set(keys)), "an object is there twice")

# Workloads.
workloads = [d for kind in ("Deployment", "DaemonSet", "StatefulSet", "Job") for d in of(kind).values()]
expect(len(workloads) == 4, "there are not four workloads")
accounts, priorities = of("ServiceAccount"), of("PriorityClass")
for workload in workloads:
    pod = workload["spec"]["template"]["spec"]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    if workload["kind"] != "Job":
        selector = workload["spec"]["selector"]["matchLabels"]
        expect(selector.items() <= labels.items(), f"{title(workload)} does not select its own pods")
    expect(pod["serviceAccountName"] in accounts, f"{title(workload)} has no service account")
    expect(pod.get("priorityClassName") in priorities, f"{title(workload)} has no priority")
    volumes = {v["name"] for v in pod["volumes"]}
    used = set()
    for container in pod["containers"] + pod.get("initContainers", []):
        what = f'{title(workload)}, {container["name"]}'
        image, _, tag = container["image"].rpartition(":")
        expect("/" in image and tag not in ("", "latest"), f"{what}: image {container['image']} has no place or version")
        resources = container.get("resources", {})
        expect({"cpu", "memory"} <= resources.get("requests", {}).keys(), f"{what} requests no cpu or memory")
        expect("memory" in resources.get("limits", {}), f"{what} has no limit of memory")
        expect("cpu" not in resources.get("limits", {}), f"{what} has a limit of cpu, which only makes it late")
        mounts = {m["name"] for m in container.get("volumeMounts", [])}
        used |= mounts
        expect(mounts <= volumes, f"{what} mounts what is not there: {mounts - volumes}")
        security = container.get("securityContext", {})
        is_ours = container["name"] in ("node", "csi-node", "nvme-tcp")
        if is_ours and workload["kind"] == "DaemonSet":
            expect(security.get("privileged"), f"{what} cannot do its work unprivileged")
        else:
            expect(security.get("allowPrivilegeEscalation") is False, f"{what} may gain rights")
            expect(security.get("capabilities", {}).get("drop") == ["ALL"], f"{what} keeps capabilities")
            expect(security.get("readOnlyRootFilesystem"), f"{what} may write to its image")
        for variable in container.get("env", []):
            expect(not variable["name"].startswith("CSI_"), f"{what}: {variable['name']} could be taken for CSI's own")
        known = {v["name"] for v in container.get("env", [])}
        for argument in container.get("args", []) + container.get("command", []):
            for part in argument.split("$(")[1:]:
                expect(part.split(")")[0] in known, f"{what}: {argument} uses a variable that is not set")
    expect(used == volumes, f"{title(workload)} has volumes that nobody mounts: {volumes - used}")

node = of("DaemonSet")["keelson-node"]["spec"]["template"]["spec"]
controller = of("Deployment")["keelson-controller"]["spec"]["template"]["spec"]
etcd = of("StatefulSet")["keelson-etcd"]
expect(node["hostNetwork"] is True and node["dnsPolicy"] == "ClusterFirstWithHostNet", "the node daemon is not on the host's network")
plugin = {c["name"]: c for c in node["containers"]}
expect(set(plugin) == {"node", "csi-node", "node-driver-registrar", "livenessprobe"}, "the node's containers are others")
annotations = of("DaemonSet")["keelson-node"]["spec"]["template"]["metadata"]["annotations"]
metrics = {p["name"]: p for p in plugin["node"]["ports"]}["metrics"]
expect(
    annotations["prometheus.io/scrape"] == "true" and annotations["prometheus.io/path"] == "/metrics"
    and annotations["prometheus.io/port"] == str(metrics["containerPort"]) == str(metrics["hostPort"])
    and f'--metrics=$(HOST_IP):{metrics["containerPort"]}' in plugin["node"]["args"],
    "the node's metrics are not where Prometheus is told that they are")
kubelet = [m for m in plugin["csi-node"]["volumeMounts"] if m["mountPath"] == "/var/lib/kubelet"]
expect(kubelet and kubelet[0].get("mountPropagation") == "Bidirectional", "what the plugin mounts does not reach pods")
expect(
    not any("--store" in a for a in plugin["csi-node"]["args"]) and "KEELSON_STORE" not in {e["name"] for e in plugin["csi-node"]["env"]},
    "the CSI node plugin must not know the state store")
expect(
    not any(m["name"] == "pool" for m in plugin["csi-node"]["volumeMounts"]), "the CSI node plugin must not see the pools")
expect(
    {c["name"] for c in controller["containers"]}
    == {"controller", "csi-provisioner", "csi-attacher", "csi-resizer", "csi-snapshotter", "livenessprobe"},
    "the controller's containers are others")
for container in controller["containers"][1:-1]:
    expect("--leader-election" in container["args"], f'{container["name"]} does not elect a leader')
expect(etcd["spec"]["podManagementPolicy"] == "Parallel", "etcd's members wait for each other")
members = etcd["spec"]["replicas"]
store, other = (
    next(e["value"] for e in c["env"] if e["name"] == "KEELSON_STORE") for c in (controller["containers"][0], plugin["node"]))
expect(store == other, "node and controller name different stores")
expect(store.count(":2379") == members, "the store's address has not as many members as etcd")
initial = next(e["value"] for e in etcd["spec"]["template"]["spec"]["containers"][0]["env"] if e["name"] == "INITIAL_CLUSTER")
expect(initial.count("=https") == members, "etcd's initial cluster has not as many members as the StatefulSet")
expect(any("compaction" in a for a in etcd["spec"]["template"]["spec"]["containers"][0]["command"]), "etcd is not compacted")
if name != "overlays/dev":
    expect(members == 3 and of("Deployment")["keelson-controller"]["spec"]["replicas"] == 2, "three members, two controllers")
has_module_loader = any(c["name"] == "nvme-tcp" for c in node.get("initContainers", []))
expect(has_module_loader == (name != "overlays/talos"), "only Talos loads the module by itself")
for budget in of("PodDisruptionBudget").values():
    labels = budget["spec"]["selector"]["matchLabels"].items()
    expect(
        any(labels <= w["spec"]["template"]["metadata"]["labels"].items() for w in workloads), f"{title(budget)} is about nobody")

# Certificates: each side has its own key alone, nothing between processes is in clear text, and all files that are named are there.
job = of("Job")["keelson-certificates"]["spec"]["template"]["spec"]
made, members_named = job["containers"][0]["command"][2], job["containers"][0]["command"][3:]
own = {"server.crt", "server.key"}
for workload, mounted, keys in (
    (etcd["spec"]["template"]["spec"], "/etc/etcd/tls", own), (controller, "/etc/keelson/etcd", {"client.crt", "client.key"}),
    (node, "/etc/keelson/etcd", {"client.crt", "client.key"}),
):
    users = [c for c in workload["containers"] if any(m["mountPath"] == mounted for m in c["volumeMounts"])]
    expect(len(users) == 1, f"{len(users)} containers have the certificates in {mounted}")
    volume = next(m["name"] for m in users[0]["volumeMounts"] if m["mountPath"] == mounted)
    secret = next(v["secret"] for v in workload["volumes"] if v["name"] == volume)
    expect(secret["secretName"] == made, f"{mounted} is another secret than the one that is made")
    expect({i["path"] for i in secret["items"]} == keys | {"ca.crt"}, f"{mounted} holds other keys than its own")
    text = " ".join(users[0].get("command", []) + [e.get("value", "") for e in users[0]["env"]])
    for key in keys | {"ca.crt"}:
        expect(f"={mounted}/{key}" in text, f"{mounted}/{key} is not used")
arguments = etcd["spec"]["template"]["spec"]["containers"][0]["command"]
expect({"--client-cert-auth", "--peer-client-cert-auth"} <= set(arguments), "etcd lets in who shows no certificate")
for argument in arguments + [initial]:
    expect("http://" not in argument or argument.startswith("--listen-metrics-urls="), f"etcd speaks clear text: {argument}")
for number in range(members):
    host = f"keelson-etcd-{number}.keelson-etcd.keelson.svc"
    expect(host in members_named and host in store and host in initial, f"{host} is not everywhere that it should be")

# What RBAC grants: to the controller's sidecars what they ask for, to everything else nothing.
granted = {}
certificates = of("Role")["keelson-certificates"]
expect(
    [(r["resources"], r["verbs"], r.get("resourceNames")) for r in certificates["rules"]]
    == [(["secrets"], ["create"], None), (["secrets"], ["get"], [made])], "the maker of certificates may do something else")
for kind, scope in (("ClusterRole", "cluster"), ("Role", "namespace")):
    for role in of(kind).values():
        if role is certificates:
            continue
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    expect("*" not in (group, resource) and "*" not in rule["verbs"], f"{title(role)} grants a wildcard")
                    granted.setdefault((scope, resource), set()).update(rule["verbs"])
subjects = {
    (b["roleRef"]["name"], s["name"]) for kind in ("ClusterRoleBinding", "RoleBinding") for b in of(kind).values() for s in b["subjects"]
}
expect(subjects == {(a, a) for a in ("keelson-controller", "keelson-certificates")}, f"rights are given to {subjects}")
for account in ("keelson-node", "keelson-etcd", "keelson-certificates"):
    expect(accounts[account].get("automountServiceAccountToken") is False, f"{account} has a token that it does not need")
resources = {resource for _, resource in granted}
expect(not resources & {"secrets", "configmaps", "pods/exec", "serviceaccounts"}, "rights to what no volume needs")
reading = {"get", "list", "watch"}
for resource in ("nodes", "storageclasses", "csinodes", "persistentvolumeclaims", "pods", "volumesnapshots"):
    expect(granted[("cluster", resource)] <= reading, f"{resource} can be changed")
for resource in ("leases", "csistoragecapacities"):
    expect(("cluster", resource) not in granted, f"{resource} are granted in all namespaces")
needed = {
    "persistentvolumes": {"create", "delete", "patch"}, "volumeattachments/status": {"patch"}, "volumeattachments": {"patch"},
    "persistentvolumeclaims/status": {"patch"}, "volumesnapshotcontents/status": {"update", "patch"}, "events": {"create", "patch"},
}
for resource, verbs in needed.items():
    expect(verbs <= granted.get(("cluster", resource), set()), f"{resource}: {verbs} are not granted")

# Kubernetes' view of the driver.
driver = of("CSIDriver")["csi.keelson.io"]["spec"]
expect(
    driver["attachRequired"] and driver["storageCapacity"] and driver["seLinuxMount"] and driver["fsGroupPolicy"] == "File",
    "the CSIDriver says something else")
parameters = {
    "replicas", "minInSync", "thin", "blockSize", "integrity", "locality", "spread", "group", "formatOptions", "ioQueues",
    "keepAliveTmo", "ctrlLossTmo",
}
for storage in of("StorageClass").values():
    expect(storage["provisioner"] == "csi.keelson.io", f"{title(storage)} is another driver's")
    expect(storage["volumeBindingMode"] == "WaitForFirstConsumer" and storage["allowVolumeExpansion"], f"{title(storage)} binds at once")
    for key in storage["parameters"]:
        expect(key in parameters or key.startswith("csi.storage.k8s.io/"), f"{title(storage)}: parameter {key} would be refused")

for problem in problems:
    print(f"{name}: {problem}", file=sys.stderr)
if problems:
    sys.exit(1)
print(f"{name}: {len(documents)} objects are right")
