"""The answer table: pre-encoded responses, the packet cache, and the responder over them."""
