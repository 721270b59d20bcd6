"""Watching processes while they work: their memory every half second, and the CPU they used."""

import threading
from dataclasses import dataclass
from typing import Self

import psutil

INTERVAL_SECONDS = 0.5
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Memory:
    """The sum of the resident memory of some processes, in megabytes."""

    start: float
    peak: float
    end: float


class MemoryWatch:
    """Samples the memory of `processes` and their children from a thread of its own."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes = processes
        self._stop = threading.Event()
        self._samples: list[float] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._samples.append(resident_megabytes(self._processes))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def memory(self) -> Memory:
        samples = [*self._samples, resident_megabytes(self._processes)]
        return Memory(samples[0], max(samples), samples[-1])

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            self._samples.append(resident_megabytes(self._processes))


def resident_megabytes(processes: list[psutil.Process]) -> float:
    total = 0
    for process in _with_children(processes):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / MEGABYTE


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """What they, and their children that have ended, used so far."""
    total = 0.0
    for process in processes:
        try:
            total += sum(process.cpu_times()[:4])  # user, system, and the children's
        except psutil.Error:
            continue
    return total


def _with_children(processes: list[psutil.Process]) -> list[psutil.Process]:
    found = {process.pid: process for process in processes}
    for process in processes:
        try:
            found |= {child.pid: child for child in process.children(recursive=True)}
        except psutil.Error:
            continue
    return list(found.values())
