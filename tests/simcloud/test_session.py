"""``with-simulated-cloud``: the command's environment and exit code, and nothing left running."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.session import Session, run
from tests.simcloud.test_memory import has_ended, moto_of

ROOT = Path(__file__).parents[2]


def script(body: str) -> list[str]:
    return [sys.executable, "-c", body]


def within(cloud: Path) -> list[str]:
    return [sys.executable, "-m", "otel_on_spot", "with-simulated-cloud", "--dir", str(cloud)]


def test_the_command_sees_this_cloud_and_no_other_and_its_exit_code_comes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("AWS_PROFILE", "real"),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("KUBECONFIG", "/real"),
        ("PULUMI_BACKEND_URL", "file:///mine"),
    ):
        monkeypatch.setenv(name, value)
    with Session(tmp_path / "cloud", stand_in=False) as session:
        told = session.environment
        assert not {"AWS_PROFILE", "KUBECONFIG"} & told.keys()
        proxy = told["HTTPS_PROXY"].rpartition(":")[2]
        assert told["HTTPS_PROXY"] != "http://127.0.0.1:1"
        assert told["PULUMI_BACKEND_URL"] == "file:///mine"
        assert told["AWS_ENDPOINT_URL"] == session.cloud.moto.url
        ports = dict(pair.split(":") for pair in told["PULUMI_DEBUG_PROVIDERS"].split(","))
        assert ports.keys() == {"aws", "kubernetes"}
        assert run(session, script("import sys; sys.exit(3)")) == 3
        assert run(session, script("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")) == 128 + signal.SIGKILL
    for port in (*ports.values(), proxy, str(session.cloud.moto.port), str(session.cloud.api_port)):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0, port


def test_a_port_in_use_is_named_and_the_cloud_is_free_afterwards(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    port = cloud.api_port
    cloud.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(RuntimeError, match=rf"port {port} .* is in use"):
            Session(tmp_path, stand_in=False).__enter__()
    again = Cloud(tmp_path)
    assert again.api_port == port
    again.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_the_command_and_everything_with_it(tmp_path: Path, number: signal.Signals) -> None:
    waiting = (
        "import signal, sys, time; signal.signal(signal.SIGINT, lambda *_: sys.exit(7)); "
        "print('on', flush=True); time.sleep(60)"
    )
    command = [*within(tmp_path), "--eks-plugin", "--", *script(waiting)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "on\n"
        moto = moto_of(process.pid)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(30) == 7
    assert has_ended(moto)


def test_a_mistake_in_the_fault_plan_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"effect": "explode"}]))
    command = [*within(tmp_path / "cloud"), "--faults", str(faults), "--", "true"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "must be a JSON list of faults such as" in done.stderr
    assert "Traceback" not in done.stderr
