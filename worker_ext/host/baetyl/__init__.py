"""Runs Baetyl apps: their settings, the rules between MQTT topics and functions, an embedded hub, an instance alone."""
