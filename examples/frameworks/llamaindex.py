"""A scripted model: it calls the tool once, then answers. Save it as my_app.py."""

from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM


def respond(messages, *_, **__):
    call = ToolCallBlock(tool_name="list_repos", tool_call_id="1", tool_kwargs={})
    is_called = any(isinstance(block, ToolCallBlock) for message in messages for block in message.blocks)
    return ChatMessage("Done.", role="assistant") if is_called else ChatMessage(role="assistant", blocks=[call])


model = MockFunctionCallingLLM(response_generator=respond)
