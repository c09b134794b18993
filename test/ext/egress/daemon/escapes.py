"""Run by `nexusd run --isolate` in the tests: tries each way out in a process of its own, and prints what came of it as JSON."""

import json
import subprocess
import sys

PRELUDE = """
import ctypes, errno, json, os, socket, sys, types
given = types.SimpleNamespace(**json.loads(sys.argv[1]))
library = ctypes.CDLL(None, use_errno=True)
library.syscall.restype = ctypes.c_long

def call(which, *args):
    number = given.calls[which] if isinstance(which, str) else which
    passed = [each.encode() if isinstance(each, str) else each if each is None else ctypes.c_long(each) for each in args]
    result = library.syscall(ctypes.c_long(number), *passed)
    print(errno.errorcode[ctypes.get_errno()] if result < 0 else result, flush=True)

def held(path):
    try:
        return open(path, "rb").read()
    except OSError:
        return b""

def attempt(work):
    try:
        print(repr(work()), flush=True)
    except OSError as error:
        print(errno.errorcode.get(error.errno, error), flush=True)

"""

with open(sys.argv[1]) as file:
    trial = json.load(file)
given = json.dumps(trial["given"])
printed = {}
for name, code in trial["escapes"].items():
    command = [sys.executable, "-c", PRELUDE + code, given]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, close_fds=False)
    printed[name] = ended.stdout.strip() or ended.stderr.strip()[-300:]
print(json.dumps(printed))
