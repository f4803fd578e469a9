"""A document under random edits: undone bit for bit, and recovered from any cut of its journal."""

from document_machine import DocumentMachine

TestDocument = DocumentMachine.TestCase
