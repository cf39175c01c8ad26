"""Offline nothing leaves the machine: whole runs, as a user makes them, watched."""

import os
import re
import shutil
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from framegen.runs.metrics import METRICS
from tests.conftest import smallest
from tests.forked import FRAMEGEN, Forked

WATCHED = f"""
import socket, sys
def told(name):
    real = getattr(socket.socket, name)
    def watched(self, *arguments):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            print(f'sa_family=AF_INET inet_addr("{{arguments[-1][0]}}")', file=sys.stderr)
        return real(self, *arguments)
    setattr(socket.socket, name, watched)
def asked(host, *arguments, **more):
    print(f'sa_family=AF_INET inet_addr("{{host}}")', file=sys.stderr)
    raise socket.gaierror(socket.EAI_NONAME, "no name server is asked")
told("connect"); told("connect_ex"); told("sendto"); socket.getaddrinfo = asked
{FRAMEGEN}
"""
"""Without strace no more than this process can be watched: W&B's own, which is in Go, cannot."""


def _elsewhere(said: str) -> list[str]:
    """The addresses and names in these system calls, or in what WATCHED says, not of this machine."""
    found = re.findall(r'sa_family=AF_INET6?\b[^}]*?inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"', said)
    return [
        each for each in found if not (re.fullmatch(r"[0-9a-f.:]+", each) and ip_address(each).is_loopback)
    ]


def test_addresses_elsewhere_are_told_from_our_own() -> None:
    calls = """
    7 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.53")}, 16) = 0
    7 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
    7 connect(3, {sa_family=AF_INET6, sin6_port=htons(1), inet_pton(AF_INET6, "::1", &x)
    7 sendto(3, "", 0, 0, {sa_family=AF_INET6, inet_pton(AF_INET6, "2001:db8::1", &x)}, 28)
    7 connect(3, {sa_family=AF_UNIX, sun_path="/run/socket"}, 110) = -1
    """
    assert _elsewhere(calls) == ["10.0.0.53", "2001:db8::1"]


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_nothing_leaves_the_machine(mode: str, tmp_path: Path) -> None:
    hidden = ("WANDB_MODE", "WANDB_API_KEY", "WANDB_ERROR_REPORTING")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["XDG_CONFIG_HOME"] = environment["NETRC"] = str(tmp_path / "none")
    words = ["train", "video", *map(str, smallest(tmp_path)), "--track", mode]
    if strace := shutil.which("strace"):
        calls = ["-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(tmp_path / "calls")]
        command = [strace, *calls, sys.executable, "-m", "framegen", *words]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
        said = (tmp_path / "calls").read_text(errors="replace")
        assert "connect(" in said or mode == "disabled", "W&B's processes meet at a socket"
    else:
        said = Forked(WATCHED, *words, environment=environment).succeeded().stderr
    assert (tmp_path / "runs" / "video-1" / METRICS).exists()
    assert _elsewhere(said) == []


def test_a_user_without_a_home_is_tracked_offline_too(tmp_path: Path) -> None:
    program = "import pwd\ndef nobody(uid): raise KeyError(uid)\npwd.getpwuid = nobody\n" + FRAMEGEN
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "WANDB_MODE")}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "MPLCONFIGDIR": str(tmp_path)}
    words = ["train", "--engine", "torch", *smallest(tmp_path)]
    Forked(program, *words, environment=environment).succeeded()
    assert list(tmp_path.glob("runs/wandb/offline-run-*/*.wandb"))
