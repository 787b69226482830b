"""How is something kept? Files that are whole or not there, that carry no code, and that one process writes at a time."""

from sccl.storage.lock import Taken, hold, hold_file
from sccl.storage.replace import forget_leftovers, is_leftover, leftover_name, replacing, sync_file, sync_folder
from sccl.storage.tensors import FORMAT_VERSION, read_tensors, what_is, write_tensors
from sccl.storage.tree import decode, encode
from sccl.storage.working_directory import check_working_directory

__all__ = [
    "FORMAT_VERSION",
    "Taken",
    "check_working_directory",
    "decode",
    "encode",
    "forget_leftovers",
    "hold",
    "hold_file",
    "is_leftover",
    "leftover_name",
    "read_tensors",
    "replacing",
    "sync_file",
    "sync_folder",
    "what_is",
    "write_tensors",
]
