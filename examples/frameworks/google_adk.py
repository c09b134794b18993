"""A scripted model: it calls the tool once, then answers. Save it as my_app.py."""

from google.adk.models import BaseLlm, LlmResponse
from google.genai import types


class Scripted(BaseLlm):
    async def generate_content_async(self, llm_request, stream=False):
        is_called = any(part.function_call for content in llm_request.contents for part in content.parts or [])
        call = types.Part(function_call=types.FunctionCall(name="list_repos", args={}))
        yield LlmResponse(content=types.Content(role="model", parts=[types.Part(text="Done.") if is_called else call]))


model = Scripted(model="scripted")
