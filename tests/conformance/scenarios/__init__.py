"""The scenarios; every module here is loaded."""
