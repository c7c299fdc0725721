"""The scripted worker and client, and how what it saw is normalised and compared."""
