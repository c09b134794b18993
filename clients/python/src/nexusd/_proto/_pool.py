"""A descriptor pool of our own, so that other generated code of the same names may be in the process."""

from typing import Any

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

from nexusd._proto._descriptors import FILES

_pool = DescriptorPool()
for _file in FILES:
    _pool.Add(descriptor_pb2.FileDescriptorProto.FromString(_file))


def messages_of(file: str) -> dict[str, Any]:
    """The classes of the messages that stand in a file, by their names."""
    types = _pool.FindFileByName(file).message_types_by_name
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in types.items()}
