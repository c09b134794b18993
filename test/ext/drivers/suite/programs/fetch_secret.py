"""A client of CredentialProvider, generated from the proto. Prints the value and its age, or the status and its message."""

import importlib
import sys
import tempfile
from pathlib import Path

import grpc
import grpc_tools
from grpc_tools import protoc

protos, address, ca, cert, key, uri, actor = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    included = Path(grpc_tools.__file__).parent / "_proto"
    outputs = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(["protoc", f"-I{protos}", f"-I{included}", *outputs, "credprovider/credprovider.proto"]) != 0:
        sys.exit("the proto is not valid")
    sys.path.insert(0, folder)
    messages = importlib.import_module("credprovider.credprovider_pb2")
    services = importlib.import_module("credprovider.credprovider_pb2_grpc")
credentials = grpc.ssl_channel_credentials(Path(ca).read_bytes(), Path(key).read_bytes(), Path(cert).read_bytes())
with grpc.secure_channel(address, credentials) as channel:
    try:
        request = messages.FetchSecretRequest(uri=uri, actor_spiffe_id=actor)
        found = services.CredentialProviderStub(channel).FetchSecret(request, timeout=60)
        print(found.opaque_bytes.decode(), found.max_age.seconds)
    except grpc.RpcError as error:
        print(error.code().name, error.details())
