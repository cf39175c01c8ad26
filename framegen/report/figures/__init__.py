"""Pictures made from plain numbers and tensors; nothing here knows a task, a model or a run."""
