"""Reads a SessionUpdate from one file, says what is in it, and writes it to another."""

import sys

from coral.agent.v1 import session_pb2

with open(sys.argv[1], "rb") as file:
    update = session_pb2.SessionUpdate.FromString(file.read())

[function] = update.functions
print(
    update.sequence,
    update.is_whole,
    function.name,
    function.calls,
    function.calls_per_s,
)

with open(sys.argv[2], "wb") as file:
    file.write(update.SerializeToString())
