"""The generated messages: current, and beside other generated code of the same names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]
PROTO = PACKAGE / "../../proto"

protoc = pytest.importorskip("grpc_tools.protoc")


@pytest.mark.skipif(not PROTO.exists(), reason="the contract is in the repository")
def test_is_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, PACKAGE / "generate.py", "--into", tmp_path], check=True)
    for file in tmp_path.iterdir():
        assert file.read_text() == (PACKAGE / "src/nexusd/_proto" / file.name).read_text(), "run ./generate.sh"


def test_lives_beside_other_code_of_the_same_names(tmp_path: Path) -> None:
    """As of an older contract, and of googleapis-common-protos."""
    (tmp_path / "nexus/v1").mkdir(parents=True)
    (tmp_path / "google/rpc").mkdir(parents=True)
    (tmp_path / "nexus/v1/token.proto").write_text('syntax = "proto3"; package nexus.v1; message Token { string other = 1; }')
    (tmp_path / "google/rpc/status.proto").write_text('syntax = "proto3"; package google.rpc; message Status { string other = 9; }')
    files = ["nexus/v1/token.proto", "google/rpc/status.proto"]
    assert protoc.main(["protoc", f"-I{tmp_path}", f"--python_out={tmp_path}", *files]) == 0
    program = f"""
import importlib.util
def load(file):
    spec = importlib.util.spec_from_file_location("other", {str(tmp_path)!r} + file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
token = load("/nexus/v1/token_pb2.py"), load("/google/rpc/status_pb2.py")
import nexusd
from nexusd._proto import status_pb2, token_pb2
assert token_pb2.Token(revision=3).revision == 3 and token[0].Token(other="x").other == "x"
assert status_pb2.Status(code=3).code == 3
"""
    subprocess.run([sys.executable, "-c", program], check=True)
