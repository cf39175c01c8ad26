"""Offline nothing leaves the machine: whole runs, as a user makes them, watched."""

import os
import re
import shutil
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

from framegen.runs.metrics import METRICS
from tests.conftest import smallest
from tests.forked import UNDRAWN, Forked

BOTH = """
import sys
from framegen.__main__ import main
from framegen.commands import training
for mode in "offline", "disabled":
    words, sys.argv = sys.argv, [*sys.argv, "--name", mode, "--track", mode]
    main()
    sys.argv, training.draw_run = words, lambda *_: []  # the same pictures once more
"""

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
{BOTH}
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


def test_nothing_leaves_the_machine(tmp_path: Path) -> None:
    hidden = ("WANDB_MODE", "WANDB_API_KEY", "WANDB_ERROR_REPORTING")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["XDG_CONFIG_HOME"] = environment["NETRC"] = str(tmp_path / "none")
    words = ["train", "video", *map(str, smallest(tmp_path))]
    if strace := shutil.which("strace"):
        only, into = "-etrace=connect,sendto,sendmsg,sendmmsg", f"-o{tmp_path / 'calls'}"
        calls = ["-f", "--seccomp-bpf", "-qq", only, into]
        command = [strace, *calls, sys.executable, "-c", BOTH, *words]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
        said = (tmp_path / "calls").read_text(errors="replace")
        assert "connect(" in said, "W&B's processes meet at a socket"
    else:
        said = Forked(WATCHED, *words, environment=environment).succeeded().stderr
    assert all((tmp_path / "runs" / mode / METRICS).exists() for mode in ("offline", "disabled"))
    assert _elsewhere(said) == []


def test_a_user_without_a_home_is_tracked_offline_too(tmp_path: Path) -> None:
    program = "import pwd\ndef nobody(uid): raise KeyError(uid)\npwd.getpwuid = nobody\n" + UNDRAWN
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "WANDB_MODE")}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "MPLCONFIGDIR": str(tmp_path)}
    words = ["train", "--engine", "torch", *smallest(tmp_path)]
    Forked(program, *words, environment=environment).succeeded()
    assert list(tmp_path.glob("runs/wandb/offline-run-*/*.wandb"))
