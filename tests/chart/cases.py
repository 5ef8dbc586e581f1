"""What the chart makes of its values. A case is a function of a Helm."""
import itertools
import json
import re
import subprocess
import tarfile

import yaml

from chart.chart import CHART, NAMESPACE, RELEASE, ROOT, Refused
from support.process import BUILD

CASES = []
CRD = "CustomResourceDefinition"
CRD_FILE = ROOT / "crds/lookaside.dev_lookasideservices.yaml"
CONFIG_SECONDS = 10
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
              "capabilities": {"drop": ["ALL"]}}
EVERYTHING = {
    "publish": "annotated", "hostSuffixes": ["example.com", "example.org"], "nodes": True,
    "clusterDomain": "k8s.example", "shutdown": {"delaySeconds": 0, "timeoutSeconds": 60},
    "config": {"logLevel": "debug", "logFormat": "text", "threads": 2, "unknownNames": "absent",
               "defaultNamespace": "shop", "deletionGrace": "1m30s", "rebalanceAge": "1m",
               "loadReportInterval": "30s", "tokens": True, "tokenAudience": "example.com", "defaultAccess": "namespace",
               "tlsClientCa": "/etc/lookaside-tls/ca.crt", "tlsClientAuth": "require"},
    "identifyPods": True,
    "loadReports": True, "limits": {"connections-per-address": 2000, "header-list": "32KiB", "keepalive": "30s"},
    "service": {"port": 8443, "grpclbPort": 8444, "annotations": {"a.example/b": "c"}},
    "tls": {"secretName": "lookaside-tls", "port": 9443},
    "bootstrap": {"server": "dns:///xds.example.com:443", "namespaces": ["shop", "web"],
                  "inject": {"failurePolicy": "Fail"}},
    "image": {"repository": "registry.example.com/lookaside", "digest": "sha256:" + 64 * "a"},
    "imagePullSecrets": [{"name": "pull"}], "replicas": 5, "priorityClassName": "high",
    "podAnnotations": {"x": "y"}, "podLabels": {"team": "a"}, "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "k", "operator": "Exists"}], "affinity": {"podAntiAffinity": {}},
    "serviceAccount": {"name": "xds", "annotations": {"iam": "role"}},
    "networkPolicy": {"enabled": True, "clients": [{"podSelector": {}}],
                      "admin": [{"namespaceSelector": {}}]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "flowSchema": {"enabled": True},
}
SWITCHES = [("namespaces", ([], ["shop", "web"], [NAMESPACE, "shop"])), ("status", (True, False)),
            ("source", ("slices", "endpoints")), ("nodes", (False, True)),
            ("rebalance", (True, False)), ("loadReports", (False, True))]


def case(function):
    CASES.append(function)
    return function


def matrix():
    """All combinations of what decides about rights and config; pods go along with load reports, of which no right depends."""
    names = [name for name, _ in SWITCHES]
    for values in itertools.product(*(values for _, values in SWITCHES)):
        chosen = dict(zip(names, values))
        yield chosen | {"identifyPods": chosen["loadReports"]}


def merged(below, over):
    """over's values in below's, as Helm takes them together."""
    result = dict(below)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


# ---- it is well formed

@case
def lint(helm):
    for values in ({}, EVERYTHING):
        with helm.values(values) as flags:
            text, _ = helm.run("lint", "--strict", CHART, *flags)
        assert "0 chart(s) failed" in text, text


@case
def every_object_is_labelled_and_in_its_namespace(helm):
    cluster_wide = {CRD, "ClusterRole", "ClusterRoleBinding", "MutatingAdmissionPolicy",
                    "MutatingAdmissionPolicyBinding", "FlowSchema", "PriorityLevelConfiguration"}
    for values in ({}, EVERYTHING, {"namespaces": ["shop"], "nodes": True}):
        for item in helm.template(values).objects:
            kind, metadata = item["kind"], item["metadata"]
            labels = metadata["labels"]
            assert labels["app.kubernetes.io/instance"] == RELEASE, (kind, labels)
            assert (kind in cluster_wide) == ("namespace" not in metadata), (kind, metadata)


@case
def two_releases_share_nothing(helm):
    """Neither of one name in two namespaces, nor of two names in one."""
    def names(namespace, values):
        return {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"])
                for o in helm.template({**values, "flowSchema": {"enabled": True}},
                                       namespace=namespace).objects if o["kind"] != CRD}
    first = names("one", {})
    for other in (names("two", {}), names("one", {"fullnameOverride": "second"})):
        assert not first & other, first & other


@case
def the_longest_names_fit(helm):
    rendered = helm.template({"fullnameOverride": "a" * 63, "bootstrap": {"namespaces": ["shop"]}})
    for item in rendered.objects:
        if item["kind"] not in (CRD, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding",
                                "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"):
            assert len(item["metadata"]["name"]) <= 63, item["metadata"]["name"]


@case
def what_selects_pods_selects_the_replicas_only(helm):
    rendered = helm.template(EVERYTHING)
    pods = rendered.pod()["metadata"]["labels"]
    test = rendered.one("Pod")["metadata"]["labels"]
    selectors = [rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
                 rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                 rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
                 *(s["spec"]["selector"] for s in rendered.all("Service")),
                 *(c["labelSelector"]["matchLabels"]
                   for c in rendered.pod()["spec"]["topologySpreadConstraints"])]
    assert len(selectors) == 7
    for selector in selectors:
        assert selector.items() <= pods.items(), (selector, pods)
        assert not selector.items() <= test.items(), (selector, test)
    monitor = rendered.one("ServiceMonitor")["spec"]["selector"]["matchLabels"]
    chosen = [s["metadata"]["name"] for s in rendered.all("Service")
              if monitor.items() <= s["metadata"]["labels"].items()]
    assert chosen == [f"{RELEASE}-replicas"], chosen


# ---- the pods

@case
def the_pods_are_restricted(helm):
    rendered = helm.template()
    for spec in (rendered.pod()["spec"], rendered.one("Pod")["spec"]):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == RESTRICTED, container["securityContext"]
            assert container["resources"]["requests"] and container["resources"]["limits"]


@case
def they_spread_and_roll_gracefully(helm):
    deployment = helm.template().one("Deployment")["spec"]
    assert deployment["replicas"] == 3
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert [c["topologyKey"] for c in spread] == ["kubernetes.io/hostname",
                                                  "topology.kubernetes.io/zone"]
    assert all(c["matchLabelKeys"] == ["pod-template-hash"] for c in spread)
    budget = helm.template().one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    own = {"topologyKey": "t", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule",
           "labelSelector": {"matchLabels": {"mine": "yes"}}, "matchLabelKeys": []}
    changed = helm.template({"topologySpreadConstraints": [own]}).pod()["spec"]
    assert changed["topologySpreadConstraints"] == [own]


@case
def a_pod_has_time_to_drain(helm):
    for delay, timeout in ((5, 20), (0, 0), (60, 600)):
        rendered = helm.template({"shutdown": {"delaySeconds": delay, "timeoutSeconds": timeout}})
        config = yaml.safe_load(rendered.config_text())
        assert config["shutdownDelay"] == f"{delay}s", config
        assert config["shutdownTimeout"] == f"{timeout}s", config
        assert rendered.pod()["spec"]["terminationGracePeriodSeconds"] > delay + timeout


@case
def the_pods_roll_when_the_config_changes_and_only_then(helm):
    def checksum(values):
        return helm.template(values).pod()["metadata"]["annotations"]["checksum/config"]
    plain = checksum({})
    assert checksum({"replicas": 7, "flowSchema": {"enabled": True}}) == plain
    for values in ({"publish": "annotated"}, {"config": {"threads": 2}}, {"status": False}):
        assert checksum(values) != plain, values


@case
def the_image_is_named_by_tag_or_digest(helm):
    def image(**values):
        rendered = helm.template({"image": values})
        names = {c["image"] for o in (rendered.pod(), rendered.one("Pod"))
                 for c in o["spec"]["containers"]}
        assert len(names) == 1, names
        return names.pop()
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    digest = "sha256:" + 64 * "b"
    assert image() == f"lookaside:{version}"
    assert image(tag="x") == "lookaside:x"
    assert image(repository="r.example/l", tag="x", digest=digest) == f"r.example/l@{digest}"


@case
def the_chart_is_of_the_version_that_is_built(helm):
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    done = subprocess.run([BUILD / "lookaside", "--version"], capture_output=True, text=True,
                          timeout=CONFIG_SECONDS, check=True)
    assert chart["version"] == chart["appVersion"] == done.stdout.split()[-1], (chart, done.stdout)


# ---- what it is configured to do

@case
def the_program_takes_every_config(helm):
    """Exit 2 says that it does not; 1, that there is no API server here."""
    count = 0
    for values in [*matrix(), {"publish": "resources"}, EVERYTHING,
                   {**EVERYTHING, "namespaces": ["a"]}]:
        text = helm.template(values).config_text()
        path = helm.home / "config.yaml"
        path.write_text(text)
        done = subprocess.run([BUILD / "lookaside", "--config", path, "--admin", "127.0.0.1:0"],
                              env={}, capture_output=True, text=True, timeout=CONFIG_SECONDS,
                              check=False)
        assert done.returncode == 1, f"{values}: exit {done.returncode}\n{done.stderr}\n{text}"
        config = yaml.safe_load(text)
        status, rebalance = values.get("status", True), values.get("rebalance", True)
        assert config["status"] == config["leaderElection"] == status, config
        assert config["rebalance"] == rebalance, config
        assert config["loadReports"] == values.get("loadReports", False), config
        assert ("replicasService" in config) == (status or rebalance), config
        count += 1
    assert count > 20


@case
def its_own_keys_win_over_free_ones(helm):
    config = yaml.safe_load(helm.template(EVERYTHING).config_text())
    assert config["hostSuffixes"] == EVERYTHING["hostSuffixes"]
    assert config["publish"] == "annotated" and config["nodes"] is True and config["identifyPods"] is True
    assert config["tokens"] is True and config["tlsClientCa"] == "/etc/lookaside-tls/ca.crt"
    assert config["lease"] == f"{NAMESPACE}/{RELEASE}"
    assert config["replicasService"] == f"{NAMESPACE}/{RELEASE}-replicas"
    assert config["deletionGrace"] == "1m30s" and config["threads"] == 2
    assert config["limits"] == EVERYTHING["limits"]


def rules(rendered, kind, name, namespace=None):
    """{(API group, resource, names): verbs}."""
    found = [r for r in rendered.all(kind) if r["metadata"]["name"] == name
             and r["metadata"].get("namespace") == namespace]
    assert len(found) <= 1
    return {(group, resource, tuple(rule.get("resourceNames", ()))): set(rule["verbs"])
            for role in found for rule in role["rules"]
            for group in rule["apiGroups"] for resource in rule["resources"]}


def expected_rules(values):
    """Of what is read: written out again, and not by the chart's templates."""
    read = {"list", "watch"}
    wanted = {("", "services", ()): read, ("lookaside.dev", "lookasideservices", ()): read}
    if values["source"] == "slices":
        wanted["discovery.k8s.io", "endpointslices", ()] = read
    else:
        wanted["", "endpoints", ()] = read
    if values["identifyPods"]:
        wanted["", "pods", ()] = read
    if values["status"]:
        wanted["lookaside.dev", "lookasideservices/status", ()] = {"patch"}
        wanted["events.k8s.io", "events", ()] = {"create", "patch"}
    return wanted


@case
def rights_are_those_of_what_is_switched_on(helm):
    nodes = {("", "nodes", ()): {"list", "watch"}}
    cluster_name = f"{RELEASE}.{NAMESPACE}"
    for values in matrix():
        rendered, namespaces = helm.template(values), values["namespaces"]
        wanted = expected_rules(values)
        for namespace in namespaces:
            assert rules(rendered, "Role", RELEASE, namespace) == wanted, values
        everywhere = {} if namespaces else dict(wanted)
        everywhere.update(nodes if values["nodes"] else {})
        assert rules(rendered, "ClusterRole", cluster_name) == everywhere, values
        own = rules(rendered, "Role", f"{RELEASE}-replicas", NAMESPACE)
        assert own == expected_own_rules(values), (values, own)
        roles = [o for o in rendered.objects if o["kind"] in ("Role", "ClusterRole")]
        assert len(roles) == len(namespaces) + bool(everywhere) + bool(own), values
        check_bindings(rendered, roles)


def expected_own_rules(values):
    """Of the Lease, and of the replicas' addresses where they are not read anyway."""
    leases = ("coordination.k8s.io", "leases")
    wanted = {}
    if values["status"]:
        wanted = {(*leases, ()): {"create"}, (*leases, (RELEASE,)): {"get", "update"}}
    elif not values["rebalance"]:
        return {}
    read = not values["namespaces"] or NAMESPACE in values["namespaces"]
    if values["source"] != "slices" or not read:
        wanted["discovery.k8s.io", "endpointslices", ()] = {"list"}
    return wanted


def check_bindings(rendered, roles):
    account = rendered.one("ServiceAccount")["metadata"]
    for role in roles:
        found = [b for b in rendered.all(f"{role['kind']}Binding")
                 if b["metadata"].get("namespace") == role["metadata"].get("namespace")
                 and b["roleRef"]["name"] == role["metadata"]["name"]
                 and b["roleRef"]["kind"] == role["kind"]]
        assert len(found) == 1, role["metadata"]
        assert found[0]["subjects"] == [{"kind": "ServiceAccount", "name": account["name"],
                                         "namespace": account["namespace"]}]


@case
def what_is_switched_off_is_not_made(helm):
    everything = helm.template(EVERYTHING).kinds()
    for values, kinds in (
            ({"crds": {"install": False}}, {CRD}),
            ({"rbac": {"create": False}}, {"Role", "ClusterRole", "RoleBinding",
                                           "ClusterRoleBinding"}),
            ({"serviceAccount": {"create": False}}, {"ServiceAccount"}),
            ({"podDisruptionBudget": {"enabled": False}}, {"PodDisruptionBudget"}),
            ({"networkPolicy": {"enabled": False}}, {"NetworkPolicy"}),
            ({"serviceMonitor": {"enabled": False}}, {"ServiceMonitor"}),
            ({"prometheusRule": {"enabled": False}}, {"PrometheusRule"}),
            ({"flowSchema": {"enabled": False}}, {"FlowSchema", "PriorityLevelConfiguration"}),
            ({"bootstrap": {"inject": {"enabled": False}}},
             {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"})):
        assert kinds <= everything, kinds - everything
        left = helm.template(merged(EVERYTHING, values)).kinds()
        assert left == everything - kinds, (values, everything ^ left)
    plain = helm.template({"serviceAccount": {"create": False}})
    assert plain.pod()["spec"]["serviceAccountName"] == "default"


@case
def who_may_write_in_namespaces_only_can_install_it(helm):
    rendered = helm.template({"namespaces": ["shop"], "crds": {"install": False},
                              "bootstrap": {"inject": {"enabled": False}}})
    assert {o["metadata"]["namespace"] for o in rendered.objects} == {"shop", NAMESPACE}


# ---- the kind

@case
def the_crd_is_the_one_of_the_tree(helm):
    made = helm.template().one(CRD)
    assert made["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert made["metadata"].pop("labels")["app.kubernetes.io/name"] == "lookaside"
    assert made == yaml.safe_load(CRD_FILE.read_text())


@case
def a_package_holds_it_as_a_file(helm):
    helm.run("package", CHART, "--destination", helm.home)
    package = next(helm.home.glob("lookaside-*.tgz"))
    with tarfile.open(package) as archive:
        member = archive.getmember(f"lookaside/files/crds/{CRD_FILE.name}")
        assert member.isfile() and archive.extractfile(member).read() == CRD_FILE.read_bytes()
        names = {m.name for m in archive.getmembers()}
    assert not any(part.startswith(".") for n in names for part in n.split("/")[1:-1]), names
    assert helm.template(chart=package).objects == helm.template().objects


# ---- the clients' bootstrap

def printed(*flags):
    done = subprocess.run([BUILD / "lookasidectl", "bootstrap", *flags], capture_output=True,
                          text=True, timeout=CONFIG_SECONDS, check=True)
    return done.stdout.rstrip("\n")


@case
def the_bootstrap_is_what_lookasidectl_prints(helm):
    secret = {"secretName": "certificate"}
    for values, flags, port in (
            ({}, (), 18000), ({"bootstrap": {"server": "10.1.2.3:443"}}, (), 443),
            ({"service": {"port": 1}}, (), 1), ({"tls": secret}, (), 18000),
            ({"tls": secret, "bootstrap": {"tls": True}}, ("--tls",), 18443),
            ({"tls": {**secret, "port": 2}, "bootstrap": {"tls": True, "caFile": "/ca/ca.crt"}},
             ("--tls-ca", "/ca/ca.crt"), 2),
            ({"bootstrap": {"tls": True, "server": "10.1.2.3:443"}}, ("--tls",), 443)):
        values = merged({"bootstrap": {"namespaces": ["shop"]}}, values)
        rendered = helm.template(values)
        server = values["bootstrap"].get("server") or f"{RELEASE}.{NAMESPACE}.svc:{port}"
        made = rendered.one("ConfigMap", f"{RELEASE}-bootstrap")
        assert made["metadata"]["namespace"] == "shop"
        assert made["data"] == {"GRPC_XDS_BOOTSTRAP_CONFIG": printed(
            "--server", server, "--node-id", "shop", "--zone", "", "--namespace", "shop", *flags)}
        injected = printed("--server", server, *flags, "--node-id", "ID", "--zone", "ZONE", "--namespace",
                           "namespace", "--node", "NODE")
        for word, name in (("ID", "POD_NAME"), ("ZONE", "ZONE"), ("NODE", "NODE_NAME"),
                           ("namespace", "POD_NAMESPACE")):
            injected = injected.replace(f'"{word}"}}', f'"$(LOOKASIDE_{name})"}}').replace(
                f':"{word}",', f':"$(LOOKASIDE_{name})",')
        variables = {v["name"]: v["expression"]
                     for v in rendered.one("MutatingAdmissionPolicy")["spec"]["variables"]}
        assert variables["bootstrap"] == f"'{injected}'", variables


@case
def a_secret_brings_the_tls_port(helm):
    def ports(rendered):
        return [p["name"] for p in rendered.pod()["spec"]["containers"][0]["ports"]]
    plain, secure = helm.template(), helm.template({"tls": {"secretName": "s", "port": 443}})
    assert ports(plain) == ["xds", "admin"] and "tls" not in plain.config_text()
    assert ports(secure) == ["xds", "xds-tls", "admin"]
    assert "grpc-xds-tls" not in [p["name"] for p in plain.one("Service", RELEASE)["spec"]["ports"]]
    assert {"name": "grpc-xds-tls", "port": 443, "targetPort": "xds-tls"} in \
        secure.one("Service", RELEASE)["spec"]["ports"]
    spec, config = secure.pod()["spec"], yaml.safe_load(secure.config_text())
    assert {"name": "tls", "secret": {"secretName": "s"}} in spec["volumes"]
    mount = next(m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "tls")
    assert mount["readOnly"] and config["tlsListen"] == ":18443", (mount, config)
    assert config["tlsCert"] == f"{mount['mountPath']}/tls.crt"
    assert config["tlsKey"] == f"{mount['mountPath']}/tls.key"
    policy = helm.template({"tls": {"secretName": "s"}, "networkPolicy": {"enabled": True}})
    assert policy.one("NetworkPolicy")["spec"]["ingress"][0]["ports"] == [{"port": "xds"},
                                                                         {"port": "xds-tls"}]
    rules = helm.template({"tls": {"secretName": "s"}, "prometheusRule": {"enabled": True}}).one("PrometheusRule")
    alerts = {rule["alert"]: rule["expr"] for rule in rules["spec"]["groups"][0]["rules"]}
    assert re.fullmatch(r"\w+_expiry_timestamp_seconds({.+}) - time\(\) < 86400 and \w+_ends_soon\1 == 1",
                        alerts["LookasideCertificateExpires"]), alerts
    assert f"Over TLS, with the certificate of Secret s: {RELEASE}.{NAMESPACE}.svc:18443" in \
        helm.notes({"tls": {"secretName": "s"}})


@case
def injection_is_left_out_where_the_kind_is_unknown(helm):
    assert "MutatingAdmissionPolicy" in helm.template().kinds()
    assert "MutatingAdmissionPolicy" not in helm.template(policies=False).kinds()


@case
def the_service_has_a_port_that_dns_makes_a_grpclb_record_of(helm):
    def ports(values):
        return {port["name"]: port for port in next(
            s for s in helm.template(values).all("Service")
            if s["metadata"]["name"] == RELEASE)["spec"]["ports"]}

    found = ports({})
    assert found["grpclb"] == {"name": "grpclb", "port": 18001, "targetPort": "xds"}, found
    assert found["grpc-xds"]["port"] == 18000, found
    assert ports(EVERYTHING)["grpclb"]["port"] == 8444
    assert list(ports({"service": {"grpclbPort": 0}})) == ["grpc-xds"]


@case
def the_notes_say_what_to_do_next(helm):
    notes = helm.notes()
    for part in (f"helm test {RELEASE} --namespace {NAMESPACE}", "xds:///SERVICE.NAMESPACE:PORT",
                 f"{RELEASE}.{NAMESPACE}.svc:18000", "lookasidectl explain"):
        assert part in notes, f"{part!r} is not in\n{notes}"
    assert "annotate" in helm.notes({"publish": "annotated"})
    off = helm.notes({"bootstrap": {"inject": {"enabled": False}, "namespaces": ["shop"]}})
    assert "lookaside.dev/inject" not in off and "configMapRef" in off, off
    assert "until it is" in helm.notes({"crds": {"install": False}})
    assert "\n\n\n" not in notes, notes


# ---- wrong values

WRONG = [
    ({"replicas": "three"}, "/replicas", "want integer"),
    ({"replica": 3}, "replica", "not allowed"),
    ({"publish": "some"}, "/publish", "'all', 'annotated', 'resources'"),
    ({"namespaces": ["Shop"]}, "/namespaces/0", "'Shop' does not match pattern"),
    ({"namespaces": ["a", "a"]}, "/namespaces", "items at 0 and 1 are equal"),
    ({"hostSuffixes": ["com"]}, "/hostSuffixes/0", "'com' does not match pattern"),
    ({"status": "yes"}, "/status", "want boolean"),
    ({"config": {"listen": ":1"}}, "/config", "'listen' not allowed"),
    ({"config": {"threads": 0}}, "/config/threads", "want 1"),
    ({"config": {"deletionGrace": "soon"}}, "/config/deletionGrace", "does not match pattern"),
    ({"limits": {"speed": 1}}, "/limits", "'speed' not allowed"),
    ({"limits": {"resets": 0}}, "/limits/resets", "want 1"),
    ({"limits": {"message": "1MB"}}, "/limits/message", "does not match pattern"),
    ({"limits": {"message": "5m"}}, "/limits/message", "does not match pattern"),
    ({"limits": {"names": "5m"}}, "/limits/names", "does not match pattern"),
    ({"limits": {"streams": "1KiB"}}, "/limits/streams", "does not match pattern"),
    ({"limits": {"stalled": "1KiB"}}, "/limits/stalled", "does not match pattern"),
    ({"limits": {"keepalive": 60}}, "/limits/keepalive", "want string"),
    ({"service": {"port": 70000}}, "/service/port", "want 65,535"),
    ({"service": {"grpclbPort": -1}}, "/service/grpclbPort", "want 0"),
    ({"bootstrap": {"server": "lookaside"}}, "/bootstrap/server", "does not match pattern"),
    ({"bootstrap": {"server": "a'b:1"}}, "/bootstrap/server", "does not match pattern"),
    ({"bootstrap": {"inject": {"failurePolicy": "fail"}}}, "/bootstrap/inject/failurePolicy",
     "'Ignore', 'Fail'"),
    ({"bootstrap": {"caFile": "ca.crt"}}, "/bootstrap/caFile", "does not match pattern"),
    ({"bootstrap": {"tls": True}}, "bootstrap.tls needs tls.secretName", "bootstrap.server"),
    ({"tls": {"secretName": "Not A Name"}}, "/tls/secretName", "does not match pattern"),
    ({"tls": {"port": 0}}, "/tls/port", "want 1"),
    ({"image": {"digest": "sha256:1"}}, "/image/digest", "does not match pattern"),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, "/podDisruptionBudget/maxUnavailable",
     "want 1"),
    ({"shutdown": {"delaySeconds": -1}}, "/shutdown/delaySeconds", "want 0"),
    ({"podAnnotations": {"a": 1}}, "/podAnnotations/a", "want string"),
    ({"crds": {"keep": True}}, "/crds", "'keep' not allowed"),
]


@case
def wrong_values_are_refused_by_name(helm):
    for values, place, why in WRONG:
        try:
            helm.template(values)
        except Refused as refused:
            text = str(refused).replace('"', "'")
            assert place in text and why in text, f"{values} is refused with: {text}"
        else:
            raise AssertionError(f"{values} is not refused")
    helm.template(EVERYTHING)


def kind_of_limit(default):
    """By its unit."""
    if default.endswith("iB"):
        return "bytes"
    return "duration" if default[-1].isalpha() and not default.endswith("/s") else "count"


@case
def the_schema_knows_the_limits_of_the_program(helm):
    schema = json.loads((CHART / "values.schema.json").read_text())
    text = subprocess.run([BUILD / "lookaside", "--help"], capture_output=True, text=True, check=True).stdout
    told = dict(re.findall(r"^ {8}([a-z-]+) +([0-9]\S*) ", text, re.MULTILINE))
    known = {name: part["$ref"].rpartition("/")[2] for name, part in schema["properties"]["limits"]["properties"].items()}
    assert known == {name: kind_of_limit(default) for name, default in told.items()} and told, told
    helm.template({"limits": {name: default.removesuffix("/s") for name, default in told.items()}})


@case
def every_default_is_in_the_schema(helm):
    """And the other way round, so that values.yaml is the documentation of all there is."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) - {"global"} == set(defaults)
    for name, part in schema["properties"].items():
        if part.get("additionalProperties") is False and name not in ("config", "limits"):
            assert set(part["properties"]) == set(defaults[name]), name
    assert helm.template(defaults).objects == helm.template().objects
