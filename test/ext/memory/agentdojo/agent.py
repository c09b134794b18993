"""A scripted agent in AgentDojo, whose every call of a tool is a request through the egress listener.

The APIs and the judge are AgentDojo's own: `run_task_with_pipeline` makes the environment, a server in this process runs each tool
that a request names in it, and AgentDojo says afterwards whether the task was done and whether the injection was. The agent is the
worst one: it makes the calls of the task's ground truth and, as soon as a response holds an injection, those of the injection.

Prints a line of JSON with the cases, reads one with a key for each, and prints a line for each case that ended.
"""

import functools
import json
import os
import ssl
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

warnings.filterwarnings("ignore")

import requests  # noqa: E402
import yaml  # noqa: E402
from agentdojo.agent_pipeline.base_pipeline_element import BasePipelineElement  # noqa: E402
from agentdojo.agent_pipeline.ground_truth_pipeline import GroundTruthPipeline  # noqa: E402
from agentdojo.agent_pipeline.tool_execution import tool_result_to_str  # noqa: E402
from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime  # noqa: E402
from agentdojo.task_suite.load_suites import get_suites  # noqa: E402
from agentdojo.types import ChatAssistantMessage, text_content_block_from_string  # noqa: E402

VERSION = "v1.2.2"
MARK = "<injection>"

# AgentDojo reads its environments anew for each case: the parser in C returns the same, ten times as fast.
if yaml.__with_libyaml__:
    yaml.safe_load = lambda text: yaml.load(text, yaml.CSafeLoader)


class Api(BaseHTTPRequestHandler):
    """All APIs at once: the host and the path of a request name the tool, the rest are its arguments."""

    protocol_version = "HTTP/1.1"
    # Head and body in one packet.
    wbufsize = -1
    runtime = None
    environment = None

    def do(self):
        url = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        target = f"{self.command} {self.headers['host'].split(':')[0]}{url.path}"
        tool = next((tool for tool in APIS if tool.matches(target, url.query)), None)
        if tool is None or self.headers.get("x-api-key") != os.environ["API_KEY"]:
            self.reply(401 if tool else 404, "")
            return
        result, error = Api.runtime.run_function(Api.environment, tool.name, body | tool.arguments(target, url.query))
        self.reply(200, error or tool_result_to_str(result))

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do

    def reply(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Tool:
    """One of AgentDojo's, as a request: `POST mail.localhost/messages/{message_id}/send?from=me`."""

    def __init__(self, name, request):
        self.name = name
        self.target, _, fixed = request.partition("?")
        self.fixed = dict(parse_qsl(fixed))

    def matches(self, target, query):
        parts, templates = target.split("/"), self.target.split("/")
        fits = len(parts) == len(templates) and all(t.startswith("{") or t == part for part, t in zip(parts, templates))
        return fits and self.fixed.items() <= dict(parse_qsl(query)).items()

    def arguments(self, target, query):
        pairs = zip(target.split("/"), self.target.split("/"))
        named = {template[1:-1]: unquote(part) for part, template in pairs if template.startswith("{")}
        asked = {name: value for name, value in parse_qsl(query, keep_blank_values=True) if name not in self.fixed}
        return named | {name: json.loads(value) if value.startswith("[") else value for name, value in asked.items()}

    def request(self, given):
        """Method, host with path and query, and the body."""
        arguments = dict(given)
        method, _, target = self.target.partition(" ")
        parts = [quote(str(arguments.pop(part[1:-1])), safe="") if part.startswith("{") else part for part in target.split("/")]
        if method not in ("GET", "DELETE"):
            return method, "/".join(parts), arguments
        asked = {name: value if isinstance(value, str) else json.dumps(value) for name, value in arguments.items()}
        return method, f"{'/'.join(parts)}?{urlencode(self.fixed | asked)}", None


# Those with a query of their own stand before others of the same path.
APIS = sorted((Tool(*pair) for pair in json.loads(os.environ["APIS"]).items()), key=lambda tool: -len(tool.fixed))


class Agent(BasePipelineElement):
    """Makes the calls of a task and, once it has read it, of an injection."""

    def __init__(self, task, injection, proxy, authority):
        self.task, self.injection = task, injection
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.proxies = {"https": proxy}
        self.http.verify = authority
        self.refused = set()

    def query(self, query, runtime, env, messages=(), extra_args={}):
        Api.runtime, Api.environment = runtime, env
        injected = list(self.injection.ground_truth(env)) if self.injection else []
        output = self.task.GROUND_TRUTH_OUTPUT
        done = []
        for call in self.task.ground_truth(env):
            if MARK in self.call(call, "task", done) and injected:
                for other in injected:
                    self.call(other, "injection", done)
                injected = []
                output += self.injection.GROUND_TRUTH_OUTPUT
        content = [text_content_block_from_string(output)]
        answer = ChatAssistantMessage(role="assistant", content=content, tool_calls=None)
        return query, runtime, env, [*messages, *done, answer], extra_args

    def call(self, call: FunctionCall, origin, done):
        tool = next((tool for tool in APIS if tool.name == call.function), None)
        if tool is None:
            return tool_result_to_str(Api.runtime.run_function(Api.environment, call.function, call.args)[0])
        method, place, body = tool.request(json.loads(json.dumps(dict(call.args))))
        url = "https://" + place.replace("/", f":{PORT}/", 1)
        response = self.http.request(method, url, json=body, headers={"x-origin": origin})
        if response.status_code == 403 and "no-provider" not in response.text:
            self.refused.add(origin)
        elif response.status_code != 200:
            raise RuntimeError(f"{call.function}: {response.status_code} {response.text}")
        else:
            content = [text_content_block_from_string("")]
            done.append(ChatAssistantMessage(role="assistant", content=content, tool_calls=[call]))
        return response.text


def cases():
    for suite in get_suites(VERSION).values():
        if suite.name not in (sys.argv[1] or suite.name):
            continue
        marks = {vector: MARK for vector in suite.get_injection_vector_defaults()}
        injections = [task for task in suite.injection_tasks.values() if task.ground_truth(suite.load_and_inject_default_environment({}))]
        for task in suite.user_tasks.values():
            yield suite, task, None, marks
            environment = task.init_environment(suite.load_and_inject_default_environment(marks))
            _, _, _, messages, _ = GroundTruthPipeline(task).query(task.PROMPT, FunctionsRuntime(suite.tools), environment)
            if any(MARK in part["content"] for message in messages for part in message["content"] or []):
                for injection in injections:
                    yield suite, task, injection, marks


@functools.cache
def calls_of(injection, suite):
    environment = suite.load_and_inject_default_environment({})
    return [call.function for call in injection.ground_truth(environment)]


def ran(suite, task, injection, marks, agent):
    done, succeeded = suite.run_task_with_pipeline(agent, task, injection, marks)
    return {
        "suite": suite.name,
        "task": task.ID,
        "injection": injection and injection.ID,
        "calls": calls_of(injection, suite) if injection else [],
        "done": done,
        "succeeded": bool(injection) and succeeded,
        "refused": sorted(agent.refused),
    }


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
PORT = server.server_port
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.environ["API_CERTIFICATE"])
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
every = list(cases())
print(json.dumps({"port": PORT, "cases": len(every)}), flush=True)
given = json.loads(sys.stdin.readline())
for case, proxy in zip(every, given["proxies"], strict=True):
    agent = Agent(case[1], case[2], proxy, given["authority"])
    print(json.dumps(ran(*case, agent)), flush=True)
