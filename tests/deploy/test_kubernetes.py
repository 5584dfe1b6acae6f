"""deploy/k8s: against Kubernetes' schemas, without a cluster; rendered by kubectl if it is here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster_k8s
import kubernetes_validate
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.ref import InstanceRef
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import (
    DagsterK8sJobConfig,
    UserDefinedDagsterK8sConfig,
    construct_dagster_k8s_job,
)
from dagster_postgres.utils import DagsterPostgresException
from kubernetes import client

from lake.config.alerts import EmailSection
from lake.config.settings import load
from lake.servers.ports import free_ports

HERE = Path(__file__).parents[2] / "deploy/k8s"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((HERE / "kustomization.yaml").read_text("utf-8"))
DAGSTER: dict[str, Any] = yaml.safe_load((HERE / "dagster.yaml").read_text("utf-8"))
LAUNCHER: dict[str, Any] = DAGSTER["run_launcher"]["config"]
VERSIONS = ("1.28", "1.34")


def documents(*files: Path) -> list[dict[str, Any]]:
    return [
        document
        for file in files
        for document in yaml.safe_load_all(file.read_text("utf-8"))
        if document
    ]


RESOURCES = documents(*(HERE / name for name in KUSTOMIZATION["resources"]))
SECRETS = documents(HERE / "secrets.example.yaml")
ALL = [*RESOURCES, *SECRETS]
DEPLOYMENTS = {
    resource["metadata"]["name"]: resource
    for resource in RESOURCES
    if resource["kind"] == "Deployment"
}


def pod(name: str) -> dict[str, Any]:
    return DEPLOYMENTS[name]["spec"]["template"]["spec"]


def container(name: str) -> dict[str, Any]:
    (only,) = pod(name)["containers"]
    return only


def title(resource: dict[str, Any]) -> str:
    return f"{resource['kind']}-{resource['metadata']['name']}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", ALL, ids=title)
def test_the_schema_accepts_it(resource, version):
    kubernetes_validate.validate(resource, version, strict=True)


def test_the_schema_refuses_a_mistake():
    """So that the test above can fail."""
    wrong = yaml.safe_load(yaml.safe_dump(DEPLOYMENTS["code"]).replace("mountPath", "mountpath"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_every_manifest_is_in_the_kustomization_but_the_secrets():
    others = {"kustomization.yaml", "dagster.yaml", "workspace.yaml", "secrets.example.yaml"}
    assert set(KUSTOMIZATION["resources"]) == {p.name for p in HERE.glob("*.yaml")} - others
    assert not [resource for resource in RESOURCES if resource["kind"] == "Secret"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_pod_is_confined(name):
    security = pod(name)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(name)["securityContext"] == LAUNCHER["security_context"]
    assert "memory" in container(name)["resources"]["limits"]
    assert {"livenessProbe", "startupProbe"} <= set(container(name))
    assert not container(name)["image"].endswith(":latest")


def test_secrets_of_the_lake_are_with_runs_and_definitions_only():
    secret = {"secretRef": {"name": "lake-secrets"}}
    with_secrets = {name for name in DEPLOYMENTS if secret in container(name)["envFrom"]}
    assert with_secrets == {"code"}
    assert set(LAUNCHER["env_secrets"]) == {secret["metadata"]["name"] for secret in SECRETS}


def test_names_that_are_referred_to_exist():
    maps = {generator["name"] for generator in KUSTOMIZATION["configMapGenerator"]}
    volumes = [volume for name in DEPLOYMENTS for volume in pod(name)["volumes"]]
    used = {
        volume["configMap"]["name"]
        for volume in [*volumes, *LAUNCHER["volumes"]]
        if "configMap" in volume
    }
    assert used | {LAUNCHER["instance_config_map"]} <= maps
    accounts = {
        resource["metadata"]["name"]
        for resource in RESOURCES
        if resource["kind"] == "ServiceAccount"
    }
    assert {pod(name)["serviceAccountName"] for name in DEPLOYMENTS} == accounts
    assert LAUNCHER["service_account_name"] in accounts
    assert LAUNCHER["job_namespace"] == KUSTOMIZATION["namespace"]
    for name in DEPLOYMENTS:
        mounts = {mount["name"] for mount in container(name)["volumeMounts"]}
        assert mounts == {volume["name"] for volume in pod(name)["volumes"]}
    for generated in KUSTOMIZATION["configMapGenerator"]:
        assert all((HERE / file).is_file() for file in generated.get("files", ()))


def test_runs_have_no_rights_in_the_cluster():
    (binding,) = (resource for resource in RESOURCES if resource["kind"] == "RoleBinding")
    assert [subject["name"] for subject in binding["subjects"]] == ["lake-dagster"]
    assert LAUNCHER["service_account_name"] == "lake-runs"
    (role,) = (resource for resource in RESOURCES if resource["kind"] == "Role")
    assert "*" not in str(role["rules"])
    assert "secrets" not in str(role["rules"])


def test_only_dagster_reaches_the_code_server_and_every_role_is_in_a_policy():
    policies = {resource["metadata"]["name"]: resource["spec"] for resource in RESOURCES
                if resource["kind"] == "NetworkPolicy"}  # fmt: skip
    assert policies["nothing-in"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    (rule,) = policies["dagster-to-code"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [4000]
    out = [policies[name]["podSelector"]["matchExpressions"][0]["values"]
           for name in ("dagster-out", "runs-out")]  # fmt: skip
    roles = {*DEPLOYMENTS, LAUNCHER["labels"]["monitoring-lake/role"]}
    assert sorted(role for values in out for role in values) == sorted(roles)


def test_the_lake_takes_the_configuration_and_the_secrets():
    secret = {name: value for document in SECRETS for name, value in document["stringData"].items()}
    given = {name: re.sub("PASSWORD|SECRET", "x9y8z7-of-a-test", value)
             for name, value in secret.items() if name.startswith("LAKE_")}  # fmt: skip
    settings = load(str(HERE / "lake.toml"), given)
    assert len(settings.dataset) == 3
    assert settings.sources.prometheus.password.get_secret_value() == "x9y8z7-of-a-test"
    ports = {url.rpartition(":")[2] for url in
             (settings.sources.prometheus.url, settings.sources.loki.url)}  # fmt: skip
    (out,) = (resource for resource in RESOURCES if resource["metadata"]["name"] == "runs-out")
    allowed = {str(port["port"]) for port in out["spec"]["egress"][0]["ports"]}
    assert ports <= allowed
    # Alerts are sent from the code server, by Alertmanager and by mail, too.
    assert {"9093", str(EmailSection(host="h", sender="a@h", to=("b@h",)).port)} <= allowed


def test_database_variables_are_those_of_the_secret():
    database = DAGSTER["storage"]["postgres"]["postgres_db"]
    wanted = {value["env"] for value in database.values() if isinstance(value, dict)}
    (given,) = (secret for secret in SECRETS if secret["metadata"]["name"] == "dagster-postgres")
    assert wanted == set(given["stringData"])


def test_kubectl_renders_what_the_schema_accepts():
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl here")
    done = subprocess.run(["kubectl", "kustomize", HERE], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    rendered = [document for document in yaml.safe_load_all(done.stdout) if document]
    for resource in rendered:
        kubernetes_validate.validate(resource, VERSIONS[-1], strict=True)
    assert {resource["metadata"].get("namespace", "monitoring-lake") for resource in rendered} == {
        "monitoring-lake"
    }
    pods = [resource["spec"]["template"]["spec"] for resource in rendered
            if resource["kind"] == "Deployment"]  # fmt: skip
    images = {pod_["containers"][0]["image"] for pod_ in pods}
    (image,) = (resource["data"]["image"] for resource in rendered
                if resource["metadata"]["name"] == "lake-image")  # fmt: skip
    assert images == {image}


def test_dagster_makes_the_instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Up to the database, for which nothing listens, and the cluster, which is not there."""
    (database,) = (secret for secret in SECRETS if secret["metadata"]["name"] == "dagster-postgres")
    for name, value in database["stringData"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_PG_HOST", "127.0.0.1")
    text = (HERE / "dagster.yaml").read_text("utf-8")
    port = free_ports(("postgres",))["postgres"]
    (tmp_path / "dagster.yaml").write_text(text.replace("port: 5432", f"port: {port}"))
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: None)
    impatient = SimpleNamespace(sleep=lambda _: None)
    monkeypatch.setattr("dagster_postgres.utils.time", impatient)
    ref = InstanceRef.from_dir(str(tmp_path))
    assert type(ref.run_launcher) is dagster_k8s.K8sRunLauncher
    assert type(ref.compute_log_manager).__name__ == "NoOpComputeLogManager"
    assert type(ref.run_coordinator).__name__ == "QueuedRunCoordinator"
    with pytest.raises(DagsterPostgresException) as raised:
        print(ref.storage)
    causes = f"{raised.value} {raised.value.__cause__}"
    assert f"port {port} failed: Connection refused" in causes


def test_the_launcher_makes_a_job_that_the_schema_accepts():
    """Dagster's own code reads dagster.yaml and builds the job of a run."""
    checked = process_config(
        resolve_to_config_type(dagster_k8s.K8sRunLauncher.config_type()), LAUNCHER
    )
    assert checked.success, checked.errors
    given = checked.value
    context = K8sContainerContext(
        env_secrets=given["env_secrets"], volumes=given["volumes"],
        volume_mounts=given["volume_mounts"], labels=given["labels"],
        resources=given["resources"], security_context=given["security_context"],
        run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(given["run_k8s_config"]),
    )  # fmt: skip
    made = construct_dagster_k8s_job(
        DagsterK8sJobConfig(
            job_image="i:1", dagster_home=given["dagster_home"],
            image_pull_policy=given["image_pull_policy"],
            service_account_name=given["service_account_name"],
            instance_config_map=given["instance_config_map"],
            env_secrets=given["env_secrets"], volumes=given["volumes"],
            volume_mounts=given["volume_mounts"], labels=given["labels"],
            resources=given["resources"], security_context=given["security_context"],
        ),
        args=["dagster", "api", "execute_run"], job_name="dagster-run-1",
        user_defined_k8s_config=context.run_k8s_config,
    )  # fmt: skip
    job = client.ApiClient().sanitize_for_serialization(made)
    kubernetes_validate.validate(job, VERSIONS[-1], strict=True)
    spec = job["spec"]["template"]["spec"]
    (run,) = spec["containers"]
    assert job["spec"]["template"]["metadata"]["labels"]["monitoring-lake/role"] == "runs"
    assert run["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert {mount["name"] for mount in run["volumeMounts"]} == {v["name"] for v in spec["volumes"]}
    assert run["resources"]["limits"]["memory"] == "4Gi"
