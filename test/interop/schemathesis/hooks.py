"""What schemathesis cannot know: bodies that the rules between their fields let through.

A body that is meant to be valid keeps what was generated of the fields that stand alone, laid over one that is sound. Bodies that are
meant to be refused are left as they are. What is laid under depends on what was generated alone, so that a seed repeats a run.
"""

import atexit
import collections
import hashlib
import json
import os

import schemathesis

answers = collections.Counter()

PROVIDERS = os.environ["NEXUS_TEST_PROVIDERS"].split(",")
STATES = os.environ["NEXUS_TEST_STATES"].split(",")
RETURN_URL = os.environ["NEXUS_TEST_RETURN_URL"]

OAUTH2 = {
    "auth_type": "oauth2",
    "client_id": "the-client",
    "client_secret": "the-client-secret",
    "auth_url": "https://provider.example/authorize",
    "token_url": "https://provider.example/token",
}


def is_meant_to_be_valid(case):
    return case.meta is not None and case.meta.generation.mode.is_positive and isinstance(case.body, dict)


def digest(body):
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()


def standing_alone(profile):
    return {name: profile[name] for name in ("description", "category", "scopes") if name in profile}


@schemathesis.hook("map_case").apply_to(operation_id=["createProvider", "createProviderAlias"])
def profile_to_create(context, case):
    if is_meant_to_be_valid(case):
        number = digest(case.body)
        sound = OAUTH2 if number < "8" else {"auth_type": "api_key"}
        profile = {**standing_alone(case.body.get("profile") or {}), **sound, "name": f"generated-{number[:32]}"}
        case.body = {"profile": profile}
    return case


@schemathesis.hook("map_case").apply_to(
    operation_id=["updateProvider", "updateProviderAlias", "patchProvider", "patchProviderAlias"]
)
def profile_to_change(context, case):
    if is_meant_to_be_valid(case):
        case.body = standing_alone(case.body)
    return case


@schemathesis.hook("map_case").apply_to(operation_id=["requestConnection", "requestConnectionAlias"])
def connection_to_request(context, case):
    if is_meant_to_be_valid(case):
        number = int(digest(case.body), 16)
        case.body = {
            "user_id": case.body.get("user_id") or "ada",
            "provider_name": PROVIDERS[number % len(PROVIDERS)],
            "scopes": case.body.get("scopes"),
            "return_url": RETURN_URL if number % 3 else None,
            "require_confirmation": case.body.get("require_confirmation") if number % 3 else None,
        }
    return case


@schemathesis.hook("map_case").apply_to(operation_id=["captureCredential", "captureCredentialAlias"])
def credential_to_capture(context, case):
    if is_meant_to_be_valid(case):
        number = int(digest(case.body), 16)
        # Each is good for one capture; what was generated or found in an answer is left to every second body.
        state = {"state": STATES[number % len(STATES)]} if number % 2 else {}
        case.body = {**case.body, **state, "credentials": {"api_key": "an-api-key"}}
    return case


@schemathesis.hook
def after_call(context, case, response):
    answers[f"{case.method} {case.path} {response.status_code}"] += 1


@atexit.register
def tell_answers():
    with open("answers.json", "w", encoding="utf-8") as file:
        json.dump(answers, file, indent=1, sort_keys=True)
