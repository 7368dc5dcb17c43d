"""The processes that share a run, as the environment variable TF_CONFIG names them; without TensorFlow."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from melodygru.errors import SettingError


@dataclass(frozen=True)
class Cluster:
    """The workers that share a run, and which of them this process is.

    Attributes
    ----------
    addresses : dict of TensorFlow's name of a worker (`worker/task:1`) -> its host:port, the chief first
    index : of this process among them
    """

    addresses: dict[str, str]
    index: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0


def read_cluster() -> Cluster | None:
    """The cluster of TF_CONFIG; None without one of several workers.

    Raises
    ------
    SettingError
        TF_CONFIG is not as TensorFlow's users know it, or has jobs that have no part in such a run.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    expected = 'expected {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        config = json.loads(text)
        jobs = config.get("cluster") or {}
        addresses = {
            f"{job}/task:{index}": str(address)
            for job in ("chief", "worker")
            for index, address in enumerate(jobs.get(job, []))
        }
        mine = f"{config['task']['type']}/task:{int(config['task']['index'])}" if jobs else ""
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise SettingError(f"TF_CONFIG: {expected} ({type(error).__name__}: {error})") from error
    others = sorted(set(jobs) - {"chief", "worker"})
    if others:
        raise SettingError(f"TF_CONFIG: the job {others[0]} has no part in training here; leave it out")
    if len(addresses) < 2:
        return None
    if mine not in addresses:
        task = mine.replace("/task:", " ")
        raise SettingError(f"TF_CONFIG: the task {task} is not in its cluster; {expected}")
    return Cluster(addresses, list(addresses).index(mine))
