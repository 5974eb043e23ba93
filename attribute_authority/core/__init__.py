"""What the service does, in plain Python over the ports: no reactor, no XML."""
