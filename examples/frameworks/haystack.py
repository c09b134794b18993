"""A scripted model: it calls the tool once, then answers. Save it as my_app.py."""

from haystack.components.generators.chat import MockChatGenerator
from haystack.dataclasses import ChatMessage, ToolCall

call = ChatMessage.from_assistant(tool_calls=[ToolCall(tool_name="list_repos", arguments={})])
model = MockChatGenerator([call, "Done."])
