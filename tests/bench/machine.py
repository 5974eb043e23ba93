"""What the machine tells of a process: processor time, memory; and what its cores can do."""

import os
import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores a single worker is held to, which the load comes from, and all that may be used."""

    server: frozenset[int]
    load: frozenset[int]
    both: frozenset[int]


def choose_cores() -> Cores:
    """Take the first two cores that this process may run on; with only one, everything shares it."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(server=frozenset(usable[:1]), load=frozenset(usable[1:2] or usable[:1]), both=frozenset(usable[:2]))


def list_tree(root: int) -> list[int]:
    """Return the process `root` and its living descendants."""
    children: dict[int, list[int]] = {}
    for path in _PROC.glob("[0-9]*/stat"):
        fields = _read_stat(int(path.parent.name))
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    tree, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        tree.append(process)
        waiting += children.get(process, [])
    return tree


def hold(root: int, cores: frozenset[int]) -> None:
    """Have every thread of `root` and its living descendants run on these cores alone from now on."""
    for process in list_tree(root):
        for task in (_PROC / str(process) / "task").glob("*"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), cores)


def cpu_seconds(root: int) -> float:
    """Return the processor time in seconds that `root`, its living descendants and those that they have waited for have used."""
    ticks = 0
    for process in list_tree(root):
        fields = _read_stat(process)
        if fields is not None:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS_PER_SECOND


def running_seconds(root: int) -> float:
    """Return for how many seconds the living threads of `root` and its living descendants have run, finer than `cpu_seconds`.

    Right for somebody else's daemon, which uses little for each question and keeps its threads.
    """
    return _read_schedules(root, 0)


def waiting_seconds(root: int) -> float:
    """Return for how many seconds the same threads were ready to run and waited for a core that others had."""
    return _read_schedules(root, 1)


def largest_resident_mebibytes(root: int) -> float:
    """Return the resident memory of the largest process of the tree: a worker is never smaller than what watches over it."""
    return max(_resident_kibibytes(process) for process in list_tree(root)) / 1024


def worker_resident_mebibytes(root: int) -> float:
    """Return the resident memory of the largest descendant of `root`, which itself only watches over them, and may be larger."""
    return max(map(_resident_kibibytes, list_tree(root)[1:]), default=0) / 1024


def openssl_sign_rate(core: frozenset[int], seconds: int) -> float:
    """Return how many RSA-2048 signatures a second the openssl program makes on that core."""
    command = ["openssl", "speed", "-elapsed", "-seconds", str(seconds), "rsa2048"]
    taskset = ["taskset", "--cpu-list", ",".join(map(str, sorted(core)))]
    finished = subprocess.run([*taskset, *command], check=True, capture_output=True, text=True)
    columns = finished.stdout.strip().splitlines()[-1].split()
    return float(columns[-2])


def describe_processor() -> str:
    """Return the model name of the processor, which says little, and whether it has the instructions that halve RSA."""
    text = (_PROC / "cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    ifma = "with" if re.search(r"\bavx512ifma\b", text) else "without"
    return f"{model[1] if model else 'unknown processor'}, {ifma} AVX512-IFMA"


def _read_schedules(root: int, place: int) -> float:
    """Sum what stands at a place of /proc/PID/task/*/schedstat (Linux, scheduler/sched-stats), in seconds."""
    nanoseconds = 0
    for process in list_tree(root):
        for path in (_PROC / str(process) / "task").glob("*/schedstat"):
            with suppress(FileNotFoundError, ProcessLookupError):
                nanoseconds += int(path.read_text(encoding="utf-8").split()[place])
    return nanoseconds / 1e9


def _read_stat(process: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third on (proc(5)); None where the process has ended meanwhile."""
    try:
        return (_PROC / str(process) / "stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _resident_kibibytes(process: int) -> int:
    try:
        status = (_PROC / str(process) / "status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    match = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(match[1]) if match else 0
