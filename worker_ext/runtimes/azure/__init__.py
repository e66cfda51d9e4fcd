"""Azure Functions: the v1 and v2 programming models, their bindings, and HTTP."""
