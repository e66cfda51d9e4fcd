"""The app's functions by topic, one blueprint a module."""
