"""The examples for Kubernetes: they are valid, and name commands, options and images that exist."""

from __future__ import annotations

import re
from typing import Any

import click
import pytest
from conftest import ROOT

yaml = pytest.importorskip("yaml")
jsonschema = pytest.importorskip("jsonschema")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

FOLDER = ROOT / "examples/cluster"
FILES = sorted(path.name for path in FOLDER.glob("*.yaml"))
VERSION = "1.34"
USER = 10001
OF_RAY = {"RayJob"}


def documents(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / file).read_text()))


def some(kind: dict[str, Any], *required: str) -> dict[str, Any]:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": kind,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT, COUNT, TRUTH = ({"type": each} for each in ("string", "integer", "boolean"))
TEXTS = {"type": "object", "additionalProperties": TEXT}  # of which no number may be
TEMPLATE = some({"metadata": {"type": "object"}, "spec": {"type": "object"}}, "spec")
CLUSTER = some(
    {
        "rayVersion": TEXT,
        "enableInTreeAutoscaling": TRUTH,
        "autoscalerOptions": {"type": "object"},
        "suspend": TRUTH,
        "headGroupSpec": some(
            {
                "serviceType": TEXT,
                "enableIngress": TRUTH,
                "rayStartParams": TEXTS,
                "template": TEMPLATE,
            },
            "template",
        ),
        "workerGroupSpecs": {
            "type": "array",
            "minItems": 1,
            "items": some(
                {
                    "groupName": TEXT,
                    "replicas": COUNT,
                    "minReplicas": COUNT,
                    "maxReplicas": COUNT,
                    "numOfHosts": COUNT,
                    "idleTimeoutSeconds": COUNT,
                    "suspend": TRUTH,
                    "rayStartParams": TEXTS,
                    "template": TEMPLATE,
                },
                "groupName",
                "minReplicas",
                "maxReplicas",
                "template",
            ),
        },
    },
    "headGroupSpec",
)
RAY_JOB = some(  # the fields of ray.io/v1, as KubeRay defines them
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": some(
            {
                "entrypoint": TEXT,
                "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
                "runtimeEnvYAML": TEXT,
                "entrypointNumCpus": {"type": "number"},
                "entrypointNumGpus": {"type": "number"},
                "entrypointResources": TEXT,
                "metadata": TEXTS,
                "jobId": TEXT,
                "clusterSelector": TEXTS,
                "suspend": TRUTH,
                "shutdownAfterJobFinishes": TRUTH,
                "ttlSecondsAfterFinished": COUNT,
                "activeDeadlineSeconds": COUNT,
                "backoffLimit": COUNT,
                "submitterPodTemplate": TEMPLATE,
                "rayClusterSpec": CLUSTER,
            },
            "rayClusterSpec",
        ),
    },
    "apiVersion",
    "kind",
    "metadata",
    "spec",
)


def pod_specs(document: dict[str, Any]) -> list[dict[str, Any]]:
    """List the pods that a document makes."""
    if document["kind"] == "RayJob":
        cluster = document["spec"]["rayClusterSpec"]
        groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        return [each["template"]["spec"] for each in groups]
    template = document["spec"].get("template")
    return [template["spec"]] if template else []


ALL = [
    pytest.param(each, id=f"{file}-{each['kind']}") for file in FILES for each in documents(file)
]


@pytest.mark.parametrize("document", ALL)
def test_a_document_is_what_kubernetes_knows(document):
    if document["kind"] in OF_RAY:
        jsonschema.validate(document, RAY_JOB)
    else:
        kubernetes_validate.validate(document, VERSION, strict=True)
    for spec in pod_specs(document):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
        kubernetes_validate.validate(pod, VERSION, strict=True)


@pytest.mark.parametrize("document", ALL)
def test_pods_are_of_an_ordinary_user_a_named_version_and_a_bounded_memory(document):
    for spec in pod_specs(document):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == USER
        volumes = {each["name"] for each in spec.get("volumes", [])}
        for container in spec["containers"]:
            assert re.fullmatch(r"[\w./-]+/featx:\d+\.\d+\.\d+", container["image"])
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            assert {each["name"] for each in container.get("volumeMounts", [])} <= volumes
            assert not any(
                "value" in each for each in container.get("env", []) if "KEY" in str(each)
            )


def test_the_user_is_that_of_the_image():
    text = (ROOT / "examples/container/Containerfile").read_text()
    assert f"USER {USER}:{USER}\n" in text


def commands() -> list[list[str]]:
    """List the words of each command of featx in the examples."""
    found = []
    for file in FILES:
        for document in documents(file):
            entry = document["spec"].get("entrypoint")
            if entry:
                assert entry.split()[0] == "featx"
                found.append(entry.split()[1:])
            for spec in pod_specs(document):
                found += [each["args"] for each in spec["containers"] if "args" in each]
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_has_the_options_that_are_given(words):
    from featx.cli.commands import cli

    command = cli.commands[words[0]]
    assert isinstance(command, click.Command)
    known = {flag for each in command.params for flag in each.opts}
    given = {word.split("=")[0] for word in words if word.startswith("--")}
    assert given <= known, f"featx {words[0]} has no {given - known}"
