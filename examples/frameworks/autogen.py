"""A scripted model: it calls the tool once, then answers. Save it as my_app.py."""

from autogen_core import FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, FunctionExecutionResultMessage, ModelInfo, RequestUsage


class Scripted(ChatCompletionClient):
    model_info = ModelInfo(vision=False, function_calling=True, json_output=False, family="unknown", structured_output=False)
    capabilities = model_info

    async def create(self, messages, **_):
        is_called = isinstance(messages[-1], FunctionExecutionResultMessage)
        content = "Done." if is_called else [FunctionCall(id="1", name="list_repos", arguments="{}")]
        finished = "stop" if is_called else "function_calls"
        return CreateResult(finish_reason=finished, content=content, usage=RequestUsage(0, 0), cached=False)

    def actual_usage(self):
        return RequestUsage(0, 0)

    async def close(self):
        pass

    def create_stream(self, *_, **__):
        raise NotImplementedError

    count_tokens = remaining_tokens = create_stream
    total_usage = actual_usage


model = Scripted()
