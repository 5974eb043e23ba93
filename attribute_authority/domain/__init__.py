"""Pure words and rules of the service: no I/O, no XML, no framework; parsing happens here or nowhere."""
