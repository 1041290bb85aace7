"""Is a Kubernetes manifest right? There is no Kubernetes to ask, but there are the models of its Python client, and the
schemas of its API in a package for Node.js, both made from its own description; and a few things that neither knows.
"""
import copy
import json
import os
import shutil
import subprocess
from pathlib import Path

import yaml
from kubernetes.client import ApiClient

from world import PATIENCE, Trouble

HERE = Path(__file__).resolve().parent
SCHEMAS = HERE.parent.parent / "vendor/prefix/node/node_modules"
OLD_CLIENT = {"backoffLimitPerIndex"}  # fields that are newer than Debian's Python client (Kubernetes 1.22)


def objects(path):
    """What is in a manifest, by kind."""
    return {found["kind"]: found for found in yaml.safe_load_all(Path(path).read_text(encoding="utf-8"))}


def examine(tap, found):
    """Is this manifest, as objects() gives it, right?"""
    tap.agree("job.yaml: as Kubernetes' Python client reads it, nothing is lost", lost_by_client(found))
    if (SCHEMAS / "kubernetes-models").is_dir() and shutil.which("node"):
        tap.agree("job.yaml: the schemas of Kubernetes' API take it", complaints(list(found.values())))
        tap.agree("job.yaml: they know each field, for a wrong value there is refused", unknown_fields(found))
    else:
        tap.point(True, "job.yaml: not held against the schemas of Kubernetes' API, for want of Node.js or npm")
    tap.agree("job.yaml: its parts fit together", misfits(found))


def lost_by_client(found):
    """The client's models are made from Kubernetes' own description; what they do not know they drop."""
    client, lost = ApiClient(), []
    for kind, wanted in found.items():
        answer = type("Answer", (), {"data": json.dumps(wanted)})
        seen = client.sanitize_for_serialization(client.deserialize(answer, f"V1{kind}"))
        lost += [path for path in differences(wanted, seen) if path.split(".")[-1] not in OLD_CLIENT]
    return lost


def differences(wanted, seen, path=""):
    """The paths at which two values are not the same."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        return [found for key in {**wanted, **seen}
                for found in differences(wanted.get(key, ...), seen.get(key, ...), f"{path}.{key}")]
    if isinstance(wanted, list) and isinstance(seen, list) and len(wanted) == len(seen):
        return [found for place, pair in enumerate(zip(wanted, seen))
                for found in differences(*pair, f"{path}.{place}")]
    return [] if wanted == seen and isinstance(wanted, type(seen)) else [path]


def complaints(values):
    """What the schemas have against these objects."""
    return [text for text in validate(values) if text]


def validate(values):
    done = subprocess.run(["node", HERE / "validate.js"], input=json.dumps(values), capture_output=True, text=True,
                          timeout=PATIENCE, check=False, env={**os.environ, "NODE_PATH": str(SCHEMAS)})
    if done.returncode != 0:
        raise Trouble(done.stderr)
    return json.loads(done.stdout)


def unknown_fields(found):
    """The schemas let fields pass that they do not know; so each field is given what cannot be right."""
    wrong = [(f"{kind}.{'.'.join(map(str, path))}", changed(value, path))
             for kind, value in found.items() for path in paths(value)]
    return [name for (name, _), text in zip(wrong, validate([value for _, value in wrong])) if not text]


def paths(value, path=()):
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        yield (*path, key)
        yield from paths(part, (*path, key))


def changed(value, path):
    """A copy in which at this path stands something of a wrong kind."""
    value = copy.deepcopy(value)
    *way, last = path
    place = value
    for key in way:
        place = place[key]
    place[last] = 7.5 if isinstance(place[last], (dict, list)) else [[]]
    return value


def misfits(found):
    """What no schema can know."""
    job, pod, container = job_parts(found)
    wrong = []
    if job["completionMode"] != "Indexed" or container_env(container)["SHARDS"] != str(job["completions"]):
        wrong.append("an index a shard, and SHARDS as many as there are completions")
    if "backoffLimitPerIndex" in job and pod["restartPolicy"] != "Never":
        wrong.append("backoffLimitPerIndex goes with restartPolicy Never only")
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    if {mount["name"] for mount in container["volumeMounts"]} != set(volumes):
        wrong.append("each volume is mounted, and each mount is of a volume")
    if (volumes["targets"]["configMap"]["name"] != found["ConfigMap"]["metadata"]["name"]
            or volumes["results"]["persistentVolumeClaim"]["claimName"]
            != found["PersistentVolumeClaim"]["metadata"]["name"]):
        wrong.append("the volumes are those that are described beside them")
    return wrong


def job_parts(found):
    """What describes the Job, its pods, and the container in them."""
    job = found["Job"]["spec"]
    pod = job["template"]["spec"]
    return job, pod, pod["containers"][0]


def container_env(container):
    return {variable["name"]: variable["value"] for variable in container["env"]}
