"""A scripted model: it calls the tool once, then answers. Save it as my_app.py."""

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage


class Scripted(GenericFakeChatModel):
    def bind_tools(self, tools, **_):
        return self


model = Scripted(messages=iter([AIMessage("", tool_calls=[{"name": "list_repos", "args": {}, "id": "1"}]), AIMessage("Done.")]))
