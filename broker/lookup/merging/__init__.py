"""What do several sources say of the same thing? Links and contradictions, made of the facts that were released."""
