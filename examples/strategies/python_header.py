"""How an agent in Python applies a credential that goes into a header.

    curl -H "Authorization: Bearer $NEXUS_API_KEY" localhost:8090/v1/token/$ID | python3 python_header.py
"""

import json
import sys


def apply(headers: dict, token: dict) -> dict:
    kind, config = token["strategy"]["type"], token["strategy"]["config"]
    if kind not in ("oauth2", "header"):
        raise ValueError(f"the strategy {kind} is no header")
    return {**headers, config["header_name"]: config["value_prefix"] + token["credentials"][config["credential_field"]]}


if __name__ == "__main__":
    json.dump(apply({"Accept": "application/json"}, json.load(sys.stdin)), sys.stdout)
