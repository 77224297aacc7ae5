"""infra/k8s: its schemas, and what schemas cannot see."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from tests.infra.manifests import (
    K8S,
    KUBERNETES,
    Document,
    containers,
    environment,
    kustomizations,
    manifest_paths,
    manifests,
    of_kind,
    pods,
    project,
    services,
)


def name_of(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


@pytest.mark.parametrize("document", manifests(), ids=name_of)
def test_it_follows_kubernetes_schema_to_the_letter(document: Document) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_schema_refuses_a_misspelt_key() -> None:
    wrong = copy.deepcopy(of_kind("Deployment")["cpu-worker"])
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_every_manifest_is_applied_once_and_nothing_else() -> None:
    applied = []
    for folder, kustomization in kustomizations().items():
        for name in kustomization["resources"]:
            path = (folder / name).resolve()
            assert path.exists(), path
            applied += [path] if path.is_file() else []
        for generator in kustomization.get("configMapGenerator", []):
            assert all((folder / name).is_file() for name in generator["files"])
    assert sorted([*applied, K8S / "secrets.example.yaml"]) == manifest_paths()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here: nothing that builds kustomizations")
@pytest.mark.parametrize("name", ["base", "gpu", "autoscale"])
def test_kustomize_builds_valid_manifests(name: str) -> None:
    built = subprocess.run(["kubectl", "kustomize", K8S / name], check=True, capture_output=True, text=True, timeout=60)
    documents = list(yaml.safe_load_all(built.stdout))
    assert len(documents) > 10
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "oldphoto"
    version = project()["version"]
    wanted = {f"oldphoto:{version}-cpu", "postgres:17.6-bookworm"} | (
        {f"oldphoto:{version}-cuda"} if name == "gpu" else set()
    )
    assert set(re.findall(r"image: (\S+)", built.stdout)) == wanted
    by_name = {(document["kind"], document["metadata"]["name"]): document for document in documents}
    workers = by_name["Deployment", "cpu-worker"]["spec"].get("replicas")
    assert workers == {"base": 2, "gpu": 0, "autoscale": None}[name]
    assert by_name["ConfigMap", "settings"]["data"]["OLDPHOTO_DEVICE"] == ("cuda" if name == "gpu" else "auto")


def test_images_of_ours_are_named_and_tagged_in_one_place() -> None:
    images = [image for folder in kustomizations().values() for image in folder.get("images", [])]
    tags = {image["name"]: image["newTag"] for image in images}
    version = project()["version"]
    assert tags == {"oldphoto": f"{version}-cpu", "oldphoto-cuda": f"{version}-cuda"}
    others = {container["image"] for pod in pods().values() for container in containers(pod)} - set(tags)
    assert others == {services()["postgres"]["image"]}


def test_config_maps_secrets_and_claims_that_are_named_exist() -> None:
    generated = {
        generator["name"] for folder in kustomizations().values() for generator in folder.get("configMapGenerator", [])
    }
    config_maps = generated | set(of_kind("ConfigMap"))
    for maker, pod in pods().items():
        mounted = {volume["name"] for volume in pod["volumes"]}
        for claim in of_kind("StatefulSet").get(maker, {}).get("spec", {}).get("volumeClaimTemplates", []):
            mounted.add(claim["metadata"]["name"])
        for container in containers(pod):
            environment(container)  # looks every reference up, and raises where it leads nowhere
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= mounted
        for volume in pod["volumes"]:
            if config_map := volume.get("configMap"):
                assert config_map["name"] in config_maps or config_map.get("optional"), (maker, volume)
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in of_kind("PersistentVolumeClaim")


def test_services_that_are_named_exist_and_lead_to_pods() -> None:
    labels = {
        name: maker["spec"]["template"]["metadata"]["labels"]
        for name, maker in of_kind("Deployment", "StatefulSet").items()
    }
    ports = {
        name: [port["name"] for container in containers(pod) for port in container.get("ports", [])]
        for name, pod in pods().items()
    }
    listening: dict[str, list[int]] = {}
    for name, service in of_kind("Service").items():
        assert service["spec"]["selector"] == labels[name]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports[name])
        listening[name] = [port["port"] for port in service["spec"]["ports"]]
    settings = of_kind("ConfigMap")["settings"]["data"]
    for variable, host, port in (
        ("OLDPHOTO_SCHEDULER", "dask-scheduler", 8786), ("PREFECT_API_URL", "prefect-server", 4200),
    ):  # fmt: skip
        assert f"//{host}:{port}" in settings[variable] and port in listening[host]
    assert "@postgres/" in settings["OLDPHOTO_CATALOGUE_URL"] and 5432 in listening["postgres"]


def test_selectors_budgets_and_scalers_mean_their_own_pods() -> None:
    makers = of_kind("Deployment", "StatefulSet")
    for maker in makers.values():
        assert maker["spec"]["selector"]["matchLabels"] == maker["spec"]["template"]["metadata"]["labels"]
    for budget in of_kind("PodDisruptionBudget").values():
        assert budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] in makers
    for scaler in of_kind("HorizontalPodAutoscaler").values():
        assert scaler["spec"]["scaleTargetRef"]["name"] in makers
        (container,) = pods()[scaler["spec"]["scaleTargetRef"]["name"]]["containers"]
        assert container["resources"]["requests"]["cpu"]  # a share of which is what it scales by


@pytest.mark.parametrize("name", list(pods()))
def test_a_pod_is_held_to_its_bounds(name: str) -> None:
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in containers(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert container["resources"]["limits"]["memory"]
    for container in pod["containers"]:
        assert name == "init" or "livenessProbe" in container


def test_gpu_workers_ask_for_a_gpu_and_say_so_to_dask() -> None:
    pod = pods()["gpu-worker"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
    assert container["command"] == services()["gpu-worker"]["command"]


def test_kubernetes_and_compose_start_the_same_commands() -> None:
    for name in ("prefect-server", "dask-scheduler", "cpu-worker", "flows"):
        (container,) = pods()[name]["containers"]
        assert container["command"] == services()[name]["command"], name


def test_no_secret_is_in_the_manifests() -> None:
    for secret in of_kind("Secret").values():
        assert all(value.startswith("change-me") for value in secret["stringData"].values())
    assert not [name for name in of_kind("ConfigMap")["settings"]["data"] if "KEY" in name or "PASSWORD" in name]
