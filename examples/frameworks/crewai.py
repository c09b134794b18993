"""A scripted model: it calls the tool once, then answers. Save it as my_app.py."""

from crewai import BaseLLM


class Scripted(BaseLLM):
    def call(self, messages, *_, **__):
        is_called = any("Action: list_repos" in str(message["content"]) for message in messages)
        return "Thought: done\nFinal Answer: Done." if is_called else "Thought: look\nAction: list_repos\nAction Input: {}"


model = Scripted(model="scripted")
