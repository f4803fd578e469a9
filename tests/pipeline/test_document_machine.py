"""A document under random edits: undone bit for bit, and recovered from any cut of its journal."""

from document_machine import DocumentMachine
from hypothesis import settings

TestDocument = DocumentMachine.TestCase
TestDocument.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
