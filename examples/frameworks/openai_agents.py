"""A scripted model: it calls the tool once, then answers. Save it as my_app.py."""

from agents import set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call

set_tracing_disabled(True)
model = ScriptedModel([[function_call("list_repos", {}, call_id="1")], [assistant_message("Done.")]])
