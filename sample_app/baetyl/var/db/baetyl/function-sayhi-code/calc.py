"""Computes with NumPy. It runs in an instance of its own, which has loaded `get.py` too."""

import numpy as np


def handler(event, context):
    """data: {"action": "B", "matrix": [[2, 0], [0, 4]]}"""
    if event.get("action") != "B":
        event["error"] = "action not found"
        return event
    matrix = np.array(event["matrix"], dtype=float)
    event["info"] = {"determinant": float(np.linalg.det(matrix)), "inverse": np.linalg.inv(matrix).tolist()}
    return event
