"""The test model of Pydantic AI: it calls each tool once, then answers. Save it as my_app.py."""

from pydantic_ai.models.test import TestModel

model = TestModel(custom_output_text="Done.")
