"""Runs Baetyl apps: their settings, the rules between MQTT topics and functions, an embedded hub, one instance alone."""
